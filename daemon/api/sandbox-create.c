/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.create. With an idempotency key the same call again gets the sandbox that the first one
 * made, or is making. */

#include <json-c/json.h>

#include "api/api.h"
#include "api/progress.h"
#include "api/values.h"
#include "params.h"
#include "sandbox/journal.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "util/fault.h"

static void on_made(struct sandbox *s, struct error *e, void *userdata)
{
	struct request *r = userdata;

	if (e->kind != ERROR_NONE)
		request_fail(r, e);
	else
		request_reply(r, value_sandbox(s));
}

static void on_created(struct sandbox *s, struct error *e, void *userdata)
{
	struct request *r = userdata;
	const struct sandbox_create_params *p = request_params(r);
	struct manager *m = sandbox_manager(s);

	if (p->idempotency_key && e->kind != ERROR_NONE)
		journal_forget(m, request_uid(r), p->idempotency_key); /* nothing is left of it */
	else if (p->idempotency_key)
		journal_done(m, request_uid(r), p->idempotency_key, NULL);
	FAULT_POINT("create.done");
	on_made(s, e, r);
}

static void on_cancel(struct request *r, void *userdata)
{
	(void)r; /* answered by on_created() */
	sandbox_cancel_create(userdata);
}

static int create(struct request *r, struct manager *m, struct error *reterr)
{
	static const struct request_watch watch = { .on_cancel = on_cancel };
	struct sandbox *s;

	if (sandbox_create(m, request_uid(r), request_params(r), on_created, r, &s, reterr) < 0)
		return -1;
	sandbox_on_progress(s, progress_notify, r);
	request_watch(r, &watch, s); /* lives until on_created() at least */
	return 0;
}

/* Returns 1 when CALL is a new one, 0 when the request was or will be answered, or -1. */
static int create_again(struct request *r, struct manager *m, const struct journal_call *call,
			struct error *reterr)
{
	CLEANUP_JOURNAL_ENTRY struct journal_entry entry = { 0 };
	struct sandbox *s;
	int known = journal_look_up(m, call, &entry, reterr);

	if (known <= 0)
		return known < 0 ? -1 : 1;
	s = sandbox_find(m, request_uid(r), entry.subject, NULL);
	if (s && sandbox_state(s) == SANDBOX_STATE_CREATING)
		return sandbox_start(s, -1, on_made, r, reterr); /* once it runs, that is nothing */
	if (s) {
		request_reply(r, value_sandbox(s));
		return 0;
	}
	if (!entry.done) {
		journal_forget(m, call->peer, call->key); /* it came to nothing */
		return 1;
	}
	(void)error_set(reterr, ERROR_NOT_FOUND, "idempotencyKey",
			"another key for another sandbox",
			"the sandbox that was made with the key %s has been removed", call->key);
	return -1;
}

static int create_keyed(struct request *r, struct manager *m, struct error *reterr)
{
	struct journal_call call;
	int result;

	journal_call_create(&call, request_uid(r), request_params(r));
	result = create_again(r, m, &call, reterr);
	return result > 0 ? create(r, m, reterr) : result;
}

/* A client that goes away does not take its sandbox along: the create goes on. */
void method_sandbox_create(struct request *r, void *userdata)
{
	const struct sandbox_create_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };

	if ((p->idempotency_key ? create_keyed(r, userdata, &e) : create(r, userdata, &e)) < 0)
		request_fail(r, &e);
}
