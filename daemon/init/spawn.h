/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Starts the command of one exec. */

#include <sys/types.h>

#include "init/payload.h"
#include "init/tree.h"

#define SPAWN_STACK_SIZE ((size_t)64 * 1024)

/* What to start. Everything is borrowed. */
struct spawn {
	const struct tree *tree;
	const struct init_exec *request;
	const struct payload *payload;
	int stdio[3];
	int terminal; /* to control the session, or -1 */
	int mounts;   /* namespaces to enter, or -1 */
	int network;
	void *stack; /* SPAWN_STACK_SIZE bytes, 16-aligned */
};

struct spawned {
	pid_t pid;
	uint64_t mark;
	enum init_start_error start_error;
	int error; /* negative errno of start_error */
};

/* Returns 0 when the command runs (pid and mark are set), 1 when it could not be started
 * (start_error and error are set; the process has been reaped). */
int spawn_run(const struct spawn *s, struct spawned *ret);
