/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a client hears while its request takes time. */

/* Sends MESSAGE with the id of REQUEST, a struct request; fits where a verb takes a function for
 * its progress and the request as its userdata. What cannot be sent is dropped. */
void progress_notify(const char *message, void *request);
