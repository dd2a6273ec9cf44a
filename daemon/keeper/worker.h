/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A forked process in which blocking code is simple. It answers through a pipe with one fixed
 * record, may go on after that (cleaning up), and everything it started ends with it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper-wire.h"
#include "loop.h"

struct worker;

#define WORKER_REASON_MAX 1024
#define WORKER_FDS_MAX 64

struct worker_result {
	int32_t error; /* 0 or negative errno */
	pid_t pid;     /* what was created */
	uint64_t size_bytes;
	uint64_t spool_bytes; /* this and the rest: usage.h */
	uint64_t trash_bytes;
	uint64_t memory_bytes;
	uint64_t cpu_usec;
	uint64_t pids;
	int64_t step_us[KEEPER_STEP_MAX];
	char reason[WORKER_REASON_MAX]; /* one sentence, or empty */
};

struct worker_job {
	/* In the child: does the work, calls worker_answer() once, returns. */
	void (*run)(void *arg);
	void *arg;
	/* Descriptors the child keeps beside 0, 1, 2; all others are closed in it. */
	int fds[WORKER_FDS_MAX];
	size_t n_fds;
	int64_t timeout_ms; /* 0: none; then it is killed with all it started */
	/* In the keeper, with OWNER. The answer comes once (error -EIO if it died silently), then
	 * the end once. */
	void (*on_answer)(void *owner, const struct worker_result *result);
	void (*on_end)(void *owner);
	void *owner;
};

/* All workers of the keeper. */
struct workers {
	struct loop *loop;
	struct worker *list;
	size_t count;
};

/* Returns 0 or negative errno (then no callback is called). */
int worker_start(struct workers *all, const struct worker_job *job, struct worker **ret);
/* Kills it and all it started; callbacks follow when it is reaped. */
void worker_kill(struct worker *w);
/* From the loop's child callback: true if PID was a worker. */
bool workers_reap(struct workers *all, pid_t pid);
/* Takes in answers that are waiting in pipes, so that a pid in them is known before it is reaped.
 */
void workers_poll(struct workers *all);

/* ---- in the child ---- */
void worker_answer(const struct worker_result *result);
/* Kills every child of this process, also those it adopted, and waits for them. */
void worker_kill_children(void);
/* The keeper has died, and nobody waits for what is made. */
bool worker_is_orphan(void);
