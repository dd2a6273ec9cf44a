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

/* Starts the tool. Returns 0 and the run in *RET (which belongs to itself, and needs
 * loop_run_wait() or loop_run_abandon()), or -1 with *RETERR: then nothing ran. P need not live
 * longer. */
int loop_run_start(struct manager *m, uid_t peer, const struct loop_run_params *p,
		   struct loop_run **ret, struct error *reterr);
struct exec *loop_run_exec(const struct loop_run *r); /* borrowed: the tool's */

/* DONE is called once, from the event loop, when all has ended; R is gone behind it. */
void loop_run_wait(struct loop_run *r, loop_run_done *done, void *userdata);
/* Nobody wants the result: what runs goes on to its end, nothing else is begun. R is not to be
 * used any more. */
void loop_run_abandon(struct loop_run *r);
/* What runs is ended. For R that somebody waits for. */
void loop_run_cancel(struct loop_run *r);
