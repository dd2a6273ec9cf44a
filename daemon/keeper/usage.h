/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a sandbox uses, beyond the counters of its cgroup: disk space, and where there is no cgroup
 * the sums over its processes. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bounds.h"
#include "tree.h"
#include "worker.h"

/* Bytes of the blocks in use below the directory FD (taken over), as du counts them; a file with
 * several names has its share in each. */
uint64_t usage_blocks(int fd);

struct usage_job {
	const struct tree *tree;
	char id[NAME_LENGTH_MAX + 1]; /* empty: all sandboxes of the owner */
	bool disk;
	pid_t init; /* sum over the processes of its PID namespace; 0: do not */
};

/* Worker function; ARG is a struct usage_job. Fills size_bytes, spool_bytes and trash_bytes (these
 * only for all), and memory_bytes, cpu_usec, pids: 0 when they cannot be had. */
void usage_measure(void *arg);
