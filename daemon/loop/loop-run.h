/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One run of a tool's agent on a prompt in a loop, from the call to a LoopRunResult (docs/rpc.md).
 * Knows no JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "loop/artifacts.h"
#include "params.h"
#include "util/strings.h"

struct exec;
struct exec_secrets;
struct loop_run;
struct manager;

enum loop_run_state { LOOP_RUN_COMPLETED, LOOP_RUN_FAILED, LOOP_RUN_CANCELLED, LOOP_RUN_MAX };
const char *loop_run_state_to_string(enum loop_run_state s);

/* Everything is owned by the run and lives as long as the callback. Texts are UTF-8. */
struct loop_run_result {
	enum loop_run_state state;
	char *request_id;
	char *error; /* NULL: completed */
	int64_t started_at_ms;
	int64_t completed_at_ms;
	int64_t duration_ms;
	char *out; /* the ends of what it wrote */
	char *err;
	char *log;                   /* what was run when: lines */
	struct string_list commands; /* verification; none: none was asked for */
	bool verified;
	char *verification_output;
	struct artifacts_result artifacts; /* empty when none were asked for */
};
typedef void loop_run_done(const struct loop_run_result *r, struct exec *e, void *userdata);

/* Somebody who wants the result. Owned by him. */
struct loop_run_waiter {
	loop_run_done *done; /* called once, from the event loop; the run is gone behind it */
	void (*gone)(void *userdata); /* instead: the daemon ends; may be NULL */
	void *userdata;
	struct loop_run_waiter *next;
};

/* In which P's command would run (borrowed); NULL: there is none. */
struct sandbox *loop_run_sandbox(struct manager *m, uid_t peer, const struct loop_run_params *p);
/* Leases what P and the tool of its run name. Returns 0 and *RET (NULL: nothing is needed), or -1
 * with *RETERR. */
int loop_run_lease(struct manager *m, uid_t peer, pid_t pid, const struct loop_run_params *p,
		   struct exec_secrets **ret, struct error *reterr);
/* Starts the tool with SECRETS (taken; NULL: it needs none). Returns 0 and the run in *RET (which
 * belongs to itself, and needs loop_run_wait() or loop_run_leave()), or -1 with *RETERR: then
 * nothing ran. P need not live longer. CALL: its key, NULL if it has none. */
struct journal_call;
int loop_run_start(struct manager *m, uid_t peer, const struct loop_run_params *p,
		   const struct journal_call *call, struct exec_secrets *secrets,
		   struct loop_run **ret, struct error *reterr);
/* Goes on with a run whose tool, E, an earlier daemon started with HEAD at BASE_SHA (NULL: not
 * known), as P says: what follows the tool, and the result. As loop_run_start(). */
int loop_run_resume(struct manager *m, uid_t peer, const struct loop_run_params *p, struct exec *e,
		    const char *base_sha, struct loop_run **ret, struct error *reterr);
/* The run of PEER's with KEY that is under way; NULL: none is. */
struct loop_run *loop_run_find(const struct manager *m, uid_t peer, const char *key);
struct exec *loop_run_exec(const struct loop_run *r); /* borrowed: the tool's */

/* W hears of the result. */
void loop_run_wait(struct loop_run *r, struct loop_run_waiter *w);
/* W, which may be waiting, does not want the result any more. Where nobody does, what runs goes on
 * to its end, nothing else is begun, and R is not to be used any more. */
void loop_run_leave(struct loop_run *r, struct loop_run_waiter *w);
/* What runs is ended. For R that somebody waits for. */
void loop_run_cancel(struct loop_run *r);
