/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Execs that can be found again: with an idempotency key, detached, or ended and still asked for.
 * Never env, stdin, files or secrets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/exec.h"

struct store;

#define STORE_EXEC_SPOOL_DROPPED (1u << 8) /* they were, and are not any more */

/* A command's stdin, as far as it is the daemon's to write. */
enum store_exec_input {
	STORE_EXEC_INPUT_NONE,
	STORE_EXEC_INPUT_OPEN,
	STORE_EXEC_INPUT_CLOSED, /* all of it is written */
	STORE_EXEC_INPUT_CUT,    /* it is closed behind bytes that only the daemon has */
};

/* What another daemon needs to lead a running one to its end. Times are CLOCK_MONOTONIC. */
struct store_exec_run {
	uint64_t init_exec; /* init's number for it */
	uint32_t uid;       /* as the sandbox sees it */
	bool tty;
	uint32_t passed; /* streams that went to the caller's own descriptors */
	enum store_exec_input input;
	int64_t begun_ms;
	int64_t deadline_ms; /* -1: none */
	int64_t left_ms;     /* while its sandbox stands still, until its deadline; else -1 */
	int64_t grace_ms;
	bool keep_leftovers;
	uint64_t spool_max;
	enum exec_cause ending; /* why it is being ended; EXEC_CAUSE_MAX: it is not */
	uint64_t oom_kills_before;
};

/* Strings are borrowed: from the caller when writing, from the statement during a callback. NULL
 * when absent. */
struct store_exec {
	const char *id;
	const char *sandbox; /* sandbox id */
	uid_t peer;
	const char *command; /* the arguments, each with its NUL, one after the other */
	size_t command_size;
	const char *stage;
	const char *story_id;
	enum exec_state state; /* STARTING: journaled, not known to have been forked */
	bool detached;
	bool keyed;       /* a call in the journal is its */
	uint32_t streams; /* 1 << enum keeper_spool_stream that are spooled, or the flag below */
	uint64_t stream_end[KEEPER_STREAM_MAX];
	uint64_t stream_start[KEEPER_STREAM_MAX];
	int64_t created_at_ms;
	struct exec_result
		result; /* meaningful when state is ENDED; started_at_ms from RUNNING on */
	struct store_exec_run run;
};

int store_exec_insert(struct store *s, const struct store_exec *row);
/* Everything but id, sandbox and peer is written anew. -ENOENT: no such row. */
int store_exec_update(struct store *s, const struct store_exec *row);
int store_exec_delete(struct store *s, const char *id);
int store_exec_delete_sandbox(struct store *s, const char *sandbox);
/* Calls FN for each row in order of creation. Returns 0, FN's first non-zero result, or negative
 * errno. FN must not write to the store. */
typedef int store_exec_row(const struct store_exec *row, void *userdata);
int store_exec_load(struct store *s, store_exec_row *fn, void *userdata);
