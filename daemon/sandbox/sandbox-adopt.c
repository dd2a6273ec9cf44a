/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox that runs, and either its daemon is new or its keeper is. An op takes it over: the
 * keeper says what it knows (one that replaces a dead one is given the pidfd of init, and told what
 * was claimed), init says which commands it has, and those are led on. Whatever was lost meanwhile
 * is found out here: an init that ended, a command that did, or one that was never begun.
 *
 * An init that was frozen with its sandbox cannot answer, so a paused one goes on for the moment
 * that this takes. */

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>

#include "sandbox/config.h"
#include "sandbox/disk-watch.h"
#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/owner.h"
#include "sandbox/process.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

#define ADOPT_SECONDS 60 /* a keeper that hangs is given up before */
#define ADOPT_TRIES 3    /* keepers that die meanwhile */

struct sandbox_adoption {
	struct sandbox *sandbox;
	struct event timer;
	unsigned tries;
	bool frozen; /* by the keeper, as we came */
};

static bool want_another(struct sandbox *s);

/* ---- the end ---- */

struct sandbox_adoption *sandbox_adoption_free(struct sandbox_adoption *a)
{
	if (!a)
		return NULL;
	(void)event_del(&a->timer);
	free(a);
	return NULL;
}

static void finish(struct sandbox *s)
{
	s->adoption = sandbox_adoption_free(s->adoption);
	sandbox_op_end(s, NULL);
}

/* It is not there any more, or cannot be reached and must not go on. */
static void give_up(struct sandbox *s, enum sandbox_state state, const char *cause)
{
	(void)sandbox_ref(s);
	log_warning("sandbox %s cannot be taken over: %s", s->facts.name, cause);
	sandbox_lose(s, state, cause);
	if (s->facts.workspaces.count > 0)
		sandbox_undo_later(s); /* if its keeper did not */
	finish(s);
	(void)sandbox_unref(s);
}

static void adopted(struct sandbox *s)
{
	log_info("sandbox %s is taken over, pid %d", s->facts.name, s->facts.pid);
	if (s->facts.state == SANDBOX_STATE_RUNNING)
		disk_watch_begin(s);
	sandbox_save(s);
	sandbox_timers_touch(s);
	finish(s);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct sandbox *s = userdata;

	(void)fd;
	(void)what;
	give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
}

/* ---- init ---- */

static void on_frozen(struct sandbox *s, int error, void *userdata)
{
	(void)userdata;
	if (!s->adoption)
		return;
	if (!sandbox_is_up(s)) {
		finish(s);
		return;
	}
	if (error < 0) {
		log_errno(LOG_LEVEL_WARNING, error, "sandbox %s was paused and goes on",
			  s->facts.name);
		sandbox_set_state(s, SANDBOX_STATE_RUNNING, NULL);
	}
	adopted(s);
}

static void commands_known(struct sandbox *s)
{
	if (s->facts.state == SANDBOX_STATE_PAUSED && sandbox_freeze(s, true, on_frozen, NULL) == 0)
		return;
	if (s->facts.state == SANDBOX_STATE_PAUSED)
		sandbox_set_state(s, SANDBOX_STATE_RUNNING, NULL);
	adopted(s);
}

static void on_init_ready(struct init_client *c, int error, void *userdata)
{
	struct sandbox *s = userdata;

	if (!s->adoption)
		return;
	if (error < 0) {
		give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
		return;
	}
	exec_table_adopt(s->manager, s);
	init_client_end_rest(c);
	commands_known(s);
}

static void on_init_lost(struct init_client *c, void *userdata)
{
	struct sandbox *s = userdata;

	(void)c;
	if (s->adoption)
		give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
	else
		sandbox_init_lost(s);
}

static void connect_init(struct sandbox *s)
{
	static const struct init_client_watch watch = { .on_ready = on_init_ready,
							.on_lost = on_init_lost,
							.on_slow = sandbox_nudge_init };
	CLEANUP_STR char *path = sandbox_init_path(s);
	int r;

	if (s->init) { /* it is the keeper alone that is new */
		exec_table_new_keeper(s->manager, s);
		commands_known(s);
		return;
	}
	r = path ? init_client_new(&s->init, s->manager->base, path, s->manager->config->orphan_ms,
				   &watch, s)
		 : -ENOMEM;
	if (r < 0) {
		log_errno(LOG_LEVEL_WARNING, r, "sandbox %s: cannot connect to its init",
			  s->facts.name);
		give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
	}
}

/* ---- the keeper ---- */

static void on_thawed(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	(void)m;
	if (s->adoption && s->keeper == k) {
		if (error < 0)
			log_errno(LOG_LEVEL_WARNING, error, "sandbox %s cannot be thawed",
				  s->facts.name); /* it does not answer then */
		connect_init(s);
	}
	(void)sandbox_unref(s);
}

static int thaw(struct sandbox *s)
{
	struct wire_message *m = keeper_scratch(s->manager);
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_THAW, 0, sizeof(struct keeper_end));
	r = wire_add_string(m, offsetof(struct keeper_end, id), s->facts.id);
	if (r == 0)
		r = keeper_client_call(s->keeper, m, on_thawed, s);
	if (r == 0)
		(void)sandbox_ref(s); /* on_thawed() gives it back */
	return r;
}

/* The keeper knows what it has to. */
static void keeper_knows(struct sandbox *s)
{
	if (!s->adoption->frozen || s->init || thaw(s) < 0)
		connect_init(s);
}

static void on_recalled(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	(void)m;
	if (s->adoption && s->keeper == k) {
		if (error < 0)
			log_errno(LOG_LEVEL_WARNING, error,
				  "sandbox %s: its keeper does not know what was made for it",
				  s->facts.name);
		else
			s->undo_due = false;
		keeper_knows(s);
	}
	(void)sandbox_unref(s);
}

/* A keeper that is new does not know what was done for it outside. */
static int recall(struct sandbox *s)
{
	int r;

	s->undo_due = s->facts.workspaces.count > 0;
	r = sandbox_call_recall(s, s->keeper, on_recalled);
	if (r == 0)
		(void)sandbox_ref(s); /* on_recalled() gives it back */
	return r;
}

static void take_ended(struct sandbox *s, const struct keeper_adopt_reply *reply)
{
	const struct keeper_ended ended = { .exit_code = reply->exit_code,
					    .signal = reply->signal,
					    .counters = reply->counters };

	(void)sandbox_ref(s);
	s->adoption = sandbox_adoption_free(s->adoption);
	sandbox_ended(s, &ended);
	sandbox_op_end(s, NULL);
	(void)sandbox_unref(s);
}

static void take_running(struct sandbox *s, struct wire_message *m)
{
	const struct keeper_adopt_reply *reply = (const void *)m->data;

	if (s->pidfd < 0) {
		s->pidfd = process_hold_below(reply->pid, keeper_client_pid(s->keeper));
		s->facts.pid = reply->pid;
		s->pid_since = process_since(reply->pid);
	}
	s->memory_version = reply->memory_version;
	if (s->oom_fd < 0) {
		s->oom_fd = wire_take_fd(m, 0); /* -1 where memory is not limited */
		/* what the last daemon told is not told again */
		(void)sandbox_new_oom_kills(s);
		s->pids_told = PIDS_TOLD_UNKNOWN;
	}
	s->adoption->frozen = (reply->flags & KEEPER_ADOPT_FROZEN) != 0;
	if ((reply->flags & KEEPER_ADOPT_CLAIMED) || recall(s) < 0)
		keeper_knows(s);
}

static void on_answer(struct sandbox *s, int error, struct wire_message *m)
{
	const struct keeper_adopt_reply *reply = m ? (const void *)m->data : NULL;

	if (error == 0 && m->size < sizeof(*reply))
		error = -EBADMSG;
	if (error == -ECONNRESET && want_another(s))
		return;
	if (error < 0) {
		if (error != -ESRCH)
			log_errno(LOG_LEVEL_WARNING, error,
				  "sandbox %s: its keeper does not have it", s->facts.name);
		give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
	} else if (reply->flags & KEEPER_ADOPT_ENDED) {
		take_ended(s, reply);
	} else if (reply->flags & KEEPER_ADOPT_ENDING) {
		give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
	} else {
		take_running(s, m);
	}
}

static void on_adopted(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	if (s->adoption && s->keeper == k)
		on_answer(s, error, m);
	(void)sandbox_unref(s);
}

static int fill_adopt(const struct sandbox *s, struct wire_message *m)
{
	struct keeper_adopt *adopt = (void *)m->data;
	int pidfd, r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_ADOPT, 0, sizeof(*adopt));
	adopt->runtime = sandbox_keeper_runtime(s);
	sandbox_fill_keeper_limits(s, &adopt->limits);
	r = wire_add_string(m, offsetof(struct keeper_adopt, id), s->facts.id);
	if (r < 0 || s->pidfd < 0)
		return r;
	pidfd = fcntl(s->pidfd, F_DUPFD_CLOEXEC, 3);
	r = pidfd < 0 ? -errno : wire_add_fd(m, pidfd);
	return r < 0 ? r : 0;
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;
	struct wire_message *m = keeper_scratch(s->manager);
	int r;

	(void)e; /* logged where it happened */
	if (s->adoption && !k) {
		if (!want_another(s)) /* it died as it began */
			give_up(s, SANDBOX_STATE_FAILED, "keeper_lost");
	} else if (s->adoption) {
		s->keeper = k;
		r = fill_adopt(s, m);
		if (r < 0)
			wire_message_done(m);
		else
			r = keeper_client_call(k, m, on_adopted, s);
		if (r == 0)
			return; /* on_adopted() gives the reference back */
		log_errno(LOG_LEVEL_ERROR, r, "sandbox %s: its keeper cannot be asked",
			  s->facts.name);
		give_up(s, SANDBOX_STATE_FAILED, "keeper_lost");
	}
	(void)sandbox_unref(s);
}

static void want_keeper(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)sandbox_ref(s); /* on_keeper() gives it back, or hands it on */
	if (manager_keeper(s->manager, s->facts.owner, on_keeper, s, &e) == 0)
		return;
	give_up(s, SANDBOX_STATE_FAILED, "keeper_lost");
	(void)sandbox_unref(s);
}

/* The one that it had is dead. False: that was the last try. */
static bool want_another(struct sandbox *s)
{
	s->keeper = NULL;
	if (s->manager->stopping || ++s->adoption->tries >= ADOPT_TRIES)
		return false;
	want_keeper(s);
	return true;
}

/* ---- the op ---- */

void sandbox_adopt(struct sandbox *s)
{
	const struct timeval patience = { .tv_sec = ADOPT_SECONDS };
	struct sandbox_adoption *a;

	if (!sandbox_is_up(s) || s->keeper) {
		sandbox_op_end(s, NULL); /* it ended meanwhile */
		return;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		sandbox_lose(s, SANDBOX_STATE_FAILED, "sandbox_lost");
		sandbox_op_end(s, NULL);
		return;
	}
	s->adoption = a;
	a->sandbox = s;
	event_assign(&a->timer, s->manager->base, -1, 0, on_timer, s);
	(void)event_add(&a->timer,
			&patience); /* no memory: who is asked is patient, not for ever */
	if (sandbox_runtime(s) == RUNTIME_HOST && !s->home &&
	    owner_home(s->facts.owner, &s->home, &s->user) < 0)
		give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
	else
		want_keeper(s);
}

void sandbox_adopt_later(struct sandbox *s)
{
	if (sandbox_submit(s, SANDBOX_VERB_ADOPT, NULL, NULL, NULL, s->facts.state) < 0)
		sandbox_lose(s, SANDBOX_STATE_FAILED, "sandbox_lost");
}

void sandbox_adoption_init_lost(struct sandbox *s)
{
	give_up(s, SANDBOX_STATE_FAILED, "sandbox_lost");
}

/* ---- who waits for it ---- */

bool sandbox_is_ready(const struct sandbox *s)
{
	return s->facts.state == SANDBOX_STATE_RUNNING && s->init && s->keeper && !s->adoption;
}

bool sandbox_await(struct sandbox *s, sandbox_done *done, void *userdata)
{
	const struct sandbox_op *op = s->ops;

	while (op && op->verb != SANDBOX_VERB_ADOPT)
		op = op->next;
	return op && s->facts.state == SANDBOX_STATE_RUNNING && !sandbox_is_ready(s) &&
	       sandbox_submit(s, SANDBOX_VERB_AWAIT, done, userdata, NULL, s->facts.state) == 0;
}

void sandbox_await_forget(struct sandbox *s, const void *userdata)
{
	struct sandbox_op *op;

	for (op = s->ops; op; op = op->next)
		if (op->verb == SANDBOX_VERB_AWAIT && op->userdata == userdata)
			op->done = NULL;
}

void sandbox_await_end(struct sandbox *s)
{
	if (!sandbox_waits_for_keeper(s))
		sandbox_op_end(s, NULL);
}

/* ---- for keepers ---- */

bool sandbox_any_of(const struct manager *m, uid_t owner)
{
	const struct sandbox *s;

	for (s = m->sandboxes->first; s; s = s->next)
		if (s->facts.owner == owner && sandbox_is_up(s))
			return true;
	return false;
}

bool sandbox_table_is_adopting(const struct manager *m)
{
	const struct sandbox *s;

	for (s = m->sandboxes->first; s; s = s->next)
		if (s->ops && (s->ops->verb == SANDBOX_VERB_ADOPT || s->unfinished))
			return true;
	return false;
}
