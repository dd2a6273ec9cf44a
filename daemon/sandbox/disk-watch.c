/* SPDX-License-Identifier: Apache-2.0 */
/* A watch belongs to its sandbox and lives as long; from begin to end its timer runs. At each tick
 * the free space of the state directory is asked (1 us), and only if that says that there may be
 * news (disk-rule.c) the keeper is asked to walk, as for sandbox.stats. That query holds a
 * reference to the sandbox; an answer that belongs to an earlier run is dropped. Not many walk at
 * the same time: clients' queries are to find a place at the keeper, too.
 *
 * The walk does not run at idle I/O priority: a sandbox that keeps the disk busy would keep its own
 * watch from looking. */

#include "sandbox/disk-watch.h"

#include <event2/event.h>
#include <stdlib.h>

#include "sandbox/disk-quota.h"
#include "sandbox/disk-rule.h"
#include "sandbox/event.h"
#include "sandbox/exec.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/stats.h"
#include "util/log.h"
#include "util/space.h"
#include "util/time.h"

#define LOOKS_AT_ONCE 2
#define NO_PLACE_MS 100
#define SECOND_MS 1000
#define END_GRACE_MS 1000 /* between TERM and KILL: meanwhile they may go on writing */

struct disk_watch {
	struct sandbox *sandbox;
	struct event timer;
	struct disk_rule rule;
	struct disk_look look; /* under way, if asking */
	unsigned run;          /* counted, to know whose an answer is */
	unsigned asked_run;
	bool asking;
	bool up;
	bool soon; /* the timer is set as for a busy one */
};

static void arm(struct disk_watch *w, int64_t ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (event_add(&w->timer, &delay) < 0)
		log_error("no memory to watch the disk space of sandbox %s any more",
			  w->sandbox->facts.name);
}

/* Long waits end on the second, so that the daemon wakes up once for many. */
static void arm_next(struct disk_watch *w)
{
	int64_t wait;

	w->soon = exec_running_in(w->sandbox->manager, w->sandbox) > 0;
	wait = disk_rule_wait(&w->rule, w->soon);
	if (wait >= SECOND_MS)
		wait -= (time_monotonic_ms() + wait) % SECOND_MS;
	arm(w, wait);
}

static void stop(struct disk_watch *w)
{
	struct sandbox *s = w->sandbox;

	if (s->ops)
		return; /* something is being done to it; else with the next look */
	if (sandbox_submit(s, SANDBOX_VERB_STOP, NULL, NULL, "disk_full", SANDBOX_STATE_STOPPED) <
	    0)
		log_error("no memory to stop sandbox %s, trying again", s->facts.name);
}

static void act(struct disk_watch *w, enum disk_verdict verdict)
{
	if (verdict == DISK_FINE)
		return;
	sandbox_log(w->sandbox, LOG_LEVEL_INFO, "%llu bytes on disk, %llu is its limit: %s",
		    (unsigned long long)w->rule.used, (unsigned long long)w->rule.cap,
		    verdict == DISK_STOP ? "stopping it" : "ending its commands");
	event_sandbox_limit(w->sandbox, "diskBytes", w->rule.used, w->rule.cap);
	if (verdict == DISK_STOP)
		stop(w);
	else
		exec_table_end_for(w->sandbox->manager, w->sandbox, EXEC_CAUSE_DISK_FULL,
				   END_GRACE_MS);
}

static void on_stats(const struct stats *stats, struct error *e, void *userdata)
{
	struct disk_watch *w = userdata;
	struct sandbox *s = w->sandbox;

	(void)e; /* no place, or no keeper: tried again, or the end comes */
	w->asking = false;
	s->manager->disk_looks--;
	if (!w->up)
		return;
	if (stats && (stats->known & KEEPER_KNOWN_DISK) && w->asked_run == w->run) {
		w->look.used = stats->disk_bytes;
		w->look.took_ms = time_monotonic_ms() - w->look.at_ms;
		w->look.busy = exec_running_in(s->manager, s) > 0;
		act(w, disk_rule_look(&w->rule, &w->look));
	}
	arm_next(w);
}

static void look(struct disk_watch *w, uint64_t free, int64_t now)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = w->sandbox;

	w->look = (struct disk_look){
		.free = free,
		.at_ms = now,
		.settled = !exec_table_is_ending(s->manager, s, EXEC_CAUSE_DISK_FULL),
	};
	w->asking = true;
	w->asked_run = w->run;
	s->manager->disk_looks++;
	if (sandbox_stats(s, true, on_stats, w, &e) == 0)
		return;
	w->asking = false;
	s->manager->disk_looks--;
	arm_next(w);
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct disk_watch *w = userdata;
	struct sandbox *s = w->sandbox;
	int64_t now = time_monotonic_ms();
	struct space space;

	(void)fd;
	(void)what;
	if (w->asking)
		return; /* its answer goes on */
	if (space_look(s->manager->state_fd, 0, &space) < 0)
		space.free_bytes = UINT64_MAX; /* not known: then each tick looks */
	if (s->facts.state != SANDBOX_STATE_RUNNING ||
	    !disk_rule_due(&w->rule, space.free_bytes, now))
		arm_next(w);
	else if (s->manager->disk_looks >= LOOKS_AT_ONCE)
		arm(w, NO_PLACE_MS);
	else
		look(w, space.free_bytes, now);
}

static struct disk_watch *make(struct sandbox *s)
{
	struct disk_watch *w = calloc(1, sizeof(*w));
	struct space space = { 0 };

	if (!w) {
		log_error("no memory to watch the disk space of sandbox %s", s->facts.name);
		return NULL;
	}
	(void)space_look(s->manager->state_fd, 0, &space); /* 0: then the first tick looks */
	w->sandbox = s;
	evtimer_assign(&w->timer, s->manager->base, on_timer, w);
	disk_rule_init(&w->rule, s->facts.limits.disk_bytes, space.free_bytes, time_monotonic_ms());
	return w;
}

void disk_watch_begin(struct sandbox *s)
{
	bool again = s->disk_watch || (s->ops && s->ops->verb == SANDBOX_VERB_START);
	struct disk_watch *w;

	if (s->facts.limits.disk_bytes == 0 || disk_quota_begin(s))
		return;
	if (!s->disk_watch)
		s->disk_watch = make(s);
	w = s->disk_watch;
	if (!w || w->up) /* up: it was paused */
		return;
	w->up = true;
	w->run++;
	if (again)
		disk_rule_restart(&w->rule);
	if (!w->asking)
		arm(w, again ? 0 : disk_rule_wait(&w->rule, false));
}

void disk_watch_end(struct sandbox *s)
{
	struct disk_watch *w = s->disk_watch;

	disk_quota_end(s);
	if (!w)
		return;
	w->up = w->soon = false;
	(void)event_del(&w->timer);
}

void disk_watch_touch(struct sandbox *s)
{
	struct disk_watch *w = s->disk_watch;

	if (!w || !w->up || w->asking || w->soon)
		return;
	w->soon = true;
	arm(w, disk_rule_wait(&w->rule, true));
}

struct disk_watch *disk_watch_free(struct disk_watch *w)
{
	if (w)
		(void)event_del(&w->timer);
	free(w);
	return NULL;
}
