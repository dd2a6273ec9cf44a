/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How much of a file system is free, and how much is to stay so. libc only: sandboxctl doctor has
 * it, too. */

#include <stdint.h>

#define SPACE_FLOOR_DEFAULT UINT64_MAX

struct space {
	uint64_t total_bytes;
	uint64_t free_bytes; /* for those who are not root */
	uint64_t floor_bytes;
};

/* What is to stay free of a file system of TOTAL bytes where nobody said: a hundredth, at least
 * 64 MiB (a database, the output of what runs) and at most 1 GiB, but never more than a tenth, or
 * nothing could be made on a small one. */
uint64_t space_floor(uint64_t total);

/* The file system that FD (O_PATH will do) lies on. FLOOR: SPACE_FLOOR_DEFAULT, or bytes. Returns 0
 * or negative errno. About 1 us. */
int space_look(int fd, uint64_t floor, struct space *ret);
