/* SPDX-License-Identifier: Apache-2.0 */
/* When leases expire, or are renewed. One timer for all, set to the nearest. It is the kernel's own
 * by CLOCK_BOOTTIME: that goes on while the machine sleeps and is set by nobody, so that what
 * expired in the sleep ends as soon as it wakes. Only across a restart of the daemon the time of
 * day has to say how much went by. */

#include <errno.h>
#include <event2/event.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/manager.h"
#include "secret/lease-internal.h"
#include "util/log.h"
#include "util/time.h"

#define RENEW_PART 2                 /* of its ttl is left when a lease is renewed, */
#define RENEW_MAX_MS (5 * 60 * 1000) /* at most this */
#define RENEW_AGAIN_MS 1000          /* after a failure at the earliest */

static int64_t due(const struct lease *l)
{
	return l->facts.renew && l->renew_ms < l->over_ms ? l->renew_ms : l->over_ms;
}

static void arm(struct lease_table *t, int64_t at_ms)
{
	int64_t ms = at_ms - time_boottime_ms();
	struct itimerspec spec = { 0 };

	ms = ms > 0 ? ms : 1; /* all zeros would disarm it */
	if (at_ms != INT64_MAX)
		spec.it_value = (struct timespec){ ms / 1000, ms % 1000 * 1000000 };
	t->timer_at_ms = at_ms;
	(void)timerfd_settime(t->timer_fd, 0, &spec, NULL); /* fails for bad arguments only */
}

void lease_timer_set(struct lease_table *t, struct lease *l)
{
	int64_t left = l->facts.expires_at_ms - time_realtime_ms(), margin = left / RENEW_PART;

	l->over_ms = time_boottime_ms() + left;
	l->renew_ms = l->over_ms - (margin < RENEW_MAX_MS ? margin : RENEW_MAX_MS);
	if (due(l) < t->timer_at_ms)
		arm(t, due(l));
}

bool lease_is_over(const struct lease *l)
{
	return time_boottime_ms() >= l->over_ms;
}

static int64_t half_of(int64_t left)
{
	return left / 2 > RENEW_AGAIN_MS ? left / 2 : RENEW_AGAIN_MS;
}

static void on_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct lease_table *t = userdata;
	int64_t now = time_boottime_ms(), first = INT64_MAX;
	struct lease *l, *next;
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof(count)); /* how often it went off is of no use */
	for (l = TAILQ_FIRST(&t->all); l; l = next) {
		next = TAILQ_NEXT(l, in_all);
		if (now >= l->over_ms) {
			lease_end(t->manager, l, LEASE_END_EXPIRED, false);
			continue;
		}
		if (l->facts.renew && now >= l->renew_ms) {
			if (!lease_holder_lives(t->manager, l)) { /* an exec that never began */
				lease_end(t->manager, l, LEASE_END_RELEASED, false);
				continue;
			}
			/* after a failure again, halfway to its end */
			l->renew_ms = now + half_of(l->over_ms - now);
			lease_renew_again(t, l);
		}
		if (due(l) < first)
			first = due(l);
	}
	arm(t, first);
}

int lease_timer_init(struct lease_table *t)
{
	t->timer_at_ms = INT64_MAX;
	t->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->timer_fd < 0)
		return -errno;
	event_assign(&t->timer, t->manager->base, t->timer_fd, EV_READ | EV_PERSIST, on_timer, t);
	return event_add(&t->timer, NULL) < 0 ? -ENOMEM : 0;
}

void lease_timer_deinit(struct lease_table *t)
{
	if (t->timer_fd < 0)
		return;
	(void)event_del(&t->timer);
	t->timer_fd = close_fd(t->timer_fd);
}
