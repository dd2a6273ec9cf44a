/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an exec, from the request that was handed to init to its result.
 *
 * The leader's end is the exec's end. What it leaves behind may write for EXEC_DRAIN_MS more and is
 * killed then (or kept, when the client said so). Whoever ends it early (timeout, cancel, a full
 * disk) sends TERM to the group, waits for the grace and kills everything; the result comes when
 * init has confirmed that nothing is left.
 *
 * The table holds a reference until the exec is dropped, so the callbacks of init and the timers
 * need none; a call to the keeper holds one of its own. Followers hear of the end from the event
 * loop, never from inside the call that caused it; init is told to forget it after them, because
 * they wait and init does not. */

#include "sandbox/exec.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/event.h"
#include "sandbox/exec-activity.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/exec-table.h"
#include "sandbox/init-client.h"
#include "sandbox/journal.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "secret/lease.h"
#include "store/execs.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define KILL_AGAIN_MS 100 /* a kill that could not be sent for want of memory */

const char *exec_state_to_string(enum exec_state s)
{
	static const char *const names[EXEC_STATE_MAX] = {
		[EXEC_STATE_STARTING] = "starting",
		[EXEC_STATE_RUNNING] = "running",
		[EXEC_STATE_ENDED] = "ended",
	};

	return names[s];
}

const char *exec_cause_to_string(enum exec_cause c)
{
	static const char *const names[EXEC_CAUSE_MAX] = {
		[EXEC_CAUSE_EXITED] = "exited",
		[EXEC_CAUSE_SIGNALED] = "signaled",
		[EXEC_CAUSE_TIMEOUT] = "timeout",
		[EXEC_CAUSE_CANCELLED] = "cancelled",
		[EXEC_CAUSE_OOM] = "oom",
		[EXEC_CAUSE_LEASE_REVOKED] = "lease_revoked",
		[EXEC_CAUSE_DISK_FULL] = "disk_full",
		[EXEC_CAUSE_SANDBOX_LOST] = "sandbox_lost",
		[EXEC_CAUSE_NEVER_STARTED] = "never_started",
	};

	return names[c];
}

static const char *phase_to_string(enum exec_phase p)
{
	static const char *const names[EXEC_PHASE_MAX] = {
		[EXEC_PHASE_PREPARING] = "preparing", [EXEC_PHASE_SPAWNING] = "spawning",
		[EXEC_PHASE_RUNNING] = "running",     [EXEC_PHASE_TERMINATING] = "terminating",
		[EXEC_PHASE_DRAINING] = "draining",   [EXEC_PHASE_KILLING] = "killing",
		[EXEC_PHASE_CLOSING] = "closing",     [EXEC_PHASE_ENDED] = "ended",
	};

	return names[p];
}

static void set_state(struct exec *e, enum exec_state state)
{
	assert(state > e->facts.state);
	e->facts.state = state;
}

void exec_set_phase(struct exec *e, enum exec_phase phase)
{
	static const unsigned next[EXEC_PHASE_MAX] = {
		[EXEC_PHASE_PREPARING] = 1u << EXEC_PHASE_SPAWNING | 1u << EXEC_PHASE_CLOSING,
		[EXEC_PHASE_SPAWNING] = 1u << EXEC_PHASE_RUNNING | 1u << EXEC_PHASE_CLOSING,
		[EXEC_PHASE_RUNNING] = 1u << EXEC_PHASE_TERMINATING | 1u << EXEC_PHASE_DRAINING |
				       1u << EXEC_PHASE_CLOSING,
		[EXEC_PHASE_TERMINATING] = 1u << EXEC_PHASE_DRAINING | 1u << EXEC_PHASE_KILLING |
					   1u << EXEC_PHASE_CLOSING,
		[EXEC_PHASE_DRAINING] = 1u << EXEC_PHASE_KILLING | 1u << EXEC_PHASE_CLOSING,
		[EXEC_PHASE_KILLING] = 1u << EXEC_PHASE_CLOSING,
		[EXEC_PHASE_CLOSING] = 1u << EXEC_PHASE_ENDED,
	};

	assert((next[e->phase] & 1u << phase) != 0);
	log_message(LOG_LEVEL_DEBUG,
		    &(const struct log_fields){ .sandbox = sandbox_name(e->sandbox),
						.loop = sandbox_facts(e->sandbox)->loop_id,
						.exec = e->facts.id },
		    "exec %s: %s -> %s", e->facts.id, phase_to_string(e->phase),
		    phase_to_string(phase));
	e->phase = phase;
	if (phase == EXEC_PHASE_RUNNING)
		set_state(e, EXEC_STATE_RUNNING);
	else if (phase == EXEC_PHASE_ENDED)
		set_state(e, EXEC_STATE_ENDED);
}

/* ---- the way to the end ---- */

void exec_arm(struct exec *e, int64_t ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000,
				    .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (e->still) {
		e->left_ms = ms;
		return;
	}
	if (event_add(&e->events->timer, &tv) < 0)
		log_error("exec %s: no memory for its timer, it will not be ended by time",
			  e->facts.id);
}

static void disarm(struct exec *e)
{
	e->left_ms = -1;
	(void)event_del(&e->events->timer);
}

void exec_stand_still(struct exec *e, bool still)
{
	struct timeval due, now;
	int64_t left = e->left_ms;

	if (still == e->still)
		return;
	e->still = still;
	if (!e->events)
		return;
	if (still) {
		if (!evtimer_pending(&e->events->timer, &due))
			return;
		(void)evutil_gettimeofday(&now, NULL);
		evutil_timersub(&due, &now, &due);
		disarm(e);
		e->left_ms = due.tv_sec < 0 ? 0 : (int64_t)due.tv_sec * 1000 + due.tv_usec / 1000;
	} else if (left >= 0) {
		e->left_ms = -1;
		if (e->ending == EXEC_CAUSE_MAX)
			e->deadline_ms = time_monotonic_ms() + left;
		exec_arm(e, left);
	}
	exec_table_save_now(e->manager->execs, e);
}

static struct init_client *init_of(const struct exec *e)
{
	return e->watched ? sandbox_init(e->sandbox) : NULL;
}

static void forget(struct exec *e)
{
	struct init_client *c = init_of(e);

	if (c && e->lost)
		init_client_abandon(c, e->init_exec);
	else if (c)
		init_client_forget(c, e->init_exec);
	e->watched = false;
}

void exec_drop_events(struct exec *e)
{
	if (!e->events)
		return;
	(void)event_del(&e->events->timer);
	(void)event_del(&e->events->disk);
	(void)event_del(&e->events->news);
	(void)event_del(&e->events->client);
	free(TAKE_PTR(e->events));
}

static void on_news(evutil_socket_t fd, short what, void *userdata)
{
	struct exec *e = exec_ref(userdata); /* the followers may be the last to hold it */

	(void)fd;
	(void)what;
	exec_drop_events(e);
	exec_tell(e, EXEC_TELL_ENDED);
	e->told = true;
	if (!e->save_queued) /* else when it is written */
		forget(e);
	(void)exec_unref(e);
}

void exec_row_written(struct exec *e)
{
	if (e->told)
		forget(e);
}

static enum exec_cause cause_of(const struct exec *e)
{
	const struct exec_result *r = &e->facts.result;

	if (r->start_error != INIT_START_OK)
		return EXEC_CAUSE_NEVER_STARTED;
	if (e->ending != EXEC_CAUSE_MAX)
		return e->ending;
	if (e->disk_full) /* it ended by itself, but what it wrote last could not be stored */
		return EXEC_CAUSE_DISK_FULL;
	if (r->signal == SIGKILL && r->oom_kills > 0)
		return EXEC_CAUSE_OOM;
	return r->signal != 0 ? EXEC_CAUSE_SIGNALED : EXEC_CAUSE_EXITED;
}

static bool is_cut(const struct exec *e)
{
	const struct keeper_stream_state *s;
	size_t i;

	if (e->disk_full || e->output_lost)
		return true;
	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		s = &e->facts.stream[i];
		if (s->start > 0 || s->end > EXEC_RESULT_BYTES_MAX)
			return true;
	}
	return false;
}

/* Everything is known. */
static void end(struct exec *e)
{
	struct exec_result *r = &e->facts.result;
	uint64_t kills = sandbox_oom_kills(e->sandbox);

	exec_set_phase(e, EXEC_PHASE_ENDED);
	disarm(e);
	exec_drop_secrets(e);
	(void)event_del(&e->events->disk);
	(void)event_del(&e->events->client);
	e->input = exec_stdin_free(e->input);
	e->terminal = close_fd(e->terminal);
	view_leave(&e->view, e->left_behind && !e->lost ? e->facts.id : NULL);
	r->completed_at_ms = time_realtime_ms();
	r->duration_ms = time_monotonic_ms() - e->begun_ms;
	r->oom_kills = kills > e->oom_kills_before ? kills - e->oom_kills_before : 0;
	r->cause = cause_of(e);
	r->truncated = is_cut(e);
	exec_activity_end(e);
	lease_end_for(e->manager, LEASE_HOLDER_EXEC, e->peer, e->facts.id, LEASE_END_RELEASED,
		      false);
	event_exec_ended(e);
	exec_table_ended(e->manager->execs, e);
	FAULT_POINT("exec.ended");
	if (e->keyed && exec_never_ran(e))
		journal_exec_never_ran(e->manager, e->key);
	else if (e->keyed)
		journal_exec_ended(e, e->key);
	FAULT_POINT("exec.kept");
	event_active(&e->events->news, 0, 0);
}

/* What init was to have and will not get. A caller's descriptor that stayed open would keep his
 * reader waiting for as long as the result is kept. */
static void drop_unsent(struct exec *e)
{
	size_t i;

	exec_drop_request(e);
	for (i = 0; i < ARRAY_SIZE(e->child_fds); i++)
		e->child_fds[i] = close_fd(e->child_fds[i]);
}

void exec_close_output(struct exec *e)
{
	exec_set_phase(e, EXEC_PHASE_CLOSING);
	drop_unsent(e);
	if (!exec_spool_finish(e, EXEC_DRAIN_MS))
		end(e);
}

static void kill_all(struct exec *e)
{
	struct init_client *c = init_of(e);
	int r;

	if (e->phase != EXEC_PHASE_KILLING)
		exec_set_phase(e, EXEC_PHASE_KILLING);
	r = c ? init_client_kill(c, e->init_exec) : -ECONNRESET;
	if (r == -ENOMEM)
		exec_arm(e, KILL_AGAIN_MS);
	/* any other failure: the connection is going, exec_lose() follows */
}

static void after_drain(struct exec *e)
{
	if (e->keep_leftovers && e->ending == EXEC_CAUSE_MAX) {
		e->facts.result.leftovers = e->alive;
		e->left_behind = e->alive > 0;
		exec_close_output(e);
	} else {
		kill_all(e);
	}
}

static void drain(struct exec *e)
{
	exec_set_phase(e, EXEC_PHASE_DRAINING);
	if (!exec_spool_finish(e, EXEC_DRAIN_MS))
		exec_arm(e, EXEC_DRAIN_MS);
}

static void terminate(struct exec *e)
{
	struct init_client *c = init_of(e);

	exec_set_phase(e, EXEC_PHASE_TERMINATING);
	if (c) /* when it cannot be sent, KILL is what is left */
		(void)init_client_signal(c, e->init_exec, SIGTERM, INIT_TARGET_GROUP);
	exec_arm(e, e->grace_ms);
}

void exec_end(struct exec *e, enum exec_cause cause)
{
	if (e->ending != EXEC_CAUSE_MAX || e->phase > EXEC_PHASE_RUNNING)
		return;
	e->ending = cause;
	disarm(e);
	exec_table_save_now(e->manager->execs, e); /* a later daemon has to know why it ended */
	if (e->phase == EXEC_PHASE_RUNNING && !e->adopting)
		terminate(e);
	/* else as soon as there is something to end: exec_spool_opened(), on_started() */
}

void exec_lose(struct exec *e, enum exec_cause cause)
{
	if (e->phase == EXEC_PHASE_ENDED)
		return;
	(void)exec_ref(e);
	e->lost = true;
	forget(e);
	if (e->ending == EXEC_CAUSE_MAX && !e->exited)
		e->ending = cause;
	disarm(e);
	/* draining: exec_spool_closed() goes on, unless it is the timer that is gone */
	if (e->phase != EXEC_PHASE_CLOSING &&
	    !(e->phase == EXEC_PHASE_DRAINING && e->spool_finishing && !e->spool_finished))
		exec_close_output(e);
	(void)exec_unref(e);
}

void exec_force_end(struct exec *e)
{
	exec_lose(e, EXEC_CAUSE_SANDBOX_LOST);
	if (e->phase == EXEC_PHASE_ENDED)
		return;
	if (e->phase != EXEC_PHASE_CLOSING)
		exec_set_phase(e, EXEC_PHASE_CLOSING);
	end(e);
}

void exec_leave(struct exec *e)
{
	struct init_client *c = init_of(e);

	if (c)
		init_client_abandon(c, e->init_exec);
	e->watched = false;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct exec *e = userdata;

	(void)fd;
	(void)what;
	switch (e->phase) {
	case EXEC_PHASE_PREPARING:
	case EXEC_PHASE_SPAWNING:
	case EXEC_PHASE_RUNNING:
		exec_end(e, EXEC_CAUSE_TIMEOUT);
		return;
	case EXEC_PHASE_DRAINING:
		after_drain(e);
		return;
	case EXEC_PHASE_TERMINATING:
	case EXEC_PHASE_KILLING:
		kill_all(e);
		return;
	case EXEC_PHASE_CLOSING:
	case EXEC_PHASE_ENDED:
	case EXEC_PHASE_MAX:
		return;
	}
}

static void on_disk_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct exec *e = userdata;

	(void)fd;
	(void)what;
	exec_end(e, EXEC_CAUSE_DISK_FULL);
}

/* ---- what init says ---- */

/* The size and the input of a terminal are ours, its output is the keeper's to read. */
static int take_terminal(struct exec *e, int master)
{
	int input = -1, r;

	exec_set_terminal(e, master);
	if (master < 0)
		return -EPROTO;
	if (e->input) {
		input = fcntl(master, F_DUPFD_CLOEXEC, 3);
		if (input < 0)
			return -errno;
		r = fd_set_nonblock(input);
		if (r >= 0)
			r = exec_stdin_attach(e->input, input, true);
		else
			(void)close_fd(input);
		if (r < 0)
			return r;
	}
	master = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (master < 0)
		return -errno;
	return exec_spool_open(e, master);
}

static void on_started(void *userdata, const struct init_started *started, int master)
{
	CLEANUP_FD int fd = master;
	struct exec *e = userdata;
	int r;

	if (e->phase != EXEC_PHASE_SPAWNING)
		return;
	FAULT_POINT("exec.started");
	if (started->start_error != INIT_START_OK) {
		exec_never_started(e, (enum init_start_error)started->start_error,
				   -started->header.error);
		return;
	}
	exec_set_phase(e, EXEC_PHASE_RUNNING);
	e->facts.pid = started->pid;
	e->facts.result.started_at_ms = time_realtime_ms();
	if (e->facts.tty) {
		r = take_terminal(e, TAKE_FD(fd));
		if (r < 0) {
			(void)log_errno(LOG_LEVEL_WARNING, r,
					"exec %s: its terminal cannot be read, ending it",
					e->facts.id);
			e->ending =
				e->ending == EXEC_CAUSE_MAX ? EXEC_CAUSE_SANDBOX_LOST : e->ending;
		}
	}
	if (e->ending != EXEC_CAUSE_MAX)
		terminate(e);
	exec_drop_secrets(e);
	event_exec_started(e);
	exec_table_save(e->manager->execs, e);
	exec_tell(e, EXEC_TELL_STARTED);
}

static void on_exited(void *userdata, const struct init_exited *exited)
{
	struct exec *e = userdata;
	struct exec_result *r = &e->facts.result;

	FAULT_POINT("exec.exited");
	e->exited = true;
	e->alive = exited->alive;
	r->signal = exited->signal > 0 && exited->signal < NSIG ? exited->signal : 0;
	r->exit_code = r->signal == 0 ? exited->exit_code & 0xff : -1;
	r->cpu_ms = exited->cpu_usec / 1000;
	r->peak_memory_bytes = exited->max_rss_bytes;
	if (e->phase != EXEC_PHASE_RUNNING && e->phase != EXEC_PHASE_TERMINATING)
		return; /* killing: GONE follows */
	disarm(e);
	e->input = exec_stdin_free(e->input);
	if (e->alive > 0)
		drain(e);
	else
		exec_close_output(e);
}

static void on_gone(void *userdata, uint32_t killed)
{
	struct exec *e = userdata;

	if (e->phase != EXEC_PHASE_KILLING)
		return;
	e->facts.result.leftovers = killed;
	if (!e->exited)
		e->facts.result.signal = SIGKILL;
	exec_close_output(e);
}

static void on_lost(void *userdata)
{
	struct exec *e = userdata;

	e->watched = false;
	exec_lose(e, EXEC_CAUSE_SANDBOX_LOST);
}

void exec_fail_start(struct exec *e, int error)
{
	if (error == -ECONNRESET || error == -EPIPE)
		exec_lose(e, EXEC_CAUSE_SANDBOX_LOST); /* init or the keeper went at that moment */
	else
		exec_never_started(e, INIT_START_INTERNAL, -error);
}

const struct init_exec_watch exec_watch = { on_started, on_exited, on_gone, on_lost };

/* Its time may be over already. */
static void go_on(struct exec *e)
{
	int64_t left;

	if (e->ending != EXEC_CAUSE_MAX) {
		terminate(e);
	} else if (e->left_ms >= 0) {
		exec_arm(e, e->left_ms);
	} else if (e->deadline_ms >= 0) {
		left = e->deadline_ms - time_monotonic_ms();
		exec_arm(e, left > 0 ? left : 0);
	}
}

int exec_take_over(struct exec *e, struct init_client *c)
{
	struct init_adopted a;
	int r = init_client_adopt(c, e->init_exec, &exec_watch, e, &a);

	if (r < 0)
		return r;
	e->watched = true;
	if (a.pid > 0)
		e->facts.pid = a.pid;
	if (e->phase == EXEC_PHASE_SPAWNING) {
		exec_set_phase(e, EXEC_PHASE_RUNNING);
		event_exec_started(e); /* the last daemon died before it was told */
	}
	if (e->input_before == STORE_EXEC_INPUT_CUT && e->ending == EXEC_CAUSE_MAX) {
		log_warning("exec %s: the rest of its stdin was lost with the last daemon, "
			    "ending it",
			    e->facts.id);
		e->ending = EXEC_CAUSE_SANDBOX_LOST;
	}
	if (a.exited)
		on_exited(e, &a.end);
	else
		go_on(e);
	return 0;
}

void exec_never_started(struct exec *e, enum init_start_error why, int error_number)
{
	e->facts.result.start_error = why;
	e->facts.result.start_errno = error_number;
	exec_close_output(e);
}

/* ---- what the keeper says ---- */

void exec_spool_closed(struct exec *e)
{
	if (e->phase == EXEC_PHASE_CLOSING)
		end(e);
	else if (e->phase == EXEC_PHASE_DRAINING && e->lost)
		exec_close_output(e);
	else if (e->phase == EXEC_PHASE_DRAINING)
		after_drain(e);
}

/* ---- the object ---- */

int exec_new(struct exec **ret, struct manager *m, struct sandbox *s)
{
	struct exec *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->events = calloc(1, sizeof(*e->events));
	if (!e->events) {
		free(e);
		return -ENOMEM;
	}
	e->refs = 1;
	e->manager = m;
	e->sandbox = sandbox_ref(s);
	e->peer = sandbox_facts(s)->peer;
	e->ending = EXEC_CAUSE_MAX;
	e->timeout_ms = e->deadline_ms = e->left_ms = -1;
	e->terminal = e->masks = -1;
	e->child_fds[0] = e->child_fds[1] = e->child_fds[2] = -1;
	e->facts.result.exit_code = -1;
	LIST_INIT(&e->followers);
	evtimer_assign(&e->events->timer, m->base, on_timer, e);
	evtimer_assign(&e->events->disk, m->base, on_disk_timer, e);
	event_assign(&e->events->news, m->base, -1, 0, on_news, e);
	exec_adopt_init(e);
	*ret = e;
	return 0;
}

static void destroy(struct exec *e)
{
	exec_drop_events(e);
	forget(e);
	drop_unsent(e);
	exec_activity_end(e);
	view_leave(&e->view, NULL);
	e->input = exec_stdin_free(e->input);
	e->terminal = close_fd(e->terminal);
	exec_drop_secrets(e);
	exec_secrets_free(e->secrets);
	(void)sandbox_unref(e->sandbox);
	free(e->facts.stage);
	free(e->facts.story_id);
	free(e->facts.command);
	free(e->key);
	free(e);
}

struct exec *exec_ref(struct exec *e)
{
	e->refs++;
	return e;
}

struct exec *exec_unref(struct exec *e)
{
	if (e && --e->refs == 0)
		destroy(e);
	return NULL;
}

const struct exec_facts *exec_facts(const struct exec *e)
{
	return &e->facts;
}

struct sandbox *exec_sandbox(const struct exec *e)
{
	return e->sandbox;
}

bool exec_never_ran(const struct exec *e)
{
	const enum exec_cause cause = e->facts.result.cause;

	return e->facts.state == EXEC_STATE_ENDED && !e->asked &&
	       (cause == EXEC_CAUSE_SANDBOX_LOST || cause == EXEC_CAUSE_LEASE_REVOKED);
}

bool exec_is_stopping(const struct exec *e)
{
	return e->manager->stopping;
}
