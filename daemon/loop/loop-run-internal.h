/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside loop-run*.c: the body of a run. */

#include <event2/event_struct.h>

#include "loop/loop-internal.h"
#include "loop/loop-run.h"

struct exec_follow;

struct loop_run {
	struct manager *manager;
	struct loop *loop;          /* referenced */
	uid_t owner;                /* of the worktree */
	char *who;                  /* the tool's name, for sentences */
	struct exec *exec;          /* referenced: the tool's */
	struct exec *verification;  /* referenced: the command that runs; NULL: none */
	struct exec_follow *follow; /* of the one or the other */
	struct artifacts_job *job;
	/* of the call, for what follows */
	char *stage;
	char *story_id;
	char *work_dir; /* NULL: the loop's */
	char *base_sha;
	struct pairs env;
	int64_t timeout_ms;
	int64_t grace_ms;
	enum artifacts_mode artifacts;
	uint64_t limit; /* characters of each text */
	/* how far it is */
	size_t next_command;
	bool cancelled;
	bool abandoned;
	bool finished;
	int64_t begun_ms; /* CLOCK_MONOTONIC */
	struct loop_run_result result;
	uid_t peer;
	char *key; /* NULL: it has none */
	struct loop_run_waiter *waiters;
	struct event tell; /* the result is there, or the tool had ended before we came */
	struct loop_run *previous;
	struct loop_run *next;
};

/* ---- loop-run.c ---- */
/* Enters it into the table of L's manager; to be freed with loop_run_free() until it follows. */
struct loop_run *loop_run_alloc(struct loop *l);
void loop_run_free(struct loop_run *r);
/* The tool runs: R leads it to its end. Returns 0 or -ENOMEM. */
int loop_run_follow(struct loop_run *r, const struct strings *argv);
