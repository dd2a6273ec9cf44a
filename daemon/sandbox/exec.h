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
struct exec_secrets; /* exec-secrets.h */
struct exec_table;   /* all execs of the daemon, by id; in struct manager */
struct journal_call;
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

/* How it ended; ExecResult (docs/rpc.md) without the texts (those are read from the spool). */
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
	void (*on_output)(struct exec *e, void *userdata); /* there is more in the spool */
	void (*on_ended)(struct exec *e, void *userdata);  /* the result is there */
};

/* Starts one. FDS are the client's stdin/stdout/stderr or -1, taken over whatever happens. Returns
 * 0 and a reference in *RET, or -1 with *RETERR (then nothing ran). Of PARAMS secrets do not count:
 * those that were leased do. */
int exec_start(struct manager *m, struct sandbox *s, const struct exec_run_params *params,
	       int fds[3], struct exec **ret, struct error *reterr);

/* What else a command can have; each may be NULL. */
struct exec_start_more {
	const struct journal_call *call; /* that has a key: it is in the journal before anything
					  * else of it is seen, */
	const char *base_sha;            /* and this is kept with it */
	struct exec_secrets *secrets;    /* all there; taken over whatever happens */
};
int exec_start_with(struct manager *m, struct sandbox *s, const struct exec_run_params *params,
		    int fds[3], const struct exec_start_more *more, struct exec **ret,
		    struct error *reterr);
/* The one that the journal has under EXEC_KEY; NULL: it is not there (any more). */
struct exec *exec_of_key(struct manager *m, const char *exec_key);

struct exec *exec_find(struct manager *m, uid_t peer, const char *id, struct error *reterr);
struct exec *exec_ref(struct exec *e);
struct exec *exec_unref(struct exec *e); /* returns NULL */

/* What is shown of an exec. Strings are owned by it and live as long as it does; NULL when absent.
 */
struct exec_facts {
	const char *id;
	char *stage;
	char *story_id;
	char *command; /* the arguments, each with its NUL, one after the other */
	size_t command_size;
	enum exec_state state;
	int32_t pid;      /* as the sandbox sees it; 0: not started */
	uint32_t streams; /* 1 << enum keeper_spool_stream: those that are spooled */
	uint32_t passed;  /* and those that went to the caller's own descriptors */
	bool tty;
	bool detached;             /* it outlives its client, who may come back for it */
	bool spool_dropped;        /* it was removed to make room for that of others */
	int64_t created_at_ms;     /* CLOCK_REALTIME */
	int64_t last_output_at_ms; /* CLOCK_REALTIME; 0: it wrote nothing since the daemon started
				    */
	uint64_t spool_max;        /* bytes of each stream that are kept */
	struct keeper_stream_state stream[KEEPER_STREAM_MAX];
	struct exec_result result; /* meaningful when ENDED; started_at_ms from RUNNING on */
};
const struct exec_facts *exec_facts(const struct exec *e);
struct sandbox *exec_sandbox(const struct exec *e); /* borrowed, never NULL */
/* It has ended because its sandbox or a lease of it was lost, before init was asked for it. */
bool exec_never_ran(const struct exec *e);
/* The daemon is being stopped, and its clients lose their connections. */
bool exec_is_stopping(const struct exec *e);

/* A descriptor for reading the spool of STREAM (pread, offsets as in exec_facts), or negative
 * errno: -ENOENT nothing was written, or it is not spooled. */
int exec_open_spool(const struct exec *e, enum keeper_spool_stream stream);

/* Someone reads along and must miss nothing: what is at OFFSET and behind stays, and when as much
 * is there as the spool may hold, the command waits. NULL: nobody does any more. */
void exec_hold(struct exec *e, const uint64_t offset[KEEPER_STREAM_MAX]);

/* ---- stdin ---- */

/* Someone who waits until the command took what was written. */
struct exec_writer;
typedef void exec_written(int error, void *userdata); /* 0, or -EPIPE: nobody reads it any more */
/* Takes DATA (copied). Returns 1: taken; 0: taken, but much of it waits for the command to read:
 * DONE is called later unless *RET is given to exec_write_forget() first; -1 with *RETERR. */
int exec_write(struct exec *e, const struct bytes *data, exec_written *done, void *userdata,
	       struct exec_writer **ret, struct error *reterr);
void exec_write_forget(struct exec_writer *w); /* the bytes stay taken */
/* End of file behind what was written. Returns 0, or -1 with *RETERR. */
int exec_close_stdin(struct exec *e, struct error *reterr);
int exec_resize(struct exec *e, uint16_t rows, uint16_t cols, struct error *reterr);
/* To the leader's process group. */
int exec_signal(struct exec *e, int signal, struct error *reterr);
/* exec_end() as its client may ask for it. 0, or -1 with *RETERR: its sandbox is paused. */
int exec_cancel(struct exec *e, struct error *reterr);

/* Calls FN for every exec that PEER may see, oldest first, after AFTER (NULL: from the first),
 * until it returns false. FN must not change any. -1 with *RETERR when AFTER is not there. */
typedef bool exec_each(struct exec *e, void *userdata);
int exec_table_each(struct manager *m, uid_t peer, const char *after, exec_each *fn, void *userdata,
		    struct error *reterr);

/* Calls FN for every exec of S, oldest first, until it returns false. FN must not change any. */
void exec_table_each_in(struct manager *m, const struct sandbox *s, exec_each *fn, void *userdata);

struct exec_follow; /* a follower's place */
int exec_follow(struct exec *e, const struct exec_follower *f, void *userdata,
		struct exec_follow **ret);
struct exec_follow *exec_unfollow(struct exec_follow *f); /* returns NULL */

/* TERM to the group, grace, KILL to all; the cause will be CAUSE. */
void exec_end(struct exec *e, enum exec_cause cause);

/* Before a sandbox is stopped in peace: exec_end() for all its execs, with a grace of EXEC_GRACE_MS
 * at most, or GRACE_MS if that is not -1. Returns 0 when none runs; else 1, and DONE is called from
 * the loop when the last has ended (unless the sandbox is removed before). */
typedef void exec_table_done(struct sandbox *s, void *userdata);
int exec_table_end(struct manager *m, struct sandbox *s, int64_t grace_ms, exec_table_done *done,
		   void *userdata);

/* exec_end() for all execs of S that run, with a grace of GRACE_MS at most. */
void exec_table_end_for(struct manager *m, struct sandbox *s, enum exec_cause cause,
			int64_t grace_ms);
/* Whether one that was ended for CAUSE is still running. */
bool exec_table_is_ending(const struct manager *m, const struct sandbox *s, enum exec_cause cause);
/* The sandbox stands still, or goes on: its execs' clocks (timeout, grace) do, too. */
void exec_table_hold(struct manager *m, struct sandbox *s, bool held);
/* The sandbox stops running: every exec of it ends with sandbox_lost (or cancelled). */
void exec_table_sandbox_lost(struct manager *m, struct sandbox *s, enum exec_cause cause);
/* The sandbox is removed: forget its execs and their spools. */
void exec_table_sandbox_removed(struct manager *m, struct sandbox *s);
void exec_on_spool_data(struct manager *m, const char *exec,
			const struct keeper_stream_state streams[KEEPER_STREAM_MAX]);
/* The daemon or the keeper is new: what its init still knows of S's execs is led on, the others
 * have ended, or never began. */
void exec_table_adopt(struct manager *m, struct sandbox *s);
/* S has another keeper: what waited for one begins. */
void exec_table_new_keeper(struct manager *m, struct sandbox *s);
/* S's keeper is gone, and the pipes that it read: what its execs write from now on is lost. */
void exec_table_spools_lost(struct manager *m, struct sandbox *s);
/* Whether the exec whose spool is KEY runs; *RET_KNOWN: there is one. */
bool exec_is_running(const struct manager *m, const char *key, bool *ret_known);
size_t exec_table_running(const struct manager *m);
/* Whether one was asked for and does not run yet. */
bool exec_table_is_starting(const struct manager *m);
/* [limits] spool_max as it counts; 0: no limit. */
uint64_t exec_table_spool_max(const struct manager *m);
/* M has another configuration: looks up again what the limit is. */
void exec_table_reconfigure(struct manager *m);
/* The id of one that runs in S; NULL: none does. */
const char *exec_any_in(const struct manager *m, const struct sandbox *s);
size_t exec_running_in(const struct manager *m, const struct sandbox *s);
