/* SPDX-License-Identifier: Apache-2.0 */
/* A wall clock that can jump, for a preloaded daemon: CLOCK_REALTIME plus as many milliseconds as
 * the file TORTURE_CLOCK holds, which is mapped, so that a jump needs nobody's help. The monotonic
 * clock stays as it is, as it does on a real machine. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MS_PER_S 1000
#define NS_PER_MS 1000000
#define NS_PER_S 1000000000L

static const volatile int64_t *offset_ms;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("TORTURE_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		offset_ms = map;
	(void)close(fd);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);
	int64_t ms;

	if (r < 0 || !offset_ms || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return r;
	ms = *offset_ms;
	t->tv_sec += ms / MS_PER_S;
	t->tv_nsec += ms % MS_PER_S * NS_PER_MS;
	if (t->tv_nsec < 0 || t->tv_nsec >= NS_PER_S) {
		const int carry = t->tv_nsec < 0 ? -1 : 1;

		t->tv_sec += carry;
		t->tv_nsec -= carry * NS_PER_S;
	}
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -1;
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec t;

	if (clock_gettime(CLOCK_REALTIME, &t) < 0)
		return -1;
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}
