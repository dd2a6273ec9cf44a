/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One command in a sandbox, from request to result. Knows no JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "keeper-wire.h"
#include "params.h"

struct exec;
struct exec_table; /* all execs of the daemon, by id; in struct manager */
struct manager;
struct sandbox;

enum exec_state { EXEC_STATE_STARTING, EXEC_STATE_RUNNING, EXEC_STATE_ENDED, EXEC_STATE_MAX };
const char *exec_state_to_string(enum exec_state s);

enum exec_cause {
	EXEC_CAUSE_EXITED,
	EXEC_CAUSE_SIGNALED,
	EXEC_CAUSE_TIMEOUT,
	EXEC_CAUSE_CANCELLED,
	EXEC_CAUSE_OOM,
	EXEC_CAUSE_LEASE_REVOKED,
	EXEC_CAUSE_DISK_FULL,
	EXEC_CAUSE_SANDBOX_LOST,
	EXEC_CAUSE_NEVER_STARTED,
	EXEC_CAUSE_MAX,
};
const char *exec_cause_to_string(enum exec_cause c);

/* How it ended; ExecResult of contract.md without the texts (those are read from the spool). */
struct exec_result {
	int exit_code; /* -1: none */
	int signal;    /* 0: none */
	enum exec_cause cause;
	uint32_t start_error; /* enum init_start_error */
	int start_errno;
	bool truncated;
	int64_t started_at_ms; /* CLOCK_REALTIME */
	int64_t completed_at_ms;
	int64_t duration_ms;
	uint64_t cpu_ms;
	uint64_t peak_memory_bytes;
	uint32_t leftovers;
	uint64_t oom_kills;
};

/* Who follows an exec: exec.run itself, attach, wait. Any callback may be NULL; none is called from
 * inside exec_follow()/exec_unfollow(). */
struct exec_follower {
	void (*on_started)(struct exec *e, void *userdata);
	void (*on_output)(struct exec *e,
			  void *userdata); /* more in the spool: read with exec_read() */
	void (*on_ended)(struct exec *e, void *userdata); /* the result is there */
};

/* Starts one. FDS are the client's stdin/stdout/stderr or -1, taken over whatever happens. Returns
 * 0 and a reference in *RET, or -1 with *RETERR (then nothing ran). */
int exec_start(struct manager *m, struct sandbox *s, const struct exec_run_params *params,
	       int fds[3], struct exec **ret, struct error *reterr);

struct exec *exec_find(struct manager *m, uid_t peer, const char *id, struct error *reterr);
struct exec *exec_ref(struct exec *e);
struct exec *exec_unref(struct exec *e); /* returns NULL */

struct exec_follow; /* a follower's place */
int exec_follow(struct exec *e, const struct exec_follower *f, void *userdata,
		struct exec_follow **ret);
struct exec_follow *exec_unfollow(struct exec_follow *f); /* returns NULL */

/* TERM to the group, grace, KILL to all; the cause will be CAUSE. */
void exec_end(struct exec *e, enum exec_cause cause);

/* The sandbox stops running: every exec of it ends with sandbox_lost (or cancelled). */
void exec_table_sandbox_lost(struct manager *m, struct sandbox *s, enum exec_cause cause);
/* The sandbox is removed: forget its execs and their spools. */
void exec_table_sandbox_removed(struct manager *m, struct sandbox *s);
void exec_on_spool_data(struct manager *m, const char *exec,
			const struct keeper_stream_state streams[KEEPER_STREAM_MAX]);
size_t exec_table_running(const struct manager *m);
size_t exec_running_in(const struct manager *m, const struct sandbox *s);
