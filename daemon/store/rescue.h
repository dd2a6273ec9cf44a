/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A damaged database: saved aside, with a new one in its place that has what can still be read. */

/* The database at PATH, which nobody has open, becomes PATH.damaged-TIME, with its log. What of its
 * rows can be read is in the new one at PATH, which has the newest layout. Returns 0, or negative
 * errno and nothing has changed; the reason was logged. */
int store_rescue(const char *path);
