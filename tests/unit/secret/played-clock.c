/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "played-clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "util/time.h"

int64_t clock_set_ms, clock_slept_ms;

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	assert(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t time_realtime_ms(void)
{
	return read_clock(CLOCK_REALTIME) + clock_set_ms + clock_slept_ms;
}

int64_t time_boottime_ms(void)
{
	return read_clock(CLOCK_BOOTTIME) + clock_slept_ms;
}

int64_t time_monotonic_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void time_format(int64_t realtime_ms, char text[static TIME_TEXT_SIZE])
{
	(void)snprintf(text, TIME_TEXT_SIZE, "%lld", (long long)realtime_ms);
}
