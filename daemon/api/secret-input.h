/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A secret's value that comes through a client's pipe, read to its end. */

#include <sys/types.h>

#include "error.h"
#include "params.h"

struct manager;
struct secret_input;

/* VALUE is borrowed; NULL: E says why. Called once, never from inside secret_input_new(); the input
 * is gone after it. */
typedef void secret_input_done(const struct bytes *value, struct error *e, void *userdata);

/* FD is taken, also on failure; it is UID's. Returns 0, or -1 with *RETERR. */
int secret_input_new(struct manager *m, uid_t uid, int fd, secret_input_done *done, void *userdata,
		     struct secret_input **ret, struct error *reterr);
/* Nobody waits for it any more. NULL is fine. */
void secret_input_free(struct secret_input *i);
