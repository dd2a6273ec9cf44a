/* SPDX-License-Identifier: Apache-2.0 */
/* From running to stopped or removed: execs first, then the keeper kills, then what belonged to the
 * run is closed. And what happens by itself: an init or a keeper that ended. */

#include <string.h>

#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/spare.h"
#include "util/log.h"
#include "util/strings.h"

/* KEEPER_KILL or KEEPER_REMOVE */
int sandbox_call_end(struct sandbox *s, struct keeper_client *k, uint16_t type, keeper_reply *done)
{
	struct wire_message *m = keeper_scratch(s->manager);
	struct keeper_end *end = (void *)m->data;
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, type, 0, sizeof(*end));
	end->give_back = s->foreign_user;
	r = wire_add_string(m, offsetof(struct keeper_end, id), s->facts.id);
	return r < 0 ? r : keeper_client_call(k, m, done, s);
}

static void stop_begin(struct sandbox *s);
static void remove_begin(struct sandbox *s);

static void leave_run(struct sandbox *s)
{
	if (s->init)
		init_client_shutdown(s->init); /* in case nobody killed it */
	sandbox_release(s);
}

/* ---- stop ---- */

static void stopped(struct sandbox *s)
{
	leave_run(s);
	if (s->undo_due)
		sandbox_undo_later(s); /* its keeper was not the one that claimed it */
	sandbox_op_end(s, NULL);
}

static void on_killed(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	(void)k;
	(void)m;
	if (error < 0 && error != -ESRCH && error != -ENOENT && error != -ECONNRESET)
		log_errno(LOG_LEVEL_ERROR, error, "sandbox %s: the keeper cannot kill it",
			  s->facts.name);
	if (error == -ECONNRESET || error == -ETIMEDOUT)
		s->undo_due = true;
	stopped(s);
}

static void end_run(struct sandbox *s, enum sandbox_state state, const char *cause)
{
	exec_table_sandbox_lost(s->manager, s, EXEC_CAUSE_SANDBOX_LOST);
	views_drop(s); /* before the keeper cleans up: they hold what it takes away */
	sandbox_set_state(s, state, cause);
}

static void stop_now(struct sandbox *s)
{
	end_run(s, s->ops->end_state, s->ops->cause);
	if (s->keeper && sandbox_call_end(s, s->keeper, KEEPER_KILL, on_killed) == 0)
		return;
	s->undo_due = s->facts.workspaces.count > 0; /* it died just now */
	stopped(s);
}

static void on_execs_ended(struct sandbox *s, void *userdata)
{
	(void)userdata;
	if (sandbox_is_up(s))
		stop_now(s);
	else
		stopped(s); /* its init or keeper ended meanwhile */
}

/* Commands of a paused one must run to hear TERM. Where that fails they are killed. */
static void on_thawed(struct sandbox *s, int error, void *userdata)
{
	void (*next)(struct sandbox * s) =
		s->ops->verb == SANDBOX_VERB_STOP ? stop_begin : remove_begin;

	(void)userdata;
	if (error == 0 && s->facts.state == SANDBOX_STATE_PAUSED)
		sandbox_set_state(s, SANDBOX_STATE_RUNNING, NULL);
	else
		s->ops->force = true;
	next(s);
}

static bool thaw_first(struct sandbox *s)
{
	return s->facts.state == SANDBOX_STATE_PAUSED && !s->ops->force &&
	       exec_running_in(s->manager, s) > 0 && sandbox_freeze(s, false, on_thawed, NULL) == 0;
}

static void stop_begin(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	switch (s->facts.state) {
	case SANDBOX_STATE_RUNNING:
	case SANDBOX_STATE_PAUSED:
		break;
	case SANDBOX_STATE_STOPPED:
	case SANDBOX_STATE_FAILED:
		sandbox_op_end(s, NULL);
		return;
	case SANDBOX_STATE_CREATING:
	case SANDBOX_STATE_REMOVED:
	case SANDBOX_STATE_MAX:
		(void)error_set(&e, ERROR_NOT_FOUND, "sandbox", NULL, "sandbox %s is gone",
				s->facts.name);
		sandbox_op_end(s, &e);
		return;
	}
	if (s->ops->end_state == SANDBOX_STATE_STOPPED && thaw_first(s))
		return;
	/* a wanted stop gives commands their grace; where init is gone there is nobody to ask */
	if (s->ops->force || s->ops->end_state != SANDBOX_STATE_STOPPED ||
	    s->facts.state != SANDBOX_STATE_RUNNING ||
	    exec_table_end(s->manager, s, s->ops->timeout_ms, on_execs_ended, NULL) == 0)
		stop_now(s);
}

/* ---- remove ---- */

static void removed(struct sandbox *s)
{
	int r;

	leave_run(s);
	exec_table_sandbox_removed(s->manager, s);
	if (s->facts.state != SANDBOX_STATE_REMOVED)
		sandbox_set_state(s, SANDBOX_STATE_REMOVED, s->ops->cause);
	r = sandbox_row_delete(s);
	if (r < 0)
		log_errno(LOG_LEVEL_ERROR, r, "the row of sandbox %s stays behind", s->facts.name);
	(void)sandbox_ref(s);
	sandbox_leave(s);
	sandbox_op_end(s, NULL);
	template_sweep(s->manager);
	(void)sandbox_unref(s);
}

/* What the keeper could not remove may still be there: the sandbox stays, so that it can be tried
 * again. */
static void remove_failed(struct sandbox *s, struct error *e)
{
	leave_run(s);
	s->removing = false;
	if (s->facts.state == SANDBOX_STATE_STOPPED)
		sandbox_set_state(s, SANDBOX_STATE_FAILED, "remove_failed");
	else
		sandbox_save(s);
	sandbox_op_end(s, e);
}

static void want_keeper(struct sandbox *s);

static void on_removed(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = userdata;

	(void)k;
	(void)m;
	if (error == 0 || error == -ESRCH || error == -ENOENT) {
		removed(s);
		return;
	}
	if (error == -ECONNRESET || error == -ETIMEDOUT)
		s->undo_due = true;
	if (error == -ECONNRESET && !s->retried) {
		s->retried = true; /* it ended for lack of work, or died: a new one can do it */
		want_keeper(s);
		return;
	}
	(void)error_set(&e, error == -ETIMEDOUT ? ERROR_TIMEOUT : ERROR_RUNTIME_FAILED, NULL,
			"try again", "sandbox %s cannot be removed: %s", s->facts.name,
			strerror(-error));
	remove_failed(s, &e);
}

static void call_remove(struct sandbox *s, struct keeper_client *k)
{
	CLEANUP_ERROR struct error e = { 0 };
	int r = sandbox_call_end(s, k, KEEPER_REMOVE, on_removed);

	if (r < 0) {
		(void)error_set_errno(&e, r, "sandbox %s cannot be removed", s->facts.name);
		remove_failed(s, &e);
	}
}

static void on_undone(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	sandbox_undone(s, error);
	if (error == -ECONNRESET || error == -ETIMEDOUT)
		on_removed(k, error, m, s);
	else
		call_remove(s, k); /* even so: a sandbox must not be there for ever */
}

static void on_killed_first(struct keeper_client *k, int error, struct wire_message *m,
			    void *userdata)
{
	struct sandbox *s = userdata;

	if (error == -ECONNRESET || error == -ETIMEDOUT)
		on_removed(k, error, m, s);
	else if (sandbox_call_undo(s, k, on_undone) < 0)
		call_remove(s, k);
}

/* Undone is what is not running. */
static void on_remove_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;

	if (!k)
		remove_failed(s, e);
	else if (!s->undo_due || sandbox_call_end(s, k, KEEPER_KILL, on_killed_first) < 0)
		call_remove(s, k);
}

static void want_keeper(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (manager_keeper(s->manager, s->facts.owner, on_remove_keeper, s, &e) < 0)
		remove_failed(s, &e);
}

static void remove_now(struct sandbox *s)
{
	CLEANUP_STR char *path = NULL;

	s->removing = true;
	if (sandbox_is_up(s))
		end_run(s, SANDBOX_STATE_STOPPED, s->ops->cause ? s->ops->cause : "removed");
	else
		sandbox_save(s);
	s->retried = false;
	path = s->leftover ? sandbox_init_path(s) : NULL;
	s->leftover = false;
	if (!path || !sandbox_orphan_end(s, path, want_keeper))
		want_keeper(s);
}

static void on_execs_ended_first(struct sandbox *s, void *userdata)
{
	(void)userdata;
	remove_now(s);
}

static void remove_begin(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (s->facts.state == SANDBOX_STATE_REMOVED) {
		(void)error_set(&e, ERROR_NOT_FOUND, "sandbox", NULL, "sandbox %s is gone",
				s->facts.name);
		sandbox_op_end(s, &e);
		return;
	}
	if (s->ops->timeout_ms >= 0 && thaw_first(s))
		return;
	if (s->ops->timeout_ms < 0 || s->facts.state != SANDBOX_STATE_RUNNING ||
	    exec_table_end(s->manager, s, s->ops->timeout_ms, on_execs_ended_first, NULL) == 0)
		remove_now(s);
}

/* ---- verbs ---- */

void sandbox_end(struct sandbox *s)
{
	if (sandbox_waits_for_keeper(s))
		return;
	if (s->ops->verb == SANDBOX_VERB_STOP)
		stop_begin(s);
	else
		remove_begin(s);
}

int sandbox_stop(struct sandbox *s, const struct sandbox_end_how *how, sandbox_done *done,
		 void *userdata, struct error *reterr)
{
	/* one that goes with its stop is gone when this is answered */
	bool remove = s->facts.remove_on_stop && sandbox_is_up(s);
	int64_t grace_ms = how->grace_ms;
	int r = sandbox_submit(s, remove ? SANDBOX_VERB_REMOVE : SANDBOX_VERB_STOP, done, userdata,
			       how->cause, SANDBOX_STATE_STOPPED);

	if (r < 0)
		return error_set_errno(reterr, r, "sandbox %s cannot be stopped", s->facts.name);
	if (remove && !how->force && grace_ms < 0)
		grace_ms = EXEC_GRACE_MS;
	sandbox_last_op(s)->timeout_ms = remove && how->force ? -1 : grace_ms;
	sandbox_last_op(s)->force = how->force;
	return 0;
}

int sandbox_remove(struct sandbox *s, const struct sandbox_end_how *how, sandbox_done *done,
		   void *userdata, struct error *reterr)
{
	size_t running = exec_running_in(s->manager, s);
	int r;

	if (!how->force && running > 0) {
		(void)error_set(reterr, ERROR_INVALID_STATE, "sandbox",
				"sandboxctl rm --force (force: true)",
				"sandbox %s has %zu running exec%s", s->facts.name, running,
				running == 1 ? "" : "s");
		error_set_resource(reterr, "sandbox %s", s->facts.name);
		return -1;
	}
	r = sandbox_submit(s, SANDBOX_VERB_REMOVE, done, userdata, NULL, SANDBOX_STATE_REMOVED);
	if (r < 0)
		return error_set_errno(reterr, r, "sandbox %s cannot be removed", s->facts.name);
	sandbox_last_op(s)->timeout_ms = how->grace_ms;
	return 0;
}

/* ---- by itself ---- */

static const char *ended_cause(const struct keeper_ended *ended)
{
	if (ended->counters.oom_kills > 0 && ended->signal != 0)
		return "oom";
	if (ended->signal == 0 && ended->exit_code == 0)
		return "init_exited";
	return "sandbox_lost";
}

void sandbox_lose(struct sandbox *s, enum sandbox_state state, const char *cause)
{
	end_run(s, state, cause);
	leave_run(s);
}

void sandbox_ended(struct sandbox *s, const struct keeper_ended *ended)
{
	const char *cause = ended_cause(ended);
	const bool by_itself = strcmp(cause, "init_exited") == 0;

	sandbox_lose(s, by_itself ? SANDBOX_STATE_STOPPED : SANDBOX_STATE_FAILED, cause);
	if (s->undo_due)
		sandbox_undo_later(s);
}

void sandbox_on_ended(struct manager *m, struct keeper_client *k, const char *id,
		      const struct keeper_ended *ended)
{
	struct sandbox *s = table_find(&m->sandboxes->by_id, id);

	if (!s || s->keeper != k) {
		log_debug("a sandbox that is not ours ended, ignoring it");
		return;
	}
	if (sandbox_is_spare(s))
		spare_lost(s, "has ended");
	if (sandbox_is_claimed(s))
		sandbox_warm_lost(s);
	if (!sandbox_is_up(s))
		return;   /* a boot or an end is under way and hears of it by itself */
	if (!s->adoption) /* else its init's connection tells */
		sandbox_ended(s, ended);
}

/* Its connection ended. Usually the keeper tells how in the same moment; if not, this makes sure
 * that nothing of it runs on. */
void sandbox_init_lost(struct sandbox *s)
{
	if (!sandbox_is_up(s) || s->ops)
		return;
	if (sandbox_submit(s, SANDBOX_VERB_STOP, NULL, NULL, "sandbox_lost", SANDBOX_STATE_FAILED) <
	    0)
		log_error("no memory to stop sandbox %s, whose init is gone", s->facts.name);
}

struct lost_scope {
	struct keeper_client *keeper;
	struct manager *manager;
};

static bool lose_one(struct sandbox *s, void *userdata)
{
	const struct lost_scope *scope = userdata;

	if (s->keeper != scope->keeper)
		return true;
	/* a boot knows what it has done; else it may end, or be ending, without the next keeper
	 * having been told of what this one made outside */
	if (s->phase == SANDBOX_PHASE_NONE)
		s->undo_due = s->facts.workspaces.count > 0;
	if (sandbox_is_up(s) && s->adoption) {
		s->keeper = NULL; /* it had asked all that it wanted: once more, then */
		sandbox_adopt_later(s);
	} else if (sandbox_is_up(s) && sandbox_runtime(s) == RUNTIME_RUNSC) {
		sandbox_lose(s, SANDBOX_STATE_FAILED, "keeper_lost"); /* nobody else can enter it */
		sandbox_undo_later(s);
	} else if (sandbox_is_up(s)) {
		s->keeper = NULL;
		sandbox_freeze_lost(s);
		exec_table_spools_lost(scope->manager, s);
		sandbox_adopt_later(s);
	} else {
		(void)sandbox_ref(s);
		sandbox_boot_keeper_lost(s);
		(void)sandbox_unref(s);
	}
	return true;
}

void sandbox_keeper_lost(struct manager *m, struct keeper_client *k)
{
	struct lost_scope scope = { .keeper = k, .manager = m };

	manager_each_sandbox(m, lose_one, &scope);
}
