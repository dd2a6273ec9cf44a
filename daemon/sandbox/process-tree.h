/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the processes below one have used so far, by the kernel's counters. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_TREE_MAX 256
#define PROCESS_NAME_SIZE 16

struct process_use {
	pid_t pid; /* as we see it */
	pid_t parent;
	pid_t top; /* its ancestor, or itself, directly below the root */
	char name[PROCESS_NAME_SIZE];
	char state;        /* of /proc/PID/stat: R, S, D, T, Z */
	uint64_t since;    /* when it began, in clock ticks since boot */
	uint64_t cpu_ms;   /* its own and that of the children it has reaped */
	uint64_t io_bytes; /* read and written, by whatever call; 0: not for us to know */
};

struct process_tree {
	size_t count;
	bool whole; /* false: there are more, or some could not be found */
	struct process_use items[PROCESS_TREE_MAX];
};

/* Fills T with all processes below ROOT, parents before their children. It takes a few small files
 * for each. */
void process_tree_read(struct process_tree *t, pid_t root);

/* PID as its own innermost namespace numbers it; 0: not known. */
pid_t process_inner_pid(pid_t pid);
/* What tells its UTS namespace from others; 0: not known. */
uint64_t process_uts(pid_t pid);

/* What PID's first thread waits for: "stdin", "child", "socket", "pipe", "terminal", "file",
 * "timer", "lock", "events" (several descriptors), "disk", or "stopped". NULL: it runs, or /proc
 * does not tell. */
const char *process_waits_on(const struct process_use *p);
