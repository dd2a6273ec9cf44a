/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Starting a daemon of one's own, and waiting until it answers. */

struct ctl;

/* Starts one as the options of `daemon start` say, where the verb has them; connects to it, or to
 * the one that somebody else has started meanwhile. Returns 0, or -1 after telling why not. */
int daemon_start(struct ctl *ctl);

/* Where such a daemon logs to. Freed with free(); NULL: no memory, or no home. */
char *daemon_start_log_path(const struct ctl *ctl);
