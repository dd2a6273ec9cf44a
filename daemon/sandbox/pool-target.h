/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How many spares a pool should have, and when to try again after a failure. Pure arithmetic: times
 * are given, in milliseconds of one clock that only goes forward. */

#include <stdbool.h>
#include <stdint.h>

struct pool_settings;

#define POOL_WINDOW_S 60              /* claims of so long are the demand */
#define POOL_USED_MS (60 * 60 * 1000) /* who was used so recently keeps one spare */

#define POOL_RETRY_MS 1000   /* after a failure */
#define POOL_FAILURES_MAX 10 /* in a row: from here on it waits longer each time, */
#define POOL_BACKOFF_MS 5000 /* beginning with this, */
#define POOL_BACKOFF_MAX_MS ((int64_t)600000) /* up to this */

#define POOL_PAUSE_MS 10 /* between claim and refill */
#define POOL_PAUSE_BUSY_MS                                                                         \
	50 /* between two spares for each time that the machine is overcommitted */
#define POOL_PAUSE_MAX_MS 400

/* The claims of the last minute, by second. Zeroed: none. */
struct pool_demand {
	uint32_t seconds[POOL_WINDOW_S];
	int64_t second; /* of the newest entry */
	uint32_t sum;
	int64_t used_ms; /* the last claim; 0: never */
};

void pool_demand_note(struct pool_demand *d, int64_t now_ms);
/* Claims in the last POOL_WINDOW_S. */
uint32_t pool_demand_sum(struct pool_demand *d, int64_t now_ms);
bool pool_demand_recent(const struct pool_demand *d, int64_t now_ms);

/* As many as were claimed in the last minute, at least one where there was a use, between the
 * settings' min and max. */
uint32_t pool_target(const struct pool_settings *s, uint32_t claims, bool recently_used);

/* How long to wait after the FAILURES-th failure in a row (from 1). */
int64_t pool_backoff_ms(unsigned failures);

/* How long to wait before the next spare. LOAD is of the machine, in thousandths of a cpu. */
int64_t pool_pause_ms(uint64_t load_milli, unsigned cpus);
