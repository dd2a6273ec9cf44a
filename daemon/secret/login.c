/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider granted is looked at here on its way to a lease. No login is kept: of an account
 * only whether it is being refreshed, and which refresh token was refused, did not help or could
 * not be tried just now, so that it is not tried again for each lease.
 *
 * When sandboxes get a new copy is the lease's affair: a grant says that it ends CODEX_WINDOW
 * before the token does, and leases that are renewed are renewed before that. */

#include "secret/login.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "sandbox/manager.h"
#include "secret/codex-auth.h"
#include "secret/login-flight.h"
#include "util/strings.h"
#include "util/time.h"

/* Codex itself would refresh a token in its last five minutes, and fails without a refresh token:
 * nobody gets one that is there already, if it can be helped. Tokens that live for minutes only
 * have parts of their life instead. */
#define CODEX_WINDOW_MS (5 * 60 * 1000)
#define CODEX_WINDOW_PART 4
#define REFRESH_AHEAD_MS (10 * 60 * 1000)
#define REFRESH_AHEAD_PART 2
/* Where a new token is old already (a clock that is wrong), not each lease asks for one more. */
#define USELESS_MS (60 * 1000)
/* Nor where the token server cannot be reached. */
#define FAILED_MS (5 * 1000)

struct login {
	struct login_table *table;
	uid_t owner;
	char *secret;
	struct login_flight *flight; /* NULL: none is under way */
	LIST_HEAD(, login_pending) waiters;
	uint8_t tried_id[CODEX_LOGIN_ID_BYTES]; /* what the last flight was for */
	struct error refused;                   /* why that is of no use; ERROR_NONE: it is */
	int64_t again_at_ms; /* CLOCK_BOOTTIME: it is tried again all the same; INT64_MAX: never */
	bool slow;           /* somebody has waited for the flight in vain */
	LIST_ENTRY(login) in_table;
};

struct login_table {
	struct manager *manager;
	LIST_HEAD(, login) logins; /* one that was refreshed stays until its secret is another */
};

struct login_pending {
	struct login_table *table;
	const struct provider *provider;
	struct provider_pending *asked; /* NULL: it has answered */
	struct login *login;            /* whose flight is waited for; NULL: none */
	uid_t owner;
	char *secret;
	int64_t ttl_ms;
	bool again;                  /* it was asked for a second time */
	struct provider_grant grant; /* with a refresh token in it, while a flight is waited for */
	int64_t expires_at_ms;       /* of its access token */
	struct event timer;
	provider_done *done;
	void *userdata;
	LIST_ENTRY(login_pending) in_login;
};

/* ---- who waits ---- */

static void stop_waiting(struct login_pending *p)
{
	if (!p->login)
		return;
	LIST_REMOVE(p, in_login);
	(void)event_del(&p->timer);
	p->login = NULL;
}

static void pending_free(struct login_pending *p)
{
	stop_waiting(p);
	if (p->asked)
		p->provider->cancel(p->asked);
	(void)secret_value_unref(p->grant.value);
	free(p->secret);
	free(p);
}

static void answer(struct login_pending *p, struct error *e)
{
	struct provider_grant grant = p->grant;
	provider_done *done = p->done;
	void *userdata = p->userdata;

	if (!e)
		p->grant.value = NULL; /* the callee's */
	pending_free(p);
	done(e ? NULL : &grant, e, userdata);
}

static int no_memory(const struct login_pending *p, struct error *reterr)
{
	return error_set_errno(reterr, -ENOMEM, "the login in secret %s cannot be lent", p->secret);
}

/* ---- what is handed on ---- */

/* How long before its end a token counts as old. */
static int64_t margin(const struct codex_times *t, int64_t most_ms, int64_t part)
{
	int64_t life = t->issued_ms > 0 ? t->expires_ms - t->issued_ms : INT64_MAX;

	if (life < 0)
		return 0;
	return life / part < most_ms ? life / part : most_ms;
}

/* A new token is due. */
static bool is_old(const struct codex_times *t)
{
	return t->expires_ms - margin(t, REFRESH_AHEAD_MS, REFRESH_AHEAD_PART) <=
	       time_realtime_ms();
}

/* The grant becomes a copy of A. Returns 1, or -1 with *RETERR. */
static int hand_out(struct login_pending *p, struct codex_auth *a, struct error *reterr)
{
	int64_t now = time_realtime_ms(), window;
	struct codex_times t = codex_auth_times(a);
	struct secret_value *copy;

	if (codex_auth_copy(a, now, &copy) < 0)
		return no_memory(p, reterr);
	(void)secret_value_unref(p->grant.value);
	p->grant.value = copy;
	window = margin(&t, CODEX_WINDOW_MS, CODEX_WINDOW_PART);
	if (t.expires_ms == CODEX_NO_EXPIRY)
		return 1;
	if (t.expires_ms - window > now)
		t.expires_ms -= window;
	if (p->grant.expires_at_ms == 0 || t.expires_ms < p->grant.expires_at_ms)
		p->grant.expires_at_ms = t.expires_ms;
	return 1;
}

static int copy_error(const struct error *e, struct error *reterr)
{
	return error_set(reterr, e->kind, e->field, e->hint, "%s", e->message ? e->message : "");
}

/* There is no new token: the old one, as long as it is good. Returns as hand_out(). */
static int hand_out_old(struct login_pending *p, const struct error *why, struct error *reterr)
{
	CLEANUP(codex_auth_freep) struct codex_auth *a = NULL;

	if (time_realtime_ms() < p->expires_at_ms && codex_auth_read(p->grant.value, &a) == 0)
		return hand_out(p, a, reterr);
	return copy_error(why, reterr);
}

/* ---- waiting for a flight ---- */

static struct login *login_find(const struct login_table *t, uid_t owner, const char *secret)
{
	struct login *l;

	LIST_FOREACH (l, &t->logins, in_table)
		if (l->owner == owner && strcmp(l->secret, secret) == 0)
			return l;
	return NULL;
}

static void login_free(struct login *l)
{
	LIST_REMOVE(l, in_table);
	error_clear(&l->refused);
	free(l->secret);
	free(l);
}

static struct login *login_get(struct login_table *t, uid_t owner, const char *secret)
{
	struct login *l = login_find(t, owner, secret);

	if (l)
		return l;
	l = calloc(1, sizeof(*l));
	if (!l || string_copy(secret, &l->secret) < 0) {
		free(l);
		return NULL;
	}
	l->table = t;
	l->owner = owner;
	LIST_INIT(&l->waiters);
	LIST_INSERT_HEAD(&t->logins, l, in_table);
	return l;
}

static int ask(struct login_pending *p, const struct provider_call *call, struct error *reterr);

static int set_slow(const struct login_pending *p, struct error *reterr)
{
	return error_set(reterr, ERROR_TIMEOUT, "secret", NULL,
			 "the token server did not refresh the login in secret %s within %d s",
			 p->secret, PROVIDER_TIMEOUT_MS / 1000);
}

static void on_timeout(evutil_socket_t fd, short what, void *userdata)
{
	CLEANUP_ERROR struct error why = { 0 }, e = { 0 };
	struct login_pending *p = userdata;

	(void)fd;
	(void)what;
	p->login->slow = true;
	stop_waiting(p);
	(void)set_slow(p, &why);
	answer(p, hand_out_old(p, &why, &e) < 0 ? &e : NULL);
}

/* P's flight came to this end. Returns as login_lease(). */
static int land(struct login_pending *p, enum login_flight_end end, struct secret_value *v,
		const struct error *why, struct error *reterr)
{
	CLEANUP(codex_auth_freep) struct codex_auth *a = NULL;
	struct provider_call call;

	if (end == LOGIN_REFRESHED)
		return codex_auth_read(v, &a) == 0 ? hand_out(p, a, reterr) : no_memory(p, reterr);
	if (end == LOGIN_FAILED || (end == LOGIN_REFUSED && p->again))
		return hand_out_old(p, why, reterr);
	/* somebody else may have logged in anew, or refreshed it */
	p->again = true;
	p->grant.value = secret_value_unref(p->grant.value);
	p->provider = provider_of(p->table->manager, p->owner, p->secret, &call, reterr);
	return p->provider ? ask(p, &call, reterr) : -1;
}

/* V is what the token server made of L. */
static void judge_fresh(struct login *l, struct secret_value *v)
{
	CLEANUP(codex_auth_freep) struct codex_auth *a = NULL;
	struct codex_times t;

	if (codex_auth_read(v, &a) != 0)
		return;
	t = codex_auth_times(a);
	if (!is_old(&t))
		return;
	codex_auth_id(a, l->tried_id);
	l->again_at_ms = time_boottime_ms() + USELESS_MS;
	(void)error_set(&l->refused, ERROR_UNAVAILABLE, "secret",
			"look whether this machine's clock is right",
			"the token that was just made for the login in secret %s is over soon, or "
			"already",
			l->secret);
}

static void on_flight(enum login_flight_end end, struct secret_value *v, struct error *e,
		      void *userdata)
{
	LIST_HEAD(, login_pending) landed = LIST_HEAD_INITIALIZER(landed);
	struct login *l = userdata;
	struct login_pending *p;

	l->flight = NULL;
	error_clear(&l->refused);
	l->again_at_ms = end == LOGIN_FAILED ? time_boottime_ms() + FAILED_MS : INT64_MAX;
	if (end == LOGIN_REFUSED || end == LOGIN_FAILED)
		(void)copy_error(e, &l->refused);
	else if (end == LOGIN_REFRESHED)
		judge_fresh(l, v);
	/* who is told may forget others, and a new flight may begin */
	while ((p = LIST_FIRST(&l->waiters))) {
		LIST_REMOVE(p, in_login);
		LIST_INSERT_HEAD(&landed, p, in_login);
	}
	while ((p = LIST_FIRST(&landed))) {
		CLEANUP_ERROR struct error error = { 0 };
		int r;

		stop_waiting(p);
		r = land(p, end, v, e, &error);
		if (r != 0)
			answer(p, r < 0 ? &error : NULL);
	}
}

/* Takes *A if a flight begins. Returns 0: P waits for one; -1 with *RETERR. */
static int join(struct login_pending *p, struct codex_auth **a, struct error *reterr)
{
	const struct timeval limit = { .tv_sec = PROVIDER_TIMEOUT_MS / 1000 };
	struct login *l = login_get(p->table, p->owner, p->secret);
	uint8_t id[CODEX_LOGIN_ID_BYTES];

	if (!l)
		return no_memory(p, reterr);
	if (l->flight && l->slow && time_realtime_ms() < p->expires_at_ms)
		return set_slow(p, reterr); /* the old one will do */
	codex_auth_id(*a, id);
	if (!l->flight) {
		if (l->refused.kind != ERROR_NONE && memcmp(id, l->tried_id, sizeof(id)) == 0 &&
		    time_boottime_ms() < l->again_at_ms)
			return copy_error(&l->refused, reterr);
		if (!p->provider->replace)
			return error_set(reterr, ERROR_UNAVAILABLE, "secret",
					 "keep it in the store: sandboxctl secret set",
					 "the login in secret %s has to be refreshed, and provider "
					 "%s cannot take the new one",
					 p->secret, p->provider->name);
		error_clear(&l->refused);
		l->slow = false;
		memcpy(l->tried_id, id, sizeof(id));
		if (login_flight_start(p->table->manager, p->owner, p->secret, TAKE_PTR(*a),
				       on_flight, l, &l->flight, reterr) < 0)
			return -1;
	}
	event_assign(&p->timer, p->table->manager->base, -1, EV_TIMEOUT, on_timeout, p);
	if (event_add(&p->timer, &limit) < 0)
		return no_memory(p, reterr);
	p->login = l;
	LIST_INSERT_HEAD(&l->waiters, p, in_login);
	return 0;
}

/* ---- the provider's answer ---- */

/* P has its grant. Returns as login_lease(). */
static int settle(struct login_pending *p, struct error *reterr)
{
	CLEANUP(codex_auth_freep) struct codex_auth *a = NULL;
	CLEANUP_ERROR struct error why = { 0 };
	struct codex_times t;
	int r = codex_auth_read(p->grant.value, &a);

	if (r == CODEX_AUTH_OTHER)
		return 1;
	if (r < 0)
		return no_memory(p, reterr);
	if (r == CODEX_AUTH_BROKEN)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret",
				 "set it again, from a whole auth.json",
				 "secret %s has a refresh token in it, and is no whole auth.json",
				 p->secret);
	t = codex_auth_times(a);
	p->expires_at_ms = t.expires_ms;
	if (!is_old(&t))
		return hand_out(p, a, reterr);
	if (join(p, &a, &why) == 0)
		return 0;
	return hand_out_old(p, &why, reterr);
}

static void on_granted(struct provider_grant *g, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct login_pending *p = userdata;
	int r;

	p->asked = NULL;
	if (!g) {
		answer(p, e);
		return;
	}
	p->grant = *g;
	r = settle(p, &error);
	if (r != 0)
		answer(p, r < 0 ? &error : NULL);
}

static int ask(struct login_pending *p, const struct provider_call *call, struct error *reterr)
{
	struct provider_call again = *call;
	int r;

	again.ttl_ms = p->ttl_ms;
	r = p->provider->lease(&again, on_granted, p, &p->grant, &p->asked, reterr);
	return r == 1 ? settle(p, reterr) : r;
}

int login_lease(const struct provider *provider, const struct provider_call *call,
		provider_done *done, void *userdata, struct provider_grant *ret,
		struct login_pending **ret_pending, struct error *reterr)
{
	struct login_pending *p = calloc(1, sizeof(*p));
	int r;

	if (!p || string_copy(call->name, &p->secret) < 0) {
		free(p);
		return error_set_errno(reterr, -ENOMEM, "secret %s cannot be lent", call->name);
	}
	p->table = call->m->logins;
	p->provider = provider;
	p->owner = call->owner;
	p->ttl_ms = call->ttl_ms;
	p->done = done;
	p->userdata = userdata;
	r = ask(p, call, reterr);
	if (r == 0) {
		*ret_pending = p;
		return 0;
	}
	if (r == 1) {
		*ret = p->grant;
		p->grant.value = NULL;
	}
	pending_free(p);
	return r;
}

bool login_is_asking(const struct login_pending *p)
{
	return p->asked != NULL;
}

void login_cancel(struct login_pending *p)
{
	pending_free(p);
}

/* ---- the table ---- */

const struct error *login_refused(const struct manager *m, uid_t owner, const char *secret)
{
	const struct login *l = m->logins ? login_find(m->logins, owner, secret) : NULL;

	return l && l->refused.kind != ERROR_NONE && l->again_at_ms == INT64_MAX ? &l->refused
										 : NULL;
}

void login_changed(struct manager *m, uid_t owner, const char *secret)
{
	struct login *l = m->logins ? login_find(m->logins, owner, secret) : NULL;

	if (l && l->flight)
		error_clear(&l->refused);
	else if (l)
		login_free(l);
}

int login_table_new(struct manager *m, struct login_table **ret)
{
	struct login_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->manager = m;
	LIST_INIT(&t->logins);
	*ret = t;
	return 0;
}

void login_table_free(struct login_table *t)
{
	struct login *l;

	if (!t)
		return;
	while ((l = LIST_FIRST(&t->logins))) {
		if (l->flight)
			login_flight_forget(l->flight);
		login_free(l);
	}
	free(t);
}

bool login_table_busy(const struct login_table *t)
{
	const struct login *l;

	LIST_FOREACH (l, &t->logins, in_table)
		if (l->flight)
			return true;
	return false;
}
