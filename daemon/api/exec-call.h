/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What exec.run and loop.run have in common until their command starts: a sandbox that is being
 * taken over is waited for, the same call again is recognized, secrets are leased. */

#include <stdbool.h>

#include "error.h"
#include "sandbox/sandbox.h"

struct exec_secrets;
struct journal_call;
struct manager;
struct request;

/* Where a function returns a number and says nothing else: 0 when R was or will be answered, or -1
 * with *RETERR. CALL: its key; NULL: it has none. */
struct exec_call_kind {
	/* In which R's command would run (borrowed); NULL: there is none. */
	struct sandbox *(*sandbox)(struct request *r, struct manager *m);
	/* That was taken over, R is the userdata: the method begins again. */
	sandbox_done *taken_over;
	/* Fills CALL from R; false: it has no key. */
	bool (*key)(struct request *r, struct journal_call *call);
	/* Answers R if CALL is the same as an earlier one. 1: it is a new one. */
	int (*again)(struct request *r, struct manager *m, const struct journal_call *call,
		     struct error *reterr);
	/* Begins to lease what R needs. Returns 0 and *RET (NULL: nothing), or -1 with *RETERR. */
	int (*lease)(struct request *r, struct manager *m, bool keyed, struct exec_secrets **ret,
		     struct error *reterr);
	/* Starts the command with SECRETS (taken; NULL: it needs none). */
	int (*start)(struct request *r, struct manager *m, const struct journal_call *call,
		     struct exec_secrets *secrets, struct error *reterr);
};

/* Takes R. Nothing has begun while this waits, so a client that goes, whatever he said of his
 * disconnect, is a client whose command never ran. */
void exec_call_run(struct request *r, struct manager *m, const struct exec_call_kind *kind);
