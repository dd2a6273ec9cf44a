/* SPDX-License-Identifier: Apache-2.0 */
/* loop.run: first as exec.run (exec-stream.c sends what the tool writes), then this waits for the
 * rest of the run and answers with a LoopRunResult. A struct waiting belongs to its request. */

#include "loop/loop-run.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/exec-stream.h"
#include "api/loop-result.h"
#include "macro.h"
#include "params.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"

struct waiting {
	struct request *request;
	struct loop_run *run;
	bool keep;      /* it outlives its client */
	bool cancelled; /* by rpc.cancel */
};

static void fail_cancelled(struct waiting *w)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct request *r = w->request;

	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	free(w);
	request_fail(r, &e);
}

static void on_result(const struct loop_run_result *result, struct exec *e, void *userdata)
{
	struct waiting *w = userdata;
	struct request *r = w->request;

	if (w->cancelled) {
		fail_cancelled(w);
		return;
	}
	free(w);
	request_reply(r, value_loop_run_result(result, e));
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
	if (!w->keep)
		loop_run_cancel(w->run);
	loop_run_abandon(w->run);
	fail_cancelled(w); /* nobody hears it */
}

/* The tool has ended and all it wrote was sent, or the call ends with E. */
static void on_sent(struct request *r, struct error *e, void *userdata)
{
	static const struct request_watch watch = { .on_cancel = on_cancel,
						    .on_disconnect = on_disconnect };
	struct waiting *w = userdata;

	if (e->kind != ERROR_NONE) {
		loop_run_abandon(w->run);
		free(w);
		request_fail(r, e);
		return;
	}
	loop_run_wait(w->run, on_result, w);
	request_watch(r, &watch, w);
}

static void fail_memory(struct request *r, struct loop_run *run)
{
	CLEANUP_ERROR struct error e = { 0 };

	loop_run_cancel(run);
	loop_run_abandon(run);
	(void)error_set_errno(&e, -ENOMEM, "the run cannot be followed");
	request_fail(r, &e);
}

static void begin(struct request *r, struct manager *m, struct loop_run *run)
{
	const struct loop_run_params *p = request_params(r);
	struct exec_stream_config config = { .base = m->base,
					     .is_run = true,
					     .send_data = p->stream && !p->detach,
					     .detach = p->detach,
					     .keep = p->on_disconnect != DISCONNECT_CANCEL };
	struct exec *e = exec_ref(loop_run_exec(run));
	struct waiting *w = p->detach ? NULL : calloc(1, sizeof(*w));

	if (p->detach) {
		loop_run_abandon(run);
	} else if (!w) {
		fail_memory(r, run);
		(void)exec_unref(e);
		return;
	} else {
		*w = (struct waiting){ .request = r, .run = run, .keep = config.keep };
		config.done = on_sent;
		config.userdata = w;
	}
	exec_stream_begin(r, e, &config);
	(void)exec_unref(e);
}

void method_loop_run(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct loop_run *run;

	if (loop_run_start(userdata, request_uid(r), request_params(r), &run, &e) < 0)
		request_fail(r, &e);
	else
		begin(r, userdata, run);
}
