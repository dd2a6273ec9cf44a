/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The clock by which keeper, init and sandboxctl wait. */

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
