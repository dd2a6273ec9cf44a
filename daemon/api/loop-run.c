/* SPDX-License-Identifier: Apache-2.0 */
/* loop.run: first as exec.run (exec-stream.c sends what the tool writes), then this waits for the
 * rest of the run and answers with a LoopRunResult. A struct waiting belongs to its request.
 *
 * A run with an idempotency key has a struct keeping, too, which writes the result down whoever is
 * still there to hear it. The same call again joins the run, goes on with one that an earlier
 * daemon began, or gets the result that was kept. */

#include "loop/loop-run.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/exec-call.h"
#include "api/exec-stream.h"
#include "api/loop-result.h"
#include "api/values.h"
#include "macro.h"
#include "params.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec.h"
#include "sandbox/journal.h"
#include "sandbox/manager.h"
#include "util/fault.h"

struct waiting {
	struct request *request;
	struct loop_run *run; /* NULL: it is over */
	struct loop_run_waiter waiter;
	struct json_object *reply; /* the result, when it is there */
	bool sent;                 /* all that the tool wrote; the request is ours */
	bool keep;                 /* it outlives its client */
	bool cancelled;            /* by rpc.cancel */
};

/* Takes the request away from W, which is gone. */
static struct request *waiting_free(struct waiting *w)
{
	struct request *r = w->request;

	if (w->run)
		loop_run_leave(w->run, &w->waiter);
	json_object_put(w->reply);
	free(w);
	return r;
}

static void fail_cancelled(struct waiting *w)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	request_fail(waiting_free(w), &e);
}

static void answer(struct waiting *w)
{
	struct json_object *reply = TAKE_PTR(w->reply);

	if (w->cancelled) {
		json_object_put(reply);
		fail_cancelled(w);
	} else {
		request_reply(waiting_free(w), reply);
	}
}

static void on_result(const struct loop_run_result *result, struct exec *e, void *userdata)
{
	struct waiting *w = userdata;

	w->run = NULL; /* it ends with this call */
	w->reply = value_loop_run_result(result, e);
	if (w->sent)
		answer(w);
}

static void on_cancel(struct request *r, void *userdata)
{
	struct waiting *w = userdata;

	(void)r; /* answered by on_result() */
	w->cancelled = true;
	loop_run_cancel(w->run);
}

static void on_disconnect(struct request *r, void *userdata)
{
	struct waiting *w = userdata;

	(void)r;
	/* a restart of the daemon is no disconnect */
	if (!w->keep && !exec_is_stopping(loop_run_exec(w->run)))
		loop_run_cancel(w->run);
	fail_cancelled(w); /* nobody hears it */
}

/* The tool has ended and all it wrote was sent, or the call ends with E. */
static void on_sent(struct request *r, struct error *e, void *userdata)
{
	static const struct request_watch watch = { .on_cancel = on_cancel,
						    .on_disconnect = on_disconnect };
	struct waiting *w = userdata;

	if (e->kind != ERROR_NONE) {
		request_fail(waiting_free(w), e);
		return;
	}
	w->sent = true;
	if (w->run)
		request_watch(r, &watch, w);
	else
		answer(w);
}

/* ---- what is kept with a key ---- */

struct keeping {
	struct manager *manager;
	uid_t peer;
	char *key;
	struct loop_run_waiter waiter;
};

static void keeping_free(void *userdata)
{
	struct keeping *k = userdata;

	free(k->key);
	free(k);
}

static void on_result_kept(const struct loop_run_result *result, struct exec *e, void *userdata)
{
	CLEANUP_STR char *text = value_to_text(value_loop_run_result(result, e));
	struct keeping *k = userdata;

	FAULT_POINT("run.collected");
	if (!exec_never_ran(e)) /* else the key is free, and perhaps another run's by now */
		journal_done(k->manager, k->peer, k->key, text);
	FAULT_POINT("run.kept");
	keeping_free(k);
}

/* Without memory the result is only told to who waits for it. */
static void keep_result(struct loop_run *run, struct manager *m, const struct journal_call *call)
{
	struct keeping *k = calloc(1, sizeof(*k));
	char *key = k ? strdup(call->key) : NULL;

	if (!k || !key) {
		free(k);
		return;
	}
	*k = (struct keeping){ .manager = m, .peer = call->peer, .key = key };
	k->waiter = (struct loop_run_waiter){ .done = on_result_kept,
					      .gone = keeping_free,
					      .userdata = k };
	loop_run_wait(run, &k->waiter);
}

/* ---- the request ---- */

static void fail_memory(struct request *r, struct loop_run *run)
{
	CLEANUP_ERROR struct error e = { 0 };

	loop_run_cancel(run);
	loop_run_leave(run, NULL);
	(void)error_set_errno(&e, -ENOMEM, "the run cannot be followed");
	request_fail(r, &e);
}

static void begin(struct request *r, struct manager *m, struct loop_run *run, bool joins)
{
	const struct loop_run_params *p = request_params(r);
	struct exec_stream_config config = { .base = m->base,
					     .is_run = true,
					     .joins = joins,
					     .send_data = p->stream && !p->detach,
					     .detach = p->detach,
					     .keep = p->on_disconnect != DISCONNECT_CANCEL };
	struct exec *e = exec_ref(loop_run_exec(run));
	struct waiting *w = p->detach ? NULL : calloc(1, sizeof(*w));

	if (p->detach) {
		loop_run_leave(run, NULL);
	} else if (!w) {
		fail_memory(r, run);
		(void)exec_unref(e);
		return;
	} else {
		*w = (struct waiting){ .request = r, .run = run, .keep = config.keep };
		w->waiter = (struct loop_run_waiter){ .done = on_result, .userdata = w };
		loop_run_wait(run, &w->waiter);
		config.done = on_sent;
		config.userdata = w;
	}
	exec_stream_begin(r, e, &config);
	(void)exec_unref(e);
}

/* Takes SECRETS. Returns 0 when the request was or will be answered, or -1 with *RETERR. */
static int start(struct request *r, struct manager *m, const struct journal_call *call,
		 struct exec_secrets *secrets, struct error *reterr)
{
	struct loop_run *run;

	if (loop_run_start(m, request_uid(r), request_params(r), call, secrets, &run, reterr) < 0)
		return -1;
	if (call)
		keep_result(run, m, call);
	begin(r, m, run, false);
	return 0;
}

/* ---- the same call again ---- */

/* Its output was sent once more; RESULT is what is told of a run that has ended. */
static void on_kept_sent(struct request *r, struct error *e, void *userdata)
{
	struct json_object *result = userdata;

	if (e->kind == ERROR_NONE) {
		request_reply(r, result);
		return;
	}
	json_object_put(result);
	request_fail(r, e);
}

/* E: its command, NULL when that is not known any more. */
static int reply_kept(struct request *r, struct manager *m, const struct journal_entry *entry,
		      struct exec *e, struct error *reterr)
{
	const struct loop_run_params *p = request_params(r);
	struct json_object *result = entry->result ? json_tokener_parse(entry->result) : NULL;
	const struct exec_stream_config config = { .base = m->base,
						   .is_run = true,
						   .joins = true,
						   .send_data = true,
						   .keep = true,
						   .done = on_kept_sent,
						   .userdata = result };

	if (result && e && p->stream && !p->detach) {
		exec_stream_begin(r, e, &config);
		return 0;
	}
	if (!result)
		return error_set(reterr, ERROR_INVALID_STATE, "idempotencyKey", NULL,
				 "the run with the key %s has ended and is forgotten",
				 p->idempotency_key);
	request_reply(r, result);
	return 0;
}

static int resume(struct request *r, struct manager *m, const struct journal_call *call,
		  const struct journal_entry *entry, struct exec *e, struct error *reterr)
{
	struct loop_run *run = loop_run_find(m, call->peer, call->key);

	if (!run) {
		if (loop_run_resume(m, call->peer, request_params(r), e, entry->base_sha, &run,
				    reterr) < 0)
			return -1;
		keep_result(run, m, call);
	}
	begin(r, m, run, true);
	return 0;
}

/* Returns 1 when CALL is a new one, 0 when the request was or will be answered, or -1. */
static int run_again(struct request *r, struct manager *m, const struct journal_call *call,
		     struct error *reterr)
{
	CLEANUP_JOURNAL_ENTRY struct journal_entry entry = { 0 };
	struct exec *e;
	int known = journal_look_up_exec(m, call, &entry, &e, reterr);

	if (known <= 0)
		return known < 0 ? -1 : 1;
	return entry.done ? reply_kept(r, m, &entry, e, reterr)
			  : resume(r, m, call, &entry, e, reterr);
}

/* ---- the call ---- */

static struct sandbox *sandbox_of(struct request *r, struct manager *m)
{
	return loop_run_sandbox(m, request_uid(r), request_params(r));
}

static void on_taken_over(struct sandbox *s, struct error *e, void *userdata)
{
	(void)e;
	method_loop_run(userdata, sandbox_manager(s));
}

static bool key(struct request *r, struct journal_call *call)
{
	const struct loop_run_params *p = request_params(r);

	if (p->idempotency_key)
		journal_call_loop_run(call, request_uid(r), p);
	return p->idempotency_key != NULL;
}

static int lease(struct request *r, struct manager *m, bool keyed, struct exec_secrets **ret,
		 struct error *reterr)
{
	(void)keyed;
	return loop_run_lease(m, request_uid(r), request_pid(r), request_params(r), ret, reterr);
}

void method_loop_run(struct request *r, void *userdata)
{
	static const struct exec_call_kind kind = { .sandbox = sandbox_of,
						    .taken_over = on_taken_over,
						    .key = key,
						    .again = run_again,
						    .lease = lease,
						    .start = start };

	exec_call_run(r, userdata, &kind);
}
