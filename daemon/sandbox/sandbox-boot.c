/* SPDX-License-Identifier: Apache-2.0 */
/* From a row to a running sandbox: template, keeper, KEEPER_CREATE, init, KEEPER_CLAIM (those three
 * are sandbox-container.c's). Each step ends in one callback that begins the next or
 * sandbox_boot_fail(), which undoes what `phase` says was done.
 *
 * A create that fails leaves nothing; when its keeper died under it, what the keeper had made on
 * disk is removed by a REMOVE that follows. A start that fails leaves a stopped sandbox. */

#include <string.h>

#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/owner.h"
#include "sandbox/pool.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/secret-file.h"
#include "sandbox/spare.h"
#include "sandbox/template.h"
#include "util/fault.h"
#include "util/log.h"
#include "util/strings.h"

bool sandbox_boot_is_create(const struct sandbox *s)
{
	return s->ops->verb == SANDBOX_VERB_CREATE;
}

/* ---- failure ---- */

static void boot_failed(struct sandbox *s, bool keeper_gone)
{
	CLEANUP_ERROR struct error e = { 0 };

	error_move(&e, &s->boot_error);
	sandbox_warm_judge(s, false);
	s->on_progress = NULL;
	sandbox_release(s);
	if (keeper_gone)
		sandbox_undo_later(s);
	(void)sandbox_ref(s);
	if (!sandbox_boot_is_create(s)) {
		sandbox_set_state(s, SANDBOX_STATE_STOPPED, "start_failed");
	} else if (keeper_gone) {
		sandbox_set_state(s, SANDBOX_STATE_FAILED, "keeper_lost");
		if (sandbox_submit(s, SANDBOX_VERB_REMOVE, NULL, NULL, NULL,
				   SANDBOX_STATE_REMOVED) < 0)
			log_error("no memory to remove sandbox %s, it stays as failed",
				  s->facts.name);
	} else {
		sandbox_set_state(s, SANDBOX_STATE_REMOVED, "create_failed");
		if (sandbox_row_delete(s) < 0)
			log_error("the row of sandbox %s stays behind for now", s->facts.name);
		sandbox_leave(s);
	}
	sandbox_op_end(s, &e);
	(void)sandbox_unref(s);
}

static void on_undone(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	(void)k;
	(void)m;
	if (error < 0 && error != -ESRCH && error != -ENOENT)
		log_errno(LOG_LEVEL_WARNING, error, "what sandbox %s left is not undone",
			  s->facts.name);
	boot_failed(s, error == -ECONNRESET || error == -ETIMEDOUT);
}

bool sandbox_boot_is_given_up(const struct sandbox *s)
{
	return s->cancelled || s->manager->stopping;
}

void sandbox_boot_fail(struct sandbox *s, struct error *e)
{
	/* it, or the one before it, may have made something */
	bool with_keeper =
		s->phase == SANDBOX_PHASE_INIT || s->phase == SANDBOX_PHASE_CLAIM || s->retried;
	uint16_t type = sandbox_boot_is_create(s) ? KEEPER_REMOVE : KEEPER_KILL;

	if (sandbox_is_claimed(s) && !sandbox_boot_is_given_up(s)) {
		sandbox_warm_fail(s, e);
		return;
	}
	if (sandbox_boot_is_given_up(s)) {
		error_clear(e);
		(void)error_set(e, ERROR_CANCELLED, NULL, NULL, "%s",
				s->cancelled ? "the create was cancelled"
					     : "the daemon is stopping");
	}
	sandbox_log(s, LOG_LEVEL_WARNING, "%s", e->message ? e->message : "failed");
	if (e->kind == ERROR_NONE)
		(void)error_set(e, ERROR_INTERNAL, NULL, NULL, "the sandbox cannot be made");
	error_move(&s->boot_error, e);
	sandbox_home_end(s);
	s->init = init_client_free(s->init);
	if (sandbox_is_claimed(s))
		spare_free(s->spare);
	s->phase = SANDBOX_PHASE_NONE;
	if (with_keeper && s->keeper && sandbox_call_end(s, s->keeper, type, on_undone) == 0)
		return;
	boot_failed(s, with_keeper);
}

void sandbox_boot_fail_errno(struct sandbox *s, int r, const char *what)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set_errno(&e, r, "%s", what);
	sandbox_boot_fail(s, &e);
}

void sandbox_boot_fail_keeper(struct sandbox *s, int r, const char *reason)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (r == -ETIMEDOUT)
		(void)error_set(&e, ERROR_TIMEOUT, NULL, "see the daemon's log", "%s",
				reason ? reason : "the runtime did not answer");
	else if (r == -ENOSPC || r == -EDQUOT)
		(void)error_set(&e, ERROR_LIMIT_REACHED, NULL, "free some disk space",
				"no space left for sandbox %s", s->facts.name);
	else if (r == -EROFS)
		(void)error_set(&e, ERROR_UNAVAILABLE, NULL,
				"make the file system of the state directory writable",
				"sandbox %s has no place: the state directory is read-only",
				s->facts.name);
	else
		(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL, "sandboxctl doctor", "%s",
				reason ? reason : strerror(-r));
	sandbox_boot_fail(s, &e);
}

bool sandbox_boot_gave_up(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (!sandbox_boot_is_given_up(s))
		return false;
	sandbox_boot_fail(s, &e);
	return true;
}

/* ---- success ---- */

void sandbox_boot_done(struct sandbox *s)
{
	s->phase = SANDBOX_PHASE_NONE;
	s->on_progress = NULL;
	sandbox_close_workspaces(s);
	sandbox_home_end(s);
	secret_file_seed(s);
	sandbox_set_state(s, SANDBOX_STATE_RUNNING, NULL);
	FAULT_POINT("create.running");
	launch_step(&s->ops->launch, LAUNCH_STEP_RUNNING);
	launch_log(s);
	sandbox_warm_judge(s, true);
	if (sandbox_boot_is_create(s) && s->facts.launch == SANDBOX_LAUNCH_COLD)
		pool_note_cold(s);
	sandbox_op_end(s, NULL);
}

/* ---- keeper ---- */

/* What the daemon believes to be writable the keeper has tried: a limit that would not hold is
 * refused, never ignored. Returns 0, or -1 with E set. */
static int check_controllers(const struct sandbox *s, const struct keeper_client *k,
			     struct error *e)
{
	uint32_t controllers = keeper_client_controllers(k);
	static const char hint[] = "sandboxctl doctor, and the daemon's log";

	if (s->facts.limits.memory_bytes > 0 && (controllers & KEEPER_CONTROLLER_MEMORY) == 0)
		return error_set(e, ERROR_UNAVAILABLE, "limits.memoryBytes", hint,
				 "the keeper cannot limit memory");
	if (s->facts.limits.cpu_milli > 0 && (controllers & KEEPER_CONTROLLER_CPU) == 0)
		return error_set(e, ERROR_UNAVAILABLE, "limits.cpuMilli", hint,
				 "the keeper cannot limit cpu time");
	return 0;
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error own = { 0 };
	struct sandbox *s = userdata;

	if (!k) {
		sandbox_boot_fail(s, e);
		return;
	}
	if (check_controllers(s, k, &own) < 0) {
		sandbox_boot_fail(s, &own);
		return;
	}
	if (keeper_client_map(k) == KEEPER_MAP_SINGLE &&
	    !runtime_can(sandbox_runtime(s), RUNTIME_CAN_ONE_ID)) {
		(void)error_set(&own, ERROR_UNAVAILABLE, "runtime",
				"subordinate ids in /etc/subuid and /etc/subgid; sandboxctl doctor",
				"the runtime %s needs more ids than uid %u has", s->facts.runtime,
				(unsigned)s->facts.owner);
		sandbox_boot_fail(s, &own);
		return;
	}
	s->keeper = k;
	if (sandbox_boot_gave_up(s))
		return;
	if (sandbox_boot_claims_first(s))
		sandbox_boot_claim(s);
	else
		sandbox_boot_create(s);
}

void sandbox_boot_keeper(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	s->phase = SANDBOX_PHASE_KEEPER;
	sandbox_home_begin(s);
	if (manager_keeper(s->manager, s->facts.owner, on_keeper, s, &e) < 0)
		sandbox_boot_fail(s, &e);
}

void sandbox_boot_cold(struct sandbox *s)
{
	if (!sandbox_boot_gave_up(s))
		sandbox_boot_keeper(s);
}

/* ---- template ---- */

static int keep_template(struct sandbox *s, const struct template_resolved *t)
{
	char *name = NULL;
	size_t i;
	int r = string_copy(t->name, &name);

	string_list_deinit(&s->layers);
	for (i = 0; r == 0 && i < t->layers.count; i++)
		r = string_list_add(&s->layers, t->layers.items[i]);
	if (r < 0) {
		free(name);
		return r;
	}
	free(s->facts.template_name);
	s->facts.template_name = name;
	sandbox_save(s);
	return 0;
}

static void on_template(const struct template_resolved *t, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;
	int r;

	if (!t) {
		sandbox_boot_fail(s, e);
		return;
	}
	r = keep_template(s, t);
	if (r < 0)
		sandbox_boot_fail_errno(s, r, "the template cannot be used");
	else if (!sandbox_boot_gave_up(s))
		sandbox_boot_keeper(s);
}

static void on_template_progress(const char *message, void *userdata)
{
	const struct sandbox *s = userdata;

	if (s->on_progress)
		s->on_progress(message, s->progress_userdata);
}

static void want_template(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };
	const struct template_query query = {
		.peer = s->facts.peer,
		.owner = s->facts.owner,
		.tool = s->facts.tool,
		.template_name = s->template_given ? s->facts.template_name : NULL,
	};

	s->phase = SANDBOX_PHASE_TEMPLATE;
	if (template_resolve(s->manager, &query, on_template, on_template_progress, s, &e) < 0)
		sandbox_boot_fail(s, &e);
}

/* ---- the verbs ---- */

/* True when the start goes on. */
static bool start_begins(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	switch (s->facts.state) {
	case SANDBOX_STATE_STOPPED:
	case SANDBOX_STATE_FAILED:
		break;
	case SANDBOX_STATE_RUNNING:
		if (!sandbox_waits_for_keeper(s))
			sandbox_op_end(s, NULL);
		return false;
	case SANDBOX_STATE_CREATING:
	case SANDBOX_STATE_PAUSED:
	case SANDBOX_STATE_REMOVED:
	case SANDBOX_STATE_MAX:
		(void)error_set(&e, ERROR_INVALID_STATE, "sandbox",
				sandbox_state_hint(s->facts.state), "sandbox %s is %s",
				s->facts.name, sandbox_state_to_string(s->facts.state));
		sandbox_op_end(s, &e);
		return false;
	}
	sandbox_set_state(s, SANDBOX_STATE_CREATING, NULL);
	/* as it was made; the configuration may have changed since */
	if (runtime_find(s->manager, s->facts.runtime, &e) && sandbox_open_workspaces(s, &e) == 0)
		return true;
	sandbox_boot_fail(s, &e);
	return false;
}

void sandbox_boot(struct sandbox *s)
{
	int r = 0;

	s->retried = false;
	s->phase = SANDBOX_PHASE_NONE;
	if (!sandbox_boot_is_create(s) && !start_begins(s))
		return;
	launch_step(&s->ops->launch, LAUNCH_STEP_RECORDED);
	if (sandbox_runtime(s) == RUNTIME_HOST && !s->home)
		r = owner_home(s->facts.owner, &s->home, &s->user);
	if (r < 0) {
		sandbox_boot_fail_errno(s, r, "the owner's home cannot be found");
		return;
	}
	if (sandbox_boot_gave_up(s))
		return;
	if (sandbox_is_claimed(s))
		sandbox_warm_boot(s);
	else if (sandbox_boot_is_create(s) && !s->layers_given &&
		 runtime_can(sandbox_runtime(s), RUNTIME_CAN_TEMPLATE))
		want_template(s);
	else
		sandbox_boot_keeper(s);
}

void sandbox_on_progress(struct sandbox *s, void (*fn)(const char *message, void *userdata),
			 void *userdata)
{
	s->on_progress = fn;
	s->progress_userdata = userdata;
}

static void on_interrupted(struct keeper_client *k, int error, struct wire_message *m,
			   void *userdata)
{
	(void)k; /* the answer to KEEPER_CREATE says all; S may be gone by now */
	(void)error;
	(void)m;
	(void)userdata;
}

void sandbox_boot_interrupt(struct sandbox *s)
{
	if (s->phase != SANDBOX_PHASE_CREATE || !s->keeper)
		return;
	if (sandbox_call_end(s, s->keeper, KEEPER_KILL, on_interrupted) < 0)
		log_warning("sandbox %s: cannot interrupt the runtime, waiting for it",
			    s->facts.name);
}

void sandbox_cancel_create(struct sandbox *s)
{
	if (!s->ops || !sandbox_boot_is_create(s))
		return;
	s->cancelled = true;
	sandbox_boot_interrupt(s);
	if (s->phase != SANDBOX_PHASE_TEMPLATE)
		return; /* the step under way is short, and looks at it when it ends */
	template_forget(s->manager, s);
	(void)sandbox_boot_gave_up(s);
}

void sandbox_boot_keeper_lost(struct sandbox *s)
{
	s->keeper = NULL;
	if (s->phase == SANDBOX_PHASE_INIT)
		sandbox_boot_fail_keeper(s, -ECONNRESET, "the keeper ended");
	else if (sandbox_is_claimed(s))
		sandbox_warm_lost(s);
	else
		spare_lost(s, "has lost its keeper");
}

int sandbox_start(struct sandbox *s, int64_t timeout_ms, sandbox_done *done, void *userdata,
		  struct error *reterr)
{
	int r;

	if (s->manager->stopping)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, "start the daemon again",
				 "the daemon is stopping");
	r = sandbox_submit(s, SANDBOX_VERB_START, done, userdata, NULL, SANDBOX_STATE_RUNNING);
	if (r < 0)
		return error_set_errno(reterr, r, "sandbox %s cannot be started", s->facts.name);
	sandbox_last_op(s)->timeout_ms = timeout_ms;
	return 0;
}
