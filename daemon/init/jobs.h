/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The execs that init knows: running ones, and ended ones until they are acknowledged. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "bounds.h"
#include "init-wire.h"

#define JOB_KILLS_MAX 4 /* unanswered INIT_KILLs of one exec */

struct job {
	uint64_t id;
	uint64_t mark; /* its UTS namespace; 0 when nothing of it can be left */
	pid_t pid;
	bool running; /* the leader was not reaped yet */
	bool untold;  /* INIT_EXITED waits for room in the controller's socket */
	bool fresh;   /* it was reaped and INIT_EXITED is not made yet */
	bool acked;   /* forgotten as soon as no kill is under way */
	bool killing;
	bool gone; /* the kill is done and to be answered */
	uint32_t killed;
	uint32_t n_kills;
	uint64_t kills[JOB_KILLS_MAX]; /* their serials */
	struct init_exited exited;
};

/* Packed: an entry moves when another is forgotten, so pointers are good until then. */
struct jobs {
	size_t count;
	bool strays; /* a forgotten exec left processes behind */
	struct job entries[INIT_EXECS_MAX];
};

/* Adds a running exec, or returns NULL when the table is full. MARK is the one of its namespace:
 * numbers are used again once nobody is in a namespace, so whoever had it before is empty. */
struct job *jobs_add(struct jobs *j, uint64_t id, pid_t pid, uint64_t mark);
struct job *jobs_find(struct jobs *j, uint64_t id);
struct job *jobs_find_leader(struct jobs *j, pid_t pid); /* running ones only */
void jobs_forget(struct jobs *j, struct job *job);

/* Notes how the leader ended. */
void job_end(struct job *job, int status, const struct rusage *usage);
