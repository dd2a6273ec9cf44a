/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks used here cannot fail on Linux. */

#include "util/time.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t = { 0, 0 };

	(void)clock_gettime(clock, &t); /* only a bad clock id fails */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t time_realtime_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int64_t time_monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t time_boottime_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

void time_format(int64_t realtime_ms, char text[static TIME_TEXT_SIZE])
{
	time_t seconds = realtime_ms / 1000;
	unsigned ms = (unsigned)(realtime_ms % 1000);
	struct tm tm;
	char date[24];

	if (realtime_ms < 0 || !gmtime_r(&seconds, &tm) ||
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		(void)snprintf(text, TIME_TEXT_SIZE, "1970-01-01T00:00:00.000Z");
	else
		(void)snprintf(text, TIME_TEXT_SIZE, "%s.%03uZ", date, ms);
}
