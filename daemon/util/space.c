/* SPDX-License-Identifier: Apache-2.0 */
#include "util/space.h"

#include <errno.h>
#include <sys/statvfs.h>

#define FLOOR_MIN (64ull << 20)
#define FLOOR_MAX (1ull << 30)

uint64_t space_floor(uint64_t total)
{
	uint64_t bytes = total / 100;

	if (bytes < FLOOR_MIN)
		bytes = FLOOR_MIN;
	if (bytes > FLOOR_MAX)
		bytes = FLOOR_MAX;
	return bytes < total / 10 ? bytes : total / 10;
}

int space_look(int fd, uint64_t floor, struct space *ret)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) < 0)
		return -errno;
	ret->total_bytes = (uint64_t)v.f_blocks * v.f_frsize;
	ret->free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
	ret->floor_bytes = floor == SPACE_FLOOR_DEFAULT ? space_floor(ret->total_bytes) : floor;
	return 0;
}
