/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One refresh of a login: a broker is started, its answer taken and put back at the provider. For
 * login.c only, which sees to it that there is one for an account at a time. */

#include <sys/types.h>

#include "error.h"
#include "secret/codex-auth.h"
#include "secret/value.h"

struct login_flight;
struct manager;

enum login_flight_end {
	LOGIN_REFRESHED, /* V is the whole login */
	LOGIN_CHANGED,   /* another login is there now: ask the provider again */
	LOGIN_REFUSED,   /* the refresh token is of no use any more; E says why */
	LOGIN_FAILED,    /* E says why; it may go better next time */
};

/* V and E are borrowed; the flight is gone already. */
typedef void login_flight_done(enum login_flight_end end, struct secret_value *v, struct error *e,
			       void *userdata);

/* Takes AUTH over, also on failure. Returns 0, and DONE is called once, later; or -1 with *RETERR.
 */
int login_flight_start(struct manager *m, uid_t owner, const char *secret, struct codex_auth *auth,
		       login_flight_done *done, void *userdata, struct login_flight **ret,
		       struct error *reterr);
/* Nobody is told any more. The broker goes on. */
void login_flight_forget(struct login_flight *f);
