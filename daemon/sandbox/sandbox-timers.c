/* SPDX-License-Identifier: Apache-2.0 */
/* When a sandbox has lived long enough, or has had nothing to do for too long. One timer for all,
 * set to the nearest deadline, and a look around at least every LOOK_MS: libevent's clock stops
 * while the machine sleeps, these deadlines do not. They are kept by CLOCK_BOOTTIME, which nobody
 * sets; only across a restart of the daemon the time of day has to say how much went by.
 *
 * A change of one sandbox can only bring the timer nearer. A deadline that moved away, as it does
 * with every command, is found out when the timer goes off: only then all are looked at.
 *
 * Idle is who runs and has no command, whatever else its processes do. A paused one is not idle:
 * somebody wanted it to wait. */

#include <event2/event.h>

#include "bounds.h"
#include "sandbox/exec.h"
#include "sandbox/sandbox-internal.h"
#include "util/log.h"
#include "util/time.h"

#define LOOK_MS 30000
#define AGAIN_MS 1000          /* while something else is being done to it */
#define AFTER_FAILURE_MS 60000 /* a remove that did not work is tried again */

static void arm(struct manager *m, int64_t now, int64_t ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (event_add(&m->sandboxes->timer, &delay) < 0)
		log_error("no memory for the sandboxes' timer, they stay until one changes");
	else
		m->sandboxes->timer_at_ms = now + ms;
}

void sandbox_timers_begin(struct sandbox *s)
{
	int64_t age = time_realtime_ms() - s->facts.created_at_ms;

	s->born_ms = time_boottime_ms() - (age > 0 ? age : 0);
	s->active_ms = time_boottime_ms();
}

void sandbox_note_activity(struct sandbox *s)
{
	s->active_ms = time_boottime_ms();
	s->not_before_ms = 0;
	sandbox_timers_touch(s);
}

static int64_t ttl_left(const struct sandbox *s, int64_t now)
{
	if (s->facts.ttl_ms <= 0 || s->facts.state == SANDBOX_STATE_REMOVED)
		return INT64_MAX;
	return s->born_ms + s->facts.ttl_ms - now;
}

static int64_t idle_left(const struct sandbox *s, int64_t now)
{
	if (s->facts.idle_timeout_ms <= 0 || s->facts.state != SANDBOX_STATE_RUNNING ||
	    exec_running_in(s->manager, s) > 0)
		return INT64_MAX;
	return s->active_ms + s->facts.idle_timeout_ms - now;
}

static void expire(struct sandbox *s, int64_t now)
{
	bool over = ttl_left(s, now) <= 0;
	bool remove = over || s->facts.remove_on_stop;
	int r = sandbox_submit(s, remove ? SANDBOX_VERB_REMOVE : SANDBOX_VERB_STOP, NULL, NULL,
			       over ? "ttl_expired" : "idle",
			       remove ? SANDBOX_STATE_REMOVED : SANDBOX_STATE_STOPPED);

	s->not_before_ms = now + AFTER_FAILURE_MS;
	if (r < 0)
		log_error("no memory to end sandbox %s, trying again", s->facts.name);
	else
		sandbox_last_op(s)->timeout_ms = EXEC_GRACE_MS;
}

static int64_t time_left(const struct sandbox *s, int64_t now)
{
	int64_t ttl = ttl_left(s, now), idle = idle_left(s, now);

	return ttl < idle ? ttl : idle;
}

void sandbox_timers_touch(struct sandbox *s)
{
	struct sandbox_table *t = s->manager->sandboxes;
	int64_t now = time_boottime_ms(), left = time_left(s, now);

	if (!s->in_table || left == INT64_MAX)
		return;
	left = left < 0 ? 0 : left < LOOK_MS ? left : LOOK_MS;
	if (t->timer_at_ms == 0 || now + left < t->timer_at_ms)
		arm(s->manager, now, left);
}

/* How long until S has to be looked at again. */
static int64_t look_at(struct sandbox *s, int64_t now)
{
	int64_t left = time_left(s, now);

	if (left > 0)
		return left;
	if (s->not_before_ms > now)
		return s->not_before_ms - now;
	if (s->ops)
		return AGAIN_MS;
	expire(s, now);
	return AFTER_FAILURE_MS;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct manager *m = userdata;
	int64_t now = time_boottime_ms(), first = INT64_MAX, left;
	struct sandbox *s;

	(void)fd;
	(void)what;
	m->sandboxes->timer_at_ms = 0;
	if (m->stopping)
		return;
	for (s = m->sandboxes->first; s; s = s->next) {
		left = look_at(s, now);
		if (left < first)
			first = left;
	}
	if (first < INT64_MAX)
		arm(m, now, first < LOOK_MS ? first : LOOK_MS);
}

void sandbox_timers_init(struct manager *m)
{
	evtimer_assign(&m->sandboxes->timer, m->base, on_timer, m);
}
