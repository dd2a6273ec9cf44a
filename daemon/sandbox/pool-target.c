/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/pool-target.h"

#include <string.h>

#include "sandbox/pool.h"

/* Forgets what has left the window. */
static void move_to(struct pool_demand *d, int64_t second)
{
	if (second - d->second >= POOL_WINDOW_S) {
		memset(d->seconds, 0, sizeof(d->seconds));
		d->sum = 0;
		d->second = second;
	}
	while (d->second < second) {
		uint32_t *oldest = &d->seconds[++d->second % POOL_WINDOW_S];

		d->sum -= *oldest;
		*oldest = 0;
	}
}

void pool_demand_note(struct pool_demand *d, int64_t now_ms)
{
	move_to(d, now_ms / 1000);
	d->seconds[d->second % POOL_WINDOW_S]++;
	d->sum++;
	d->used_ms = now_ms;
}

uint32_t pool_demand_sum(struct pool_demand *d, int64_t now_ms)
{
	move_to(d, now_ms / 1000);
	return d->sum;
}

bool pool_demand_recent(const struct pool_demand *d, int64_t now_ms)
{
	return d->used_ms > 0 && now_ms - d->used_ms < POOL_USED_MS;
}

uint32_t pool_target(const struct pool_settings *s, uint32_t claims, bool recently_used)
{
	uint32_t target = claims;

	if (target == 0 && recently_used)
		target = 1;
	if (target < s->min)
		target = s->min;
	return target < s->max ? target : s->max;
}

int64_t pool_backoff_ms(unsigned failures)
{
	int64_t ms = POOL_BACKOFF_MS;
	unsigned i;

	if (failures < POOL_FAILURES_MAX)
		return POOL_RETRY_MS;
	for (i = POOL_FAILURES_MAX; i < failures && ms < POOL_BACKOFF_MAX_MS; i++)
		ms *= 2;
	return ms < POOL_BACKOFF_MAX_MS ? ms : POOL_BACKOFF_MAX_MS;
}

int64_t pool_pause_ms(uint64_t load_milli, unsigned cpus)
{
	uint64_t ms;

	if (cpus == 0 || load_milli <= (uint64_t)cpus * 1000)
		return POOL_PAUSE_MS;
	ms = load_milli * POOL_PAUSE_BUSY_MS / ((uint64_t)cpus * 1000);
	return ms < POOL_PAUSE_MAX_MS ? (int64_t)ms : POOL_PAUSE_MAX_MS;
}
