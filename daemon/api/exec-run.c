/* SPDX-License-Identifier: Apache-2.0 */
/* exec.run. With an idempotency key the journal is asked first: the same call again follows the
 * command that the first one started, or gets its result, also from a later daemon. */

#include <json-c/json.h>

#include "api/api.h"
#include "api/exec-call.h"
#include "api/exec-stream.h"
#include "macro.h"
#include "params.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec.h"
#include "sandbox/journal.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"

/* The gate has checked that it is there, of a kind that is accepted, and used only once. */
static int take_fds(struct request *r, const struct exec_run_params *p, int fds[3],
		    struct error *reterr)
{
	const bool given[3] = { p->in.kind == STDIN_FD, p->out.given, p->err.given };
	const unsigned index[3] = { p->in.fd, p->out.fd, p->err.fd };
	static const char *const fields[3] = { "stdin", "stdout", "stderr" };
	size_t i;

	for (i = 0; i < 3; i++) {
		if (!given[i])
			continue;
		fds[i] = request_take_fd(r, index[i]);
		if (fds[i] < 0)
			return error_set(reterr, ERROR_INVALID_PARAMS, fields[i], NULL,
					 "there is no descriptor %u with this request", index[i]);
	}
	return 0;
}

static void follow(struct request *r, struct manager *m, struct exec *e, bool joins)
{
	const struct exec_run_params *p = request_params(r);
	struct exec_stream_config config = { .base = m->base,
					     .is_run = true,
					     .joins = joins,
					     .send_data = p->stream && !p->detach,
					     .detach = p->detach };

	config.keep = p->on_disconnect == DISCONNECT_KEEP ||
		      (p->on_disconnect == DISCONNECT_UNSET && (p->detach || p->idempotency_key));
	exec_stream_begin(r, e, &config);
}

/* Takes SECRETS. Returns 0 when the request was or will be answered, or -1 with *RETERR. */
static int start(struct request *r, struct manager *m, const struct journal_call *call,
		 struct exec_secrets *secrets, struct error *reterr)
{
	const struct exec_run_params *p = request_params(r);
	const struct exec_start_more more = { .call = call, .secrets = secrets };
	int fds[3] = { -1, -1, -1 };
	struct sandbox *s;
	struct exec *exec;
	size_t i;

	s = sandbox_find(m, request_uid(r), p->sandbox, reterr);
	if (!s || take_fds(r, p, fds, reterr) < 0) {
		for (i = 0; i < 3; i++)
			fds[i] = close_fd(fds[i]);
		exec_secrets_free(secrets);
		return -1;
	}
	if (exec_start_with(m, s, p, fds, &more, &exec, reterr) < 0)
		return -1;
	follow(r, m, exec, false);
	(void)exec_unref(exec);
	return 0;
}

/* ---- the same call again ---- */

/* The command is not known any more, only what came of it. */
static int reply_kept(struct request *r, const struct journal_entry *entry, struct error *reterr)
{
	const struct exec_run_params *p = request_params(r);
	struct json_object *result =
		entry->result && !p->detach ? json_tokener_parse(entry->result) : NULL;

	if (!result) {
		(void)error_set(reterr, ERROR_INVALID_STATE, "idempotencyKey",
				p->detach ? "without detach its result is answered" : NULL,
				"the command with the key %s has ended and is forgotten",
				p->idempotency_key);
		return -1;
	}
	request_reply(r, result);
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
	if (!e)
		return reply_kept(r, &entry, reterr);
	follow(r, m, e, true);
	return 0;
}

/* ---- the call ---- */

static struct sandbox *sandbox_of(struct request *r, struct manager *m)
{
	const struct exec_run_params *p = request_params(r);

	return sandbox_find(m, request_uid(r), p->sandbox, NULL);
}

static void on_taken_over(struct sandbox *s, struct error *e, void *userdata)
{
	(void)e;
	method_exec_run(userdata, sandbox_manager(s));
}

static bool key(struct request *r, struct journal_call *call)
{
	const struct exec_run_params *p = request_params(r);

	if (p->idempotency_key)
		journal_call_exec(call, request_uid(r), p);
	return p->idempotency_key != NULL;
}

static int lease(struct request *r, struct manager *m, bool keyed, struct exec_secrets **ret,
		 struct error *reterr)
{
	const struct exec_run_params *p = request_params(r);
	struct sandbox *s = sandbox_find(m, request_uid(r), p->sandbox, reterr);
	const struct exec_secrets_query query = { .peer = request_uid(r),
						  .pid = request_pid(r),
						  .sandbox = s,
						  .uses = &p->secrets,
						  .command = p->command,
						  .env = &p->env,
						  .has_stdin =
							  p->in.kind != STDIN_NULL || p->tty.given,
						  .exec_id = p->exec_id,
						  .stage = p->stage,
						  .brief = !keyed && !p->detach };

	return s ? exec_secrets_acquire(m, &query, ret, reterr) : -1;
}

void method_exec_run(struct request *r, void *userdata)
{
	static const struct exec_call_kind kind = { .sandbox = sandbox_of,
						    .taken_over = on_taken_over,
						    .key = key,
						    .again = run_again,
						    .lease = lease,
						    .start = start };

	exec_call_run(r, userdata, &kind);
}
