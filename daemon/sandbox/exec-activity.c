/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a sandbox are those below its init in /proc. One belongs to the exec whose
 * leader is above it, or, when that has died, in whose UTS namespace it is (init-wire.h). A daemon
 * may look at them: they are its own user's, or it is root; and it looks only below an init that it
 * holds.
 *
 * Each exec that has done something since the last look begins anew; the processes of one that has
 * written are not even looked at. So it costs little: a few small files for each process of silent
 * execs, seldom, and of few sandboxes in one turn of the loop. Where processes cannot be counted
 * (gVisor keeps them to itself; there are too many) nothing is called stalled. */

#include "sandbox/exec-activity.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/pidfd.h>

#include "sandbox/config.h"
#include "sandbox/event.h"
#include "sandbox/exec-internal.h"
#include "sandbox/process-tree.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/stats.h"
#include "util/log.h"
#include "util/time.h"

#define LOOK_MIN_MS 250
#define LOOK_MAX_MS 15000
#define LOOKS_AT_ONCE 8 /* sandboxes in one turn of the loop */
#define NEXT_TURN_MS 20
#define LOOK_AGAIN_MS 100 /* asked for sooner, the last look is good enough */
/* Processor time that is no sign of life: a clock tick or two, and the timers of an idle program.
 */
#define CPU_NOISE_MS 20
#define CPU_NOISE_PART 200 /* of the time */

struct activity {
	struct manager *manager;
	struct event timer;
	struct process_tree tree;
};

/* A look at one sandbox. */
struct look {
	struct activity *activity;
	struct sandbox *sandbox;
	int64_t now;
	int64_t stall_ms; /* 0: nothing is told */
	uint64_t init_uts;
};

static int64_t interval(const struct manager *m)
{
	int64_t ms = m->config->stall_after_ms / 8;

	if (ms <= 0 || ms > LOOK_MAX_MS)
		return LOOK_MAX_MS;
	return ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms;
}

static void arm(struct activity *a, int64_t ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000,
				       .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (!evtimer_pending(&a->timer, NULL))
		(void)event_add(&a->timer, &delay); /* no memory: with the next exec */
}

/* ---- whose process it is ---- */

/* Its leader among the children of init. */
static void find_leader(struct look *l, const struct exec *e, struct exec_activity *a)
{
	const struct process_tree *t = &l->activity->tree;
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->items[i].pid == a->pid && t->items[i].since == a->since)
			return;
	a->pid = 0;
	for (i = 0; i < t->count && a->pid == 0; i++) {
		if (t->items[i].top != t->items[i].pid ||
		    process_inner_pid(t->items[i].pid) != e->facts.pid)
			continue;
		a->pid = t->items[i].pid;
		a->since = t->items[i].since;
		a->uts = process_uts(a->pid);
		if (a->uts == l->init_uts)
			a->uts = 0; /* no isolation, so it tells nothing */
	}
}

/* An orphan's descendants are its exec's, too. */
static bool is_of(const struct process_use *p, const struct exec_activity *a)
{
	return p->top == a->pid || (a->uts != 0 && process_uts(p->top) == a->uts);
}

struct sums {
	uint64_t cpu_ms;
	uint64_t io_bytes;
	uint64_t processes; /* a digest of which they are */
};

static struct sums sum_up(const struct look *l, const struct exec_activity *a)
{
	const struct process_tree *t = &l->activity->tree;
	const struct process_use *p;
	struct sums s = { 0 };

	for (p = t->items; p < t->items + t->count; p++) {
		if (!is_of(p, a))
			continue;
		s.cpu_ms += p->cpu_ms;
		s.io_bytes += p->io_bytes;
		s.processes = s.processes * 31 + (uint64_t)p->pid * 1000003 + p->since;
	}
	return s;
}

/* ---- what it waits for ---- */

/* The process that P started last; NULL: none. */
static const struct process_use *youngest_child(const struct process_tree *t,
						const struct process_use *p)
{
	const struct process_use *found = NULL;
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->items[i].parent == p->pid && t->items[i].state != 'Z' &&
		    (!found || t->items[i].since >= found->since))
			found = &t->items[i];
	return found;
}

static struct exec_wait find_wait(const struct look *l, const struct exec_activity *a)
{
	const struct process_tree *t = &l->activity->tree;
	const struct process_use *leader = NULL, *last, *next;
	struct exec_wait w = { 0 };
	size_t i;

	for (i = 0; i < t->count && !leader; i++)
		if (t->items[i].pid == a->pid)
			leader = &t->items[i];
	if (!leader)
		return w;
	w.leader = process_waits_on(leader);
	for (last = leader, i = 0; i < t->count; i++) { /* a loop of parents would not end */
		next = youngest_child(t, last);
		if (!next)
			break;
		last = next;
	}
	if (last != leader) {
		w.name = last->name;
		w.process = process_waits_on(last);
	}
	return w;
}

/* ---- one exec ---- */

static void moved(struct exec *e, struct exec_activity *a, int64_t now)
{
	if (a->stalled)
		event_exec_resumed(e, now - a->moved_ms);
	a->stalled = false;
	a->moved_ms = now;
	a->base_cpu_ms = a->cpu_ms;
	a->base_io_bytes = a->io_bytes;
}

static void note_rate(struct exec_activity *a, uint64_t cpu_ms, int64_t now)
{
	int64_t passed = now - a->at_ms;

	if (passed > 0 && cpu_ms >= a->cpu_ms)
		a->cpu_milli = (int64_t)(cpu_ms - a->cpu_ms) * 1000 / passed;
	a->cpu_ms = cpu_ms;
	a->at_ms = now;
}

static bool has_moved(const struct exec_activity *a, const struct sums *s, int64_t now)
{
	uint64_t noise = CPU_NOISE_MS + (uint64_t)(now - a->moved_ms) / CPU_NOISE_PART;

	return s->io_bytes != a->base_io_bytes || s->processes != a->base_processes ||
	       s->cpu_ms < a->base_cpu_ms || s->cpu_ms - a->base_cpu_ms > noise;
}

static void look_at(struct look *l, struct exec *e, struct exec_activity *a)
{
	const bool wrote = e->facts.last_output_at_ms != a->output_at;
	struct exec_wait wait;
	struct sums s;
	bool busy;

	find_leader(l, e, a);
	s = sum_up(l, a);
	a->output_at = e->facts.last_output_at_ms;
	if (a->pid == 0 || !l->activity->tree.whole || e->still) {
		a->moved_ms = l->now; /* nothing is known, or it may not move */
		return;
	}
	busy = has_moved(a, &s, l->now);
	note_rate(a, s.cpu_ms, l->now);
	a->io_bytes = s.io_bytes;
	a->base_processes = s.processes;
	if (wrote || busy) {
		moved(e, a, l->now);
	} else if (!a->stalled && l->stall_ms > 0 && l->now - a->moved_ms >= l->stall_ms) {
		a->stalled = true;
		wait = find_wait(l, a);
		event_exec_stalled(e, l->now - a->moved_ms, &wait);
	}
}

static bool look_at_exec(struct exec *e, void *userdata)
{
	struct look *l = userdata;

	if (e->facts.state != EXEC_STATE_RUNNING || e->exited)
		return true;
	if (!e->activity) {
		e->activity = calloc(1, sizeof(*e->activity));
		if (!e->activity)
			return true; /* the next time */
		e->activity->at_ms = e->activity->moved_ms = e->begun_ms;
		e->activity->cpu_milli = -1;
	}
	look_at(l, e, e->activity);
	return true;
}

/* ---- one sandbox ---- */

static bool can_look(const struct sandbox *s)
{
	return s->pidfd >= 0 && s->facts.pid > 0 && sandbox_is_up(s) &&
	       sandbox_runtime(s) != RUNTIME_RUNSC;
}

void exec_activity_look(struct sandbox *s)
{
	struct manager *m = s->manager;
	struct look l = { .activity = m->activity,
			  .sandbox = s,
			  .now = time_monotonic_ms(),
			  .stall_ms = m->config->stall_after_ms };

	if (!can_look(s) || exec_running_in(m, s) == 0 || l.now - s->looked_ms < LOOK_AGAIN_MS)
		return;
	s->looked_ms = l.now;
	l.init_uts = process_uts(s->facts.pid);
	process_tree_read(&l.activity->tree, s->facts.pid);
	if (pidfd_send_signal(s->pidfd, 0, NULL, 0) < 0)
		return; /* it is gone, and its number may be another's */
	exec_table_each_in(m, s, look_at_exec, &l);
}

/* ---- all of them ---- */

/* The limit on processes refuses without ending anything: only the kernel's count tells. */
static void on_stats(const struct stats *stats, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;
	uint64_t hits = stats ? stats->counters.pids_max_events : 0;

	(void)e; /* the keeper is going, or busy: the next time */
	if (stats && s->pids_told != PIDS_TOLD_UNKNOWN && hits > s->pids_told && sandbox_is_up(s))
		event_sandbox_limit(s, "pids", 0, s->facts.limits.pids);
	if (stats)
		s->pids_told = hits;
	(void)sandbox_unref(s);
}

static void look_at_limits(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	event_sandbox_look_oom(s);
	if (s->facts.limits.pids > 0 && s->keeper &&
	    sandbox_stats(s, false, on_stats, sandbox_ref(s), &e) < 0)
		(void)sandbox_unref(s);
}

struct round {
	struct activity *activity;
	int64_t now;
	unsigned looks;
};

static bool look_if_due(struct sandbox *s, void *userdata)
{
	struct round *r = userdata;
	struct manager *m = s->manager;

	if (!sandbox_is_up(s) || r->now - s->looked_ms < interval(m) || sandbox_is_hidden(s) ||
	    exec_running_in(m, s) == 0)
		return true;
	if (++r->looks > LOOKS_AT_ONCE)
		return false;
	exec_activity_look(s);
	s->looked_ms = r->now; /* whatever it could find out */
	look_at_limits(s);
	return true;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct activity *a = userdata;
	struct round r = { .activity = a, .now = time_monotonic_ms() };

	(void)fd;
	(void)what;
	manager_each_sandbox(a->manager, look_if_due, &r);
	if (r.looks > LOOKS_AT_ONCE)
		arm(a, NEXT_TURN_MS);
	else if (exec_table_running(a->manager) > 0)
		arm(a, interval(a->manager));
}

void exec_activity_begin(struct exec *e)
{
	arm(e->manager->activity, interval(e->manager));
}

void exec_activity_end(struct exec *e)
{
	free(e->activity);
	e->activity = NULL;
}

const struct exec_activity *exec_activity_of(const struct exec *e)
{
	return e->activity;
}

int activity_new(struct manager *m, struct activity **ret)
{
	struct activity *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->manager = m;
	evtimer_assign(&a->timer, m->base, on_timer, a);
	*ret = a;
	return 0;
}

void activity_free(struct activity *a)
{
	if (!a)
		return;
	(void)event_del(&a->timer);
	free(a);
}
