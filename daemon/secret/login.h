/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Codex logins: a secret that holds a refresh token. Who leases it gets a copy with a current
 * access token and without the refresh token; near its end it is refreshed first, once for all who
 * wait (owner and name of the secret are the account), and put back where it came from. Any other
 * secret passes through. */

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"
#include "secret/provider.h"

struct login_pending;
struct login_table; /* in struct manager */
struct manager;

/* As P->lease(CALL, …), and what it gives may be handed on. 0: DONE comes later, unless
 * *RET_PENDING is given to login_cancel() first. */
int login_lease(const struct provider *p, const struct provider_call *call, provider_done *done,
		void *userdata, struct provider_grant *ret, struct login_pending **ret_pending,
		struct error *reterr);
/* Its provider has not answered; else a refresh is waited for. */
bool login_is_asking(const struct login_pending *p);
/* A refresh that is under way goes on. */
void login_cancel(struct login_pending *p);

/* Why the login in SECRET of OWNER, which is in the store, was refused for good; NULL: it was not,
 * as far as is known. Good until the next call. */
const struct error *login_refused(const struct manager *m, uid_t owner, const char *secret);
/* SECRET was set anew, or removed. */
void login_changed(struct manager *m, uid_t owner, const char *secret);

int login_table_new(struct manager *m, struct login_table **ret);
/* After the vault; nobody waits any more. A broker that is still at work goes on: the next daemon
 * finds what it got. */
void login_table_free(struct login_table *t); /* NULL is fine */
/* Whether a refresh is under way: a stop waits for it. */
bool login_table_busy(const struct login_table *t);
