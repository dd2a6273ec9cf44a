/* SPDX-License-Identifier: Apache-2.0 */
#include "api/exec-call.h"

#include <errno.h>
#include <stdlib.h>

#include "api/api.h"
#include "macro.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/journal.h"

static void fail_cancelled(struct request *r)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	request_fail(r, &e);
}

static void watch_nothing(struct request *r)
{
	static const struct request_watch none = { 0 };

	request_watch(r, &none, NULL);
}

/* ---- a sandbox that is being taken over ---- */

static void leave_sandbox(struct request *r, void *userdata)
{
	sandbox_await_forget(userdata, r);
	fail_cancelled(r);
}

/* False: there is nothing to wait for. */
static bool wait_for_sandbox(struct request *r, struct sandbox *s, sandbox_done *taken_over)
{
	static const struct request_watch watch = { .on_cancel = leave_sandbox,
						    .on_disconnect = leave_sandbox };

	if (!s || !sandbox_await(s, taken_over, r))
		return false;
	request_watch(r, &watch, s); /* S lives at least until it is */
	return true;
}

/* ---- secrets that are being leased ---- */

struct leasing {
	struct request *request;
	struct manager *manager;
	const struct exec_call_kind *kind;
	struct journal_call call; /* its key is the request's */
	bool keyed;
	struct exec_secrets *secrets;
	struct sandbox *awaited; /* they are there, and its keeper is not; borrowed */
};

/* Takes the request away from L, which is gone. */
static struct request *leasing_free(struct leasing *l)
{
	struct request *r = l->request;

	exec_secrets_free(l->secrets);
	free(l);
	return r;
}

static void give_up(struct request *r, void *userdata)
{
	struct leasing *l = userdata;

	(void)r;
	if (l->awaited)
		sandbox_await_forget(l->awaited, l);
	fail_cancelled(leasing_free(l));
}

/* Whoever had to wait for secrets may have been overtaken by the same call. */
static int start_late(struct leasing *l, struct error *reterr)
{
	const struct journal_call *call = l->keyed ? &l->call : NULL;
	int result = call ? l->kind->again(l->request, l->manager, call, reterr) : 1;

	if (result > 0)
		result = l->kind->start(l->request, l->manager, call, TAKE_PTR(l->secrets), reterr);
	return result;
}

/* E: they could not be leased. */
static void leasing_end(struct leasing *l, struct error *e)
{
	struct request *r = l->request;
	int result = -1;

	watch_nothing(r);
	if (e->kind == ERROR_NONE)
		result = start_late(l, e);
	(void)leasing_free(l); /* R is whoever's it is now */
	if (result < 0)
		request_fail(r, e);
}

static void on_taken_over(struct sandbox *s, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };

	(void)s;
	(void)e; /* what became of it is seen by who uses it */
	leasing_end(userdata, &error);
}

static void on_leased(struct exec_secrets *secrets, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct leasing *l = userdata;
	struct sandbox *s = l->kind->sandbox(l->request, l->manager);

	(void)secrets; /* ours */
	error_move(&error, e);
	if (error.kind == ERROR_NONE && s && sandbox_await(s, on_taken_over, l))
		l->awaited = s; /* its keeper died meanwhile */
	else
		leasing_end(l, &error);
}

/* Takes SECRETS. */
static int wait_for_secrets(struct request *r, struct manager *m, const struct exec_call_kind *kind,
			    const struct journal_call *call, struct exec_secrets *secrets,
			    struct error *reterr)
{
	static const struct request_watch watch = { .on_cancel = give_up,
						    .on_disconnect = give_up };
	struct leasing *l = calloc(1, sizeof(*l));

	if (!l) {
		exec_secrets_free(secrets);
		return error_set_errno(reterr, -ENOMEM, "the secrets cannot be waited for");
	}
	*l = (struct leasing){
		.request = r, .manager = m, .kind = kind, .keyed = call != NULL, .secrets = secrets
	};
	if (call)
		l->call = *call;
	exec_secrets_wait(secrets, on_leased, l);
	request_watch(r, &watch, l);
	return 0;
}

/* ---- the call ---- */

static int start_new(struct request *r, struct manager *m, const struct exec_call_kind *kind,
		     const struct journal_call *call, struct error *reterr)
{
	struct exec_secrets *secrets = NULL;

	if (kind->lease(r, m, call != NULL, &secrets, reterr) < 0)
		return -1;
	if (!secrets || exec_secrets_ready(secrets))
		return kind->start(r, m, call, secrets, reterr);
	return wait_for_secrets(r, m, kind, call, secrets, reterr);
}

void exec_call_run(struct request *r, struct manager *m, const struct exec_call_kind *kind)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct journal_call call;
	bool keyed;
	int result = 1;

	watch_nothing(r); /* it may have waited for its sandbox */
	if (wait_for_sandbox(r, kind->sandbox(r, m), kind->taken_over))
		return;
	keyed = kind->key(r, &call);
	if (keyed)
		result = kind->again(r, m, &call, &e);
	if (result > 0)
		result = start_new(r, m, kind, keyed ? &call : NULL, &e);
	if (result < 0)
		request_fail(r, &e);
}
