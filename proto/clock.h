/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The clock by which keeper, init and sandboxctl wait, and by which a create is timed. */

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline struct timespec clock_now(void)
{
	struct timespec t;

#if defined(__LP64__) && !defined(__GLIBC__)
	/* init: two page tables less in each idle sandbox than by way of the vdso */
	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); /* cannot fail */
#else
	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
#endif
	return t;
}

static inline int64_t clock_now_ms(void)
{
	const struct timespec t = clock_now();

	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int64_t clock_now_us(void)
{
	const struct timespec t = clock_now();

	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
