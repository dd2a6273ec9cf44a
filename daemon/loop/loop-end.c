/* SPDX-License-Identifier: Apache-2.0 */
/* How a loop ends: cancelled by somebody, destroyed by somebody, or by time.
 *
 * Destroy looks first: without force nothing happens if work would be lost. Then it stops, and
 * removes: what ran is dead and counted, and the count, the logs and what git found are stored,
 * before its files go. So what was removed is in the receipt even if the rest fails, or the daemon
 * dies, and it is tried again. */

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "loop/kept.h"
#include "loop/loop-internal.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/git.h"
#include "sandbox/sandbox.h"
#include "sandbox/workspace.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define SWEEP_MAX_MS (30 * 60 * 1000) /* the clock may be set: look at it now and then */
#define SWEEP_AGAIN_MS 60000          /* after one that failed */

/* ---- cancel ---- */

static void cancelled(struct loop *l)
{
	struct loop_op *op = l->ops;

	loop_op_end(l, op->error.kind != ERROR_NONE ? &op->error : NULL);
}

/* Stops those in which something runs or could be run. The count of what is under way goes up. */
static void stop_all(struct loop *l, const char *cause)
{
	const struct sandbox_end_how how = { .cause = cause, .grace_ms = -1 };
	struct loop_op *op = l->ops;
	size_t i;

	for (i = 0; i < op->n_members; i++) {
		CLEANUP_ERROR struct error e = { 0 };
		struct sandbox *s = op->members[i].sandbox;

		if (sandbox_state(s) == SANDBOX_STATE_STOPPED ||
		    sandbox_state(s) == SANDBOX_STATE_FAILED)
			continue;
		if (sandbox_stop(s, &how, loop_op_on_done, l, &e) == 0)
			op->pending++;
		else if (op->error.kind == ERROR_NONE)
			error_move(&op->error, &e);
	}
}

static int collect_members(struct loop *l)
{
	int r = loop_op_add_all(l);

	if (r < 0)
		(void)error_set_errno(&l->ops->error, r, "loop %s cannot be ended", l->facts.id);
	return r;
}

void loop_cancel_begin(struct loop *l)
{
	loop_op_begin(l, cancelled);
	if (l->facts.state != LOOP_STATE_DESTROYED && collect_members(l) == 0)
		stop_all(l, "cancelled");
	loop_op_begun(l);
}

/* A create that waits or is under way would only be undone. */
static void interrupt_creates(struct loop *l)
{
	struct loop_op *op, *next;

	(void)loop_ref(l);
	for (op = l->ops; op; op = next) {
		next = op->next; /* only the head can end in the call */
		if (op->verb == LOOP_VERB_CREATE)
			loop_create_cancel(op);
	}
	(void)loop_unref(l);
}

static int destroyed_error(const struct loop *l, struct error *reterr)
{
	(void)error_set(reterr, ERROR_INVALID_STATE, "loopId", NULL, "loop %s is %s", l->facts.id,
			l->destroying ? "being destroyed" : "destroyed");
	error_set_resource(reterr, "loop %s", l->facts.id);
	return -1;
}

int loop_cancel(struct loop *l, const char *reason, loop_done *done, void *userdata,
		struct error *reterr)
{
	if (l->destroying || l->facts.state == LOOP_STATE_DESTROYED)
		return destroyed_error(l, reterr);
	if (!loop_submit(l, LOOP_VERB_CANCEL, done, userdata))
		return error_set_errno(reterr, -ENOMEM, "the loop cannot be cancelled");
	if (l->facts.state == LOOP_STATE_ACTIVE) {
		if (string_copy(reason, &l->facts.reason) < 0)
			l->facts.reason = NULL; /* better cancelled without than not */
		l->facts.ended_at_ms = time_realtime_ms();
		loop_set_state(l, LOOP_STATE_CANCELLED);
		(void)loop_row_update(l); /* logged there; active again after a restart */
		loop_table_arm(l->manager->loops);
	}
	interrupt_creates(l);
	return 0;
}

/* ---- destroy: counting ---- */

static bool count_exec(struct exec *e, void *userdata)
{
	const struct exec_facts *f = exec_facts(e);
	struct receipt *r = userdata;
	size_t i;

	r->execs++;
	r->cpu_ms += f->result.cpu_ms;
	r->processes_killed += f->result.leftovers;
	if (f->result.cause == EXEC_CAUSE_CANCELLED || f->result.cause == EXEC_CAUSE_TIMEOUT)
		r->processes_killed++; /* its leader */
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		r->output_bytes += f->stream[i].end - f->stream[i].start;
	return true;
}

static bool is_counted(const struct receipt *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->sandboxes.count; i++)
		if (strcmp(r->sandboxes.items[i], name) == 0)
			return true;
	return false;
}

/* Once for each sandbox, however often it is tried. */
static int count_sandbox(struct loop *l, struct sandbox *s)
{
	struct receipt *r = &l->facts.receipt;
	int e;

	if (is_counted(r, sandbox_name(s)))
		return 0;
	e = string_list_add(&r->sandboxes, sandbox_name(s));
	if (e == 0)
		exec_table_each_in(l->manager, s, count_exec, r);
	return e;
}

/* `locked` of the worktree, as git sees it; the answer is only shown. */
static enum receipt_lock look_at_lock(const struct loop *l)
{
	enum receipt_lock lock = RECEIPT_LOCK_NONE;
	const struct git_layout *git;
	struct workspace *w = NULL;
	char path[PATH_MAX];
	int fd;

	if (loop_open_work_dir(l->manager, l->facts.peer, l->facts.work_dir, &w, NULL) < 0)
		return RECEIPT_LOCK_NONE; /* gone, or no worktree any more */
	git = workspace_git(w);
	if (git && git->kind == GIT_WORKTREE) {
		(void)snprintf(path, sizeof(path), "worktrees/%s/locked", git->name);
		fd = fd_open_beneath(git->common_fd, path, O_PATH);
		lock = fd >= 0 ? RECEIPT_LOCK_STAYS : RECEIPT_LOCK_GONE;
		(void)close_fd(fd);
	}
	(void)workspace_free(w); /* returns NULL */
	return lock;
}

/* ---- destroy ---- */

static void destroy_failed(struct loop *l)
{
	CLEANUP_ERROR struct error e = { 0 };

	error_move(&e, &l->ops->error);
	l->destroying = false;
	l->not_before_ms = time_realtime_ms() + SWEEP_AGAIN_MS;
	loop_table_arm(l->manager->loops);
	loop_op_end(l, &e);
}

static void removed(struct loop *l)
{
	struct loop_op *op = l->ops;
	struct receipt *r = &l->facts.receipt;
	int error = 0;

	if (op->error.kind == ERROR_NONE) {
		r->lock = look_at_lock(l);
		r->outcome = op->outcome;
		r->at_ms = l->facts.ended_at_ms = time_realtime_ms();
		l->destroying = false;
		loop_set_state(l, LOOP_STATE_DESTROYED);
		error = loop_row_update(l);
	}
	if (error < 0)
		(void)error_set_errno(&op->error, error, "the receipt cannot be kept");
	if (op->error.kind != ERROR_NONE) {
		destroy_failed(l);
		return;
	}
	loop_table_arm(l->manager->loops);
	loop_op_end(l, NULL);
}

static void remove_all(struct loop *l)
{
	const struct sandbox_end_how how = { .grace_ms = -1, .force = true };
	struct loop_op *op = l->ops;
	size_t i;

	loop_op_begin(l, removed);
	for (i = 0; i < op->n_members; i++) {
		CLEANUP_ERROR struct error e = { 0 };
		struct sandbox *s = op->members[i].sandbox;

		if (sandbox_state(s) == SANDBOX_STATE_REMOVED)
			continue; /* by somebody else, just now */
		if (sandbox_remove(s, &how, loop_op_on_done, l, &e) == 0)
			op->pending++;
		else if (op->error.kind == ERROR_NONE)
			error_move(&op->error, &e);
	}
	loop_op_begun(l);
}

static void take_head(struct loop *l)
{
	char *copy = NULL;

	if (!l->ops->found.head_sha || string_copy(l->ops->found.head_sha, &copy) < 0)
		return;
	free(l->facts.head_sha);
	l->facts.head_sha = copy;
}

/* What cannot be stored stops who does not force it: a patch may be all that is left. */
static void keep_found(struct loop *l)
{
	int r = loop_kept_save_artifacts(l, &l->ops->found);

	if (r == 0)
		r = loop_kept_save_refs(l);
	take_head(l);
	if (r < 0 && !l->ops->force) {
		(void)error_set_errno(&l->ops->error, r, "what loop %s made cannot be kept",
				      l->facts.id);
		destroy_failed(l);
		return;
	}
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "loop %s: what it made is not kept", l->facts.id);
	remove_all(l);
}

/* Once, as with counting: the next time some of them may be gone. */
static int keep_logs(const struct loop *l)
{
	if (l->facts.receipt.sandboxes.count > 0)
		return 0;
	return loop_kept_save_logs(l, l->ops->members, l->ops->n_members);
}

static void stopped(struct loop *l)
{
	struct loop_op *op = l->ops;
	size_t i;
	int r;

	if (op->error.kind != ERROR_NONE)
		log_warning("loop %s: %s, removing it all the same", l->facts.id,
			    op->error.message ? op->error.message : "a sandbox did not stop");
	error_clear(&op->error);
	r = keep_logs(l);
	if (r < 0 && op->force) {
		log_errno(LOG_LEVEL_WARNING, r, "loop %s: its logs are not kept", l->facts.id);
		r = 0;
	}
	for (i = 0; r == 0 && i < op->n_members; i++)
		r = count_sandbox(l, op->members[i].sandbox);
	if (r == 0)
		r = loop_row_update(l);
	if (r < 0) {
		(void)error_set_errno(&op->error, r, "the receipt cannot be kept");
		destroy_failed(l);
		return;
	}
	if (op->force)
		loop_look(l, keep_found); /* without, it was done before */
	else
		keep_found(l);
}

/* With nothing running there is nothing to stop in peace: removing kills what is left. */
static bool is_busy(const struct loop *l)
{
	size_t i;

	for (i = 0; i < l->ops->n_members; i++)
		if (exec_running_in(l->manager, l->ops->members[i].sandbox) > 0)
			return true;
	return false;
}

static void stop_first(struct loop *l)
{
	loop_op_begin(l, stopped);
	if (is_busy(l))
		stop_all(l, "removed");
	loop_op_begun(l);
}

static int check_idle(const struct loop *l, struct error *reterr)
{
	struct loop_activity a = loop_activity(l);

	if (!a.alive)
		return 0;
	(void)error_set(reterr, ERROR_INVALID_STATE, "loopId",
			"sandboxctl loop cancel first, or loop rm --force (force: true)",
			"loop %s has running execs", l->facts.id);
	error_set_resource(reterr, "loop %s", l->facts.id);
	return -1;
}

/* The look took a while: commands may have been started. */
static void judge(struct loop *l)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (check_idle(l, &e) == 0 && !loop_would_lose(l, &e)) {
		stop_first(l);
		return;
	}
	l->destroying = false;
	loop_op_end(l, &e);
}

void loop_destroy_begin(struct loop *l)
{
	if (l->facts.state == LOOP_STATE_DESTROYED) {
		loop_op_end(l, NULL);
		return;
	}
	l->destroying = true; /* again, when an earlier one failed meanwhile */
	if (collect_members(l) < 0) {
		destroy_failed(l);
		return;
	}
	if (l->facts.tools.count == 0)
		l->ops->force = true; /* its create was interrupted: nothing of it is there */
	if (l->ops->force)
		stop_first(l);
	else
		loop_look(l, judge);
}

int loop_destroy(struct loop *l, const struct loop_destroy *how, struct error *reterr)
{
	struct loop_op *op;
	bool gone = l->facts.state == LOOP_STATE_DESTROYED || l->destroying;

	if (!gone && !how->force && check_idle(l, reterr) < 0)
		return -1;
	op = loop_submit(l, LOOP_VERB_DESTROY, how->done, how->userdata);
	if (!op)
		return error_set_errno(reterr, -ENOMEM, "the loop cannot be destroyed");
	op->outcome = how->outcome;
	op->force = how->force;
	if (!gone) {
		l->destroying = true;
		interrupt_creates(l);
	}
	return 0;
}

/* ---- by time ---- */

static int64_t kept_ms(const struct loop *l)
{
	const struct config *c = l->manager->config;

	return l->facts.receipt.outcome == RECEIPT_FAILED ? c->failed_loops_kept_ms
							  : c->loops_kept_ms;
}

/* When L is due, CLOCK_REALTIME; INT64_MAX: never. */
static int64_t due_at(const struct loop *l)
{
	const struct loop_facts *f = &l->facts;
	int64_t at = INT64_MAX, swept;

	if (l->destroying)
		return INT64_MAX;
	if (f->state == LOOP_STATE_DESTROYED)
		return f->ended_at_ms + kept_ms(l);
	if (f->ttl_ms > 0)
		at = f->created_at_ms + f->ttl_ms;
	if (f->state == LOOP_STATE_CANCELLED) {
		swept = f->ended_at_ms + l->manager->config->loops_kept_ms;
		at = swept < at ? swept : at;
	}
	return at < l->not_before_ms ? l->not_before_ms : at;
}

void loop_table_arm(struct loop_table *t)
{
	int64_t now = time_realtime_ms(), next = now + SWEEP_MAX_MS, at;
	struct timeval delay;
	const struct loop *l;

	if (!t->first || t->manager->stopping)
		return; /* a timer that is set finds nothing to do */
	for (l = t->first; l; l = l->next) {
		at = due_at(l);
		next = at < next ? at : next;
	}
	next = next > now ? next - now : 0;
	delay = (struct timeval){ .tv_sec = next / 1000,
				  .tv_usec = (suseconds_t)(next % 1000) * 1000 };
	if (event_add(&t->sweep, &delay) < 0)
		log_error("no memory for a timer: loops end late");
}

static bool sweep_one(struct loop *l, void *userdata)
{
	struct loop_destroy how = { .outcome = RECEIPT_EXPIRED, .force = true };
	CLEANUP_ERROR struct error e = { 0 };
	const int64_t *now = userdata;

	if (due_at(l) > *now)
		return true;
	if (l->facts.state == LOOP_STATE_DESTROYED) {
		if (!l->ops)
			loop_forget(l);
		return true;
	}
	if (l->facts.state == LOOP_STATE_CANCELLED)
		how.outcome = RECEIPT_CANCELLED;
	log_info("loop %s: its time is over", l->facts.id);
	if (loop_destroy(l, &how, &e) < 0)
		l->not_before_ms = *now + SWEEP_AGAIN_MS;
	return true;
}

void loop_table_on_sweep(evutil_socket_t fd, short events, void *userdata)
{
	struct loop_table *t = userdata;
	int64_t now = time_realtime_ms();

	(void)fd;
	(void)events;
	if (t->manager->stopping)
		return;
	loop_each(t->manager, sweep_one, &now);
	loop_table_arm(t);
}
