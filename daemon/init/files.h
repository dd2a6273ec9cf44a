/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Writes files: the files[] of an exec below its working directory, as whoever calls, and others
 * as their owner. */

#include "init/payload.h"

/* Each file is replaced as a whole or not at all; missing parents are made 0755; a symbolic link on
 * the way is refused. Returns 0 or negative errno; the ones before the failing one stay. Runs in
 * the vforked child: allocates nothing. */
int files_write(const struct payload *p);

struct files_place {
	const char *path; /* absolute, and otherwise like those of an exec */
	uint32_t uid;
	uint32_t gid;
};

/* The same for one of SIZE bytes at DATA, as the place says, in a file system that is memory: else
 * -EXDEV. For init itself. */
int files_put(const struct files_place *p, uint32_t mode, const char *data, size_t size);
int files_remove(const struct files_place *p);
