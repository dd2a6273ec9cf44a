/* SPDX-License-Identifier: Apache-2.0 */
/* Pause and resume. Where the keeper has a freezer the whole cgroup is frozen, init too; elsewhere
 * init stops everybody else with a signal. Either way what init is asked meanwhile waits in its
 * client, and the clocks of execs stand still: time that a command could not use is not its own.
 *
 * Both verbs are ops, so nothing else is done to the sandbox meanwhile. Its run may still end by
 * itself: then sandbox_freeze_lost() answers. */

#include <event2/event.h>
#include <string.h>

#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "util/log.h"

#define INIT_STOP_SECONDS 10 /* more than it takes on any machine; then init is held up */

/* ---- freezing ---- */

static void hold(struct sandbox *s, bool held)
{
	if (s->init)
		init_client_hold(s->init, held);
	exec_table_hold(s->manager, s, held);
}

static void finish(struct sandbox *s, int error)
{
	struct sandbox_freezing *f = &s->freezing;
	sandbox_frozen *done = f->done;
	bool frozen = error == 0 ? f->freeze : !f->freeze;

	if (!done)
		return;
	f->done = NULL;
	(void)event_del(&f->timer);
	if (!frozen)
		hold(s, false);
	(void)sandbox_ref(s);
	done(s, error, f->userdata);
	(void)sandbox_unref(s);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct sandbox *s = userdata;

	(void)fd;
	(void)what;
	if (s->freezing.error == -ETIMEDOUT && s->freezing.freeze && s->init)
		(void)init_client_stop_all(s->init, false, NULL, NULL); /* whenever it hears it */
	finish(s, s->freezing.error);
}

void sandbox_pause_init(struct sandbox *s)
{
	event_assign(&s->freezing.timer, s->manager->base, -1, 0, on_timer, s);
}

/* Told from the loop: whoever notices may be in the middle of something. */
void sandbox_freeze_lost(struct sandbox *s)
{
	if (!s->freezing.done)
		return;
	s->freezing.error = -ECONNRESET;
	event_active(&s->freezing.timer, 0, 0);
}

static void on_keeper_answer(struct keeper_client *k, int error, struct wire_message *m,
			     void *userdata)
{
	struct sandbox *s = userdata;

	(void)m;
	if (s->keeper == k) /* else its run has ended, which is told already */
		finish(s, error);
	(void)sandbox_unref(s);
}

static void on_init_answer(int error, void *userdata)
{
	finish(userdata, error);
}

static int ask_keeper(struct sandbox *s)
{
	uint16_t type = s->freezing.freeze ? KEEPER_FREEZE : KEEPER_THAW;
	struct wire_message *m = keeper_scratch(s->manager);
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, type, 0, sizeof(struct keeper_end));
	r = wire_add_string(m, offsetof(struct keeper_end, id), s->facts.id);
	if (r >= 0)
		r = keeper_client_call(s->keeper, m, on_keeper_answer, s);
	if (r >= 0)
		(void)sandbox_ref(s); /* its answer may come after all else has gone */
	return r < 0 ? r : 0;
}

/* Where it helped, init says so itself. */
static void on_nudged(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	(void)k;
	(void)m;
	(void)userdata;
	if (error < 0)
		(void)log_errno(LOG_LEVEL_DEBUG, error, "a sandbox's init cannot be nudged");
}

void sandbox_nudge_init(void *userdata)
{
	const struct sandbox *s = userdata;
	struct wire_message *m = keeper_scratch(s->manager);

	if (!s->keeper)
		return;
	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_NUDGE, 0, sizeof(struct keeper_end));
	if (wire_add_string(m, offsetof(struct keeper_end, id), s->facts.id) >= 0)
		(void)keeper_client_call(s->keeper, m, on_nudged, NULL); /* else the next one */
}

static int ask_init(struct sandbox *s)
{
	static const struct timeval patience = { .tv_sec = INIT_STOP_SECONDS };
	int r = init_client_stop_all(s->init, s->freezing.freeze, on_init_answer, s);

	if (r < 0)
		return r;
	s->freezing.error = -ETIMEDOUT;
	(void)event_add(&s->freezing.timer, &patience); /* no memory: the end of its run tells */
	return 0;
}

int sandbox_freeze(struct sandbox *s, bool freeze, sandbox_frozen *done, void *userdata)
{
	struct sandbox_freezing *f = &s->freezing;
	int r;

	if (!s->keeper || !s->init || f->done)
		return f->done ? -EBUSY : -ECONNRESET;
	f->freeze = freeze;
	f->userdata = userdata;
	if (keeper_client_controllers(s->keeper) & KEEPER_CONTROLLER_FREEZER)
		r = ask_keeper(s);
	else
		r = ask_init(s);
	if (r < 0)
		return r;
	f->done = done;
	if (freeze)
		hold(s, true);
	return 0;
}

bool sandbox_freeze_again(struct sandbox *s, int error)
{
	if (error != -ECONNRESET || !sandbox_is_up(s) || s->ops->again)
		return false;
	s->ops->again = true;
	event_active(&s->kick, 0, 0);
	return true;
}

/* ---- the verbs ---- */

static void fail(struct sandbox *s, int r)
{
	CLEANUP_ERROR struct error e = { 0 };
	bool pause = s->ops->verb == SANDBOX_VERB_PAUSE;

	if (sandbox_freeze_again(s, r))
		return;
	if (!sandbox_is_up(s))
		(void)error_set(&e, ERROR_INVALID_STATE, "sandbox",
				sandbox_state_hint(s->facts.state), "sandbox %s is %s",
				s->facts.name, sandbox_state_to_string(s->facts.state));
	else
		(void)error_set(&e, r == -ETIMEDOUT ? ERROR_TIMEOUT : ERROR_RUNTIME_FAILED, NULL,
				"try again, or sandboxctl stop", "sandbox %s cannot be %s: %s",
				s->facts.name, pause ? "paused" : "resumed", strerror(-r));
	error_set_resource(&e, "sandbox %s", s->facts.name);
	sandbox_op_end(s, &e);
}

static void on_frozen(struct sandbox *s, int error, void *userdata)
{
	bool pause = s->ops->verb == SANDBOX_VERB_PAUSE;

	(void)userdata;
	if (error < 0 || !sandbox_is_up(s)) {
		fail(s, error);
		return;
	}
	sandbox_set_state(s, pause ? SANDBOX_STATE_PAUSED : SANDBOX_STATE_RUNNING, NULL);
	sandbox_op_end(s, NULL);
}

void sandbox_pause_now(struct sandbox *s)
{
	bool pause = s->ops->verb == SANDBOX_VERB_PAUSE;
	int r = -EINVAL;

	if (s->facts.state == (pause ? SANDBOX_STATE_PAUSED : SANDBOX_STATE_RUNNING)) {
		sandbox_op_end(s, NULL);
		return;
	}
	if (sandbox_waits_for_keeper(s))
		return;
	if (sandbox_is_up(s))
		r = sandbox_freeze(s, pause, on_frozen, NULL);
	if (r < 0)
		fail(s, r);
}

static int submit(struct sandbox *s, enum sandbox_verb verb, sandbox_done *done, void *userdata,
		  struct error *reterr)
{
	int r = sandbox_submit(s, verb, done, userdata, NULL, s->facts.state);

	return r < 0 ? error_set_errno(reterr, r, "sandbox %s cannot be asked", s->facts.name) : 0;
}

int sandbox_pause(struct sandbox *s, sandbox_done *done, void *userdata, struct error *reterr)
{
	if (!runtime_can(sandbox_runtime(s), RUNTIME_CAN_PAUSE))
		return error_set(reterr, ERROR_UNAVAILABLE, "sandbox", "the runtime crun or runc",
				 "a sandbox of the runtime %s cannot be paused", s->facts.runtime);
	return submit(s, SANDBOX_VERB_PAUSE, done, userdata, reterr);
}

int sandbox_resume(struct sandbox *s, sandbox_done *done, void *userdata, struct error *reterr)
{
	return submit(s, SANDBOX_VERB_RESUME, done, userdata, reterr);
}
