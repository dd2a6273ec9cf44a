/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Copies a directory tree faithfully: owners, modes, times, hard links, holes, user xattrs, and
 * what overlay means by them (whiteouts, opaque directories). */

#include <stdint.h>

struct copy_job {
	int from; /* both directories are open, TO is empty */
	int to;
	/* Relative paths of what is not copied; with a "/" behind it, of a directory that is copied
	 * empty. NULL-terminated. */
	const char *const *left_out;
};

/* Returns 0 and the bytes in use, as du counts them, or negative errno (-ENOSPC, -EDQUOT: the disk
 * is full). What was copied until then stays. Safe while somebody else changes FROM: no link is
 * followed, but what changes meanwhile may be in either state. */
int copy_tree(const struct copy_job *job, uint64_t *ret_size);
