/* SPDX-License-Identifier: Apache-2.0 */
/* From the tool's start to the result: the tool's end, then one verification command after the
 * other in the same sandbox, then a look at the worktree. A run belongs to itself and is in the
 * table's list; who waits for it is told from the event loop and it is gone then. Texts are taken
 * from the spool as soon as a command has ended: a loop.destroy deletes it soon after. */

#include "loop/loop-run.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#include "loop/artifacts-output.h"
#include "loop/loop-run-internal.h"
#include "loop/run-text.h"
#include "sandbox/exec.h"
#include "sandbox/sandbox.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/time.h"

#define CHARACTER_BYTES_MAX 4 /* of UTF-8 */

const char *loop_run_state_to_string(enum loop_run_state s)
{
	static const char *const names[LOOP_RUN_MAX] = {
		[LOOP_RUN_COMPLETED] = "completed",
		[LOOP_RUN_FAILED] = "failed",
		[LOOP_RUN_CANCELLED] = "cancelled",
	};

	return names[s];
}

/* ---- the object ---- */

static void on_ended(struct exec *e, void *userdata);

static void on_tell(evutil_socket_t fd, short events, void *userdata)
{
	struct loop_run *r = userdata;
	struct loop_run_waiter *w;

	(void)fd;
	(void)events;
	if (!r->finished) {
		on_ended(r->exec, r);
		return;
	}
	while ((w = r->waiters)) {
		r->waiters = w->next;
		w->done(&r->result, r->exec, w->userdata);
	}
	loop_run_free(r);
}

struct loop_run *loop_run_alloc(struct loop *l)
{
	struct loop_table *t = l->manager->loops;
	struct loop_run *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->manager = l->manager;
	r->loop = loop_ref(l);
	r->begun_ms = time_monotonic_ms();
	event_assign(&r->tell, l->manager->base, -1, 0, on_tell, r);
	r->next = t->runs;
	if (r->next)
		r->next->previous = r;
	t->runs = r;
	return r;
}

static void result_deinit(struct loop_run_result *r)
{
	free(r->request_id);
	free(r->error);
	free(r->out);
	free(r->err);
	free(r->log);
	string_list_deinit(&r->commands);
	free(r->verification_output);
	artifacts_result_deinit(&r->artifacts);
}

void loop_run_free(struct loop_run *r)
{
	struct loop_run_waiter *w;

	while ((w = r->waiters)) {
		r->waiters = w->next;
		if (w->gone)
			w->gone(w->userdata);
	}
	*(r->previous ? &r->previous->next : &r->manager->loops->runs) = r->next;
	if (r->next)
		r->next->previous = r->previous;
	(void)event_del(&r->tell);
	r->follow = exec_unfollow(r->follow);
	if (r->exec)
		sandbox_await_forget(exec_sandbox(r->exec), r);
	if (r->job)
		artifacts_cancel(r->job);
	r->verification = exec_unref(r->verification);
	r->exec = exec_unref(r->exec);
	free(r->who);
	free(r->stage);
	free(r->story_id);
	free(r->work_dir);
	free(r->base_sha);
	free(r->key);
	pairs_deinit(&r->env);
	result_deinit(&r->result);
	(void)loop_unref(r->loop);
	free(r);
}

void loop_run_free_all(struct loop_table *t)
{
	while (t->runs)
		loop_run_free(t->runs);
}

struct exec *loop_run_exec(const struct loop_run *r)
{
	return r->exec;
}

/* ---- texts ---- */

/* *TEXT + MORE; without memory *TEXT stays as it is: a shorter text is better than none. */
static void append(char **text, const char *more)
{
	char *longer = string_format("%s%s", *text ? *text : "", more ? more : "");

	if (!longer)
		return;
	free(*text);
	*text = longer;
}

static void add_log(struct loop_run *r, const char *what, const char *more)
{
	CLEANUP_STR char *line = NULL;
	char at[TIME_TEXT_SIZE];

	time_format(time_realtime_ms(), at);
	line = string_format("%s %s%s\n", at, what, more ? more : "");
	append(&r->result.log, line);
}

/* The last characters of what E wrote to STREAM; NULL: no memory. */
static char *tail_of(const struct loop_run *r, const struct exec *e,
		     enum keeper_spool_stream stream)
{
	const struct keeper_stream_state *s = &exec_facts(e)->stream[stream];
	CLEANUP_FD int fd = exec_open_spool(e, stream);
	CLEANUP_STR char *bytes = NULL;
	uint64_t size = s->end - s->start;

	if (size > r->limit * CHARACTER_BYTES_MAX)
		size = r->limit * CHARACTER_BYTES_MAX;
	if (fd < 0 || size == 0)
		return strdup("");
	bytes = malloc(size);
	if (!bytes)
		return NULL;
	size = fd_read_at(fd, bytes, size, s->end - size);
	return run_text_tail(bytes, size, r->limit);
}

/* ---- the end ---- */

static enum loop_run_state state_of(const struct loop_run *r, const struct exec_result *e)
{
	bool lost = e->cause == EXEC_CAUSE_SANDBOX_LOST;
	bool ending = r->loop->destroying || r->loop->facts.state != LOOP_STATE_ACTIVE;

	if (r->cancelled || e->cause == EXEC_CAUSE_CANCELLED || (lost && ending))
		return LOOP_RUN_CANCELLED;
	if (e->cause != EXEC_CAUSE_EXITED || e->exit_code != 0)
		return LOOP_RUN_FAILED;
	return r->result.commands.count == 0 || r->result.verified ? LOOP_RUN_COMPLETED
								   : LOOP_RUN_FAILED;
}

/* The sentence about the tool, or about verification when the tool did well. */
static void say_error(struct loop_run *r, const struct exec_result *e)
{
	bool cancelled = r->result.state == LOOP_RUN_CANCELLED;
	bool tool_did_well = e->cause == EXEC_CAUSE_EXITED && e->exit_code == 0;
	CLEANUP_STR char *ending = NULL;

	if (r->result.state == LOOP_RUN_COMPLETED || (r->result.error && !cancelled))
		return; /* a verification command has said it */
	free(TAKE_PTR(r->result.error));
	ending = cancelled ? strdup("was cancelled") : run_text_ending(e, r->timeout_ms);
	if (ending)
		r->result.error =
			string_format("%s %s", tool_did_well ? "verification" : r->who, ending);
}

static void keep_head(struct loop_run *r)
{
	struct loop_facts *f = &r->loop->facts;
	char *copy = NULL;

	if (!r->result.artifacts.head_sha || f->state == LOOP_STATE_DESTROYED ||
	    string_equal(f->head_sha, r->result.artifacts.head_sha) ||
	    string_copy(r->result.artifacts.head_sha, &copy) < 0)
		return;
	free(f->head_sha);
	f->head_sha = copy;
	if (r->loop->in_table)
		(void)loop_row_update(r->loop); /* logged there */
}

static void finish(struct loop_run *r)
{
	const struct exec_result *e = &exec_facts(r->exec)->result;

	r->result.state = state_of(r, e);
	say_error(r, e);
	keep_head(r);
	r->result.started_at_ms = e->started_at_ms;
	r->result.completed_at_ms = time_realtime_ms();
	r->result.duration_ms = time_monotonic_ms() - r->begun_ms;
	r->finished = true;
	if (r->abandoned)
		loop_run_free(r);
	else if (r->waiters)
		event_active(&r->tell, 0, 0);
}

/* ---- artifacts ---- */

static void on_artifacts(struct artifacts_result *a, void *userdata)
{
	struct loop_run *r = userdata;

	r->job = NULL; /* it ends behind this call */
	r->result.artifacts = *a;
	*a = (struct artifacts_result){ 0 };
	finish(r);
}

static void collect(struct loop_run *r)
{
	const struct artifacts_query query = { .peer = r->loop->facts.peer,
					       .owner = r->owner,
					       .work_dir = r->loop->facts.work_dir,
					       .base_sha = r->base_sha,
					       .want_patch = r->artifacts == ARTIFACTS_PATCH };
	CLEANUP_ERROR struct error e = { 0 };

	if (r->artifacts == ARTIFACTS_NONE || r->abandoned || r->manager->stopping) {
		finish(r);
		return;
	}
	if (artifacts_collect(r->manager, &query, on_artifacts, r, &r->job, &e) == 0)
		return;
	r->result.artifacts.empty_because =
		string_format("git_failed: %s", e.message ? e.message : "git cannot be asked");
	finish(r);
}

/* ---- verification ---- */

static void verify_next(struct loop_run *r);

static void add_verification(struct loop_run *r, const char *text)
{
	char *all;

	append(&r->result.verification_output, text);
	if (!r->result.verification_output)
		return;
	all = run_text_tail(r->result.verification_output, strlen(r->result.verification_output),
			    r->limit);
	if (!all)
		return;
	free(r->result.verification_output);
	r->result.verification_output = all;
}

/* COMMAND did not do what it should. */
static void fail_verification(struct loop_run *r, const char *command, const char *why)
{
	CLEANUP_STR char *line = string_format("[%s]\n", why ? why : "failed");

	r->result.verified = false;
	if (line)
		add_verification(r, line);
	if (!r->result.error)
		r->result.error = string_format("verification failed: `%s` %s", command,
						why ? why : "failed");
}

static void on_verified(struct exec *e, void *userdata)
{
	struct loop_run *r = userdata;
	const char *command = r->result.commands.items[r->next_command - 1];
	const struct exec_result *result = &exec_facts(e)->result;
	CLEANUP_STR char *text = tail_of(r, e, KEEPER_STREAM_OUTPUT);
	CLEANUP_STR char *ending = run_text_ending(result, r->timeout_ms);

	r->follow = exec_unfollow(r->follow);
	add_log(r, "it ", ending);
	if (text)
		add_verification(r, text);
	if (text && text[0] && text[strlen(text) - 1] != '\n')
		add_verification(r, "\n");
	if (result->cause == EXEC_CAUSE_CANCELLED)
		r->cancelled = true;
	if (result->cause != EXEC_CAUSE_EXITED || result->exit_code != 0)
		fail_verification(r, command, ending);
	r->verification = exec_unref(r->verification);
	verify_next(r);
}

static int start_verification(struct loop_run *r, const char *command, struct error *reterr)
{
	static const struct exec_follower follower = { .on_ended = on_verified };
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	const struct exec_run_params params = {
		.command = { argv, 3 },
		.env = r->env,
		.work_dir = r->work_dir,
		.capture = CAPTURE_MERGED,
		.timeout_ms = r->timeout_ms,
		.grace_ms = r->grace_ms,
		.on_disconnect = DISCONNECT_KEEP,
		.stage = r->stage,
		.story_id = r->story_id,
		.max_output_bytes = EXEC_SPOOL_BYTES_MAX,
	};
	int fds[3] = { -1, -1, -1 };

	if (exec_start(r->manager, exec_sandbox(r->exec), &params, fds, &r->verification, reterr) <
	    0)
		return -1;
	if (exec_follow(r->verification, &follower, r, &r->follow) == 0)
		return 0;
	exec_end(r->verification, EXEC_CAUSE_CANCELLED);
	r->verification = exec_unref(r->verification);
	return error_set_errno(reterr, -ENOMEM, "it cannot be followed");
}

/* True when it runs: on_verified() goes on. */
static bool verify_one(struct loop_run *r, const char *command)
{
	CLEANUP_STR char *line = string_format("$ %s\n", command);
	CLEANUP_ERROR struct error e = { 0 };

	if (line)
		add_verification(r, line);
	add_log(r, "verification: ", command);
	if (start_verification(r, command, &e) == 0)
		return true;
	fail_verification(r, command, e.message ? e.message : "could not be run");
	return false;
}

static void on_taken_over(struct sandbox *s, struct error *e, void *userdata)
{
	(void)s;
	(void)e;
	verify_next(userdata);
}

static void verify_next(struct loop_run *r)
{
	const struct string_list *commands = &r->result.commands;
	const struct exec_result *e = &exec_facts(r->exec)->result;
	bool wanted = e->cause == EXEC_CAUSE_EXITED && e->exit_code == 0;

	if (!wanted && commands->count > 0)
		add_verification(r, "not run: the tool did not succeed\n");
	if (wanted && r->next_command < commands->count && !r->abandoned &&
	    sandbox_await(exec_sandbox(r->exec), on_taken_over, r))
		return;
	if (wanted && r->next_command == 0)
		r->result.verified = true; /* until one says otherwise */
	while (wanted && !r->abandoned && !r->cancelled && r->next_command < commands->count)
		if (verify_one(r, commands->items[r->next_command++]))
			return;
	if (r->next_command < commands->count)
		r->result.verified = false;
	collect(r);
}

/* ---- the tool ---- */

static void on_ended(struct exec *e, void *userdata)
{
	struct loop_run *r = userdata;
	CLEANUP_STR char *ending = run_text_ending(&exec_facts(e)->result, r->timeout_ms);

	r->follow = exec_unfollow(r->follow); /* NULL is fine */
	add_log(r, "it ", ending);
	r->result.out = tail_of(r, e, KEEPER_STREAM_STDOUT);
	r->result.err = tail_of(r, e, KEEPER_STREAM_STDERR);
	verify_next(r);
}

int loop_run_follow(struct loop_run *r, const struct strings *argv)
{
	static const struct exec_follower follower = { .on_ended = on_ended };
	CLEANUP_STR char *line = string_format("exec %s in %s:", exec_facts(r->exec)->id,
					       sandbox_name(exec_sandbox(r->exec)));
	size_t i;

	for (i = 0; line && i < argv->count; i++) {
		append(&line, " ");
		append(&line, argv->items[i]);
	}
	if (line)
		add_log(r, line, NULL);
	if (exec_facts(r->exec)->state == EXEC_STATE_ENDED) {
		event_active(&r->tell, 0, 0);
		return 0;
	}
	return exec_follow(r->exec, &follower, r, &r->follow);
}

/* ---- who waits ---- */

struct loop_run *loop_run_find(const struct manager *m, uid_t peer, const char *key)
{
	struct loop_run *r;

	for (r = m->loops->runs; r; r = r->next)
		if (!r->abandoned && r->peer == peer && string_equal(r->key, key))
			return r;
	return NULL;
}

void loop_run_wait(struct loop_run *r, struct loop_run_waiter *w)
{
	w->next = r->waiters;
	r->waiters = w;
	if (r->finished)
		event_active(&r->tell, 0, 0);
}

void loop_run_leave(struct loop_run *r, struct loop_run_waiter *w)
{
	struct loop_run_waiter **at;

	for (at = &r->waiters; *at && *at != w; at = &(*at)->next)
		;
	if (*at)
		*at = w->next;
	if (r->waiters)
		return;
	r->abandoned = true;
	if (r->finished || r->job)
		loop_run_free(r);
}

void loop_run_cancel(struct loop_run *r)
{
	r->cancelled = true;
	exec_end(r->exec, EXEC_CAUSE_CANCELLED);
	if (r->verification)
		exec_end(r->verification, EXEC_CAUSE_CANCELLED);
	if (!r->job)
		return; /* it ends by itself soon */
	artifacts_cancel(r->job);
	r->job = NULL;
	finish(r);
}
