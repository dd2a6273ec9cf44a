/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A loop, the table of all of them, and their verbs. Knows no JSON. See loop.c for states and
 * ownership. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "loop/receipt.h"
#include "params.h"

struct loop;
struct loop_op;
struct manager;
struct sandbox;
struct stages;

enum loop_state {
	LOOP_STATE_ACTIVE,
	LOOP_STATE_CANCELLED, /* its sandboxes are stopped; swept after a while */
	LOOP_STATE_DESTROYED, /* nothing is left but the receipt, and that for a while */
	LOOP_STATE_MAX,
};
const char *loop_state_to_string(enum loop_state s);

/* What is shown of a loop. Strings are owned by it and live as long as it does; NULL when absent.
 */
struct loop_facts {
	char *id;
	uid_t peer; /* who made it */
	enum loop_state state;
	char *work_dir;              /* canonical */
	struct string_list tools;    /* as given: "claude", "codex@0.169.0" */
	char *template_name;         /* given at create */
	char *runtime;               /* given at create */
	enum network_mode network;   /* given at create */
	struct limits_params limits; /* as given */
	struct pairs env;
	struct pairs labels;
	struct stages *stages; /* as they were at create; NULL: none were given */
	int64_t ttl_ms;        /* destroyed so long after created_at_ms; -1: never */
	int64_t created_at_ms; /* CLOCK_REALTIME */
	int64_t ended_at_ms;   /* cancelled or destroyed; 0: active */
	char *reason;          /* of the cancel */
	char *head_sha;        /* as the last run found it */
	struct receipt receipt;
};
const struct loop_facts *loop_facts(const struct loop *l);

/* What it does right now, from memory. */
struct loop_activity {
	uint64_t execs;            /* that are running or can still be asked for */
	bool alive;                /* one of them is running */
	int64_t last_output_at_ms; /* 0: never */
	int64_t alive_since_ms;    /* CLOCK_REALTIME: the first of those; 0: none */
	uint64_t cpu_ms;           /* of those that ended, and of the others at the last look */
	int64_t cpu_milli;         /* what they use, thousandths of a processor; -1: not known */
	int64_t idle_ms;           /* for how long none of them did anything; -1: not known */
};
struct loop_activity loop_activity(const struct loop *l);
/* Looks at its processes, so that the above is of now. */
void loop_sample(const struct loop *l);

/* Called once with the outcome of a verb. On failure E says why (callee keeps it). L lives during
 * the call at least. */
typedef void loop_done(struct loop *l, struct error *e, void *userdata);

struct loop_create {
	const struct loop_create_params *params; /* live until DONE */
	void (*on_progress)(const char *message,
			    void *userdata); /* builds of layers; may be NULL */
	loop_done *done;
	void *userdata;
};

/* Verbs. Return 0 and call DONE later (never from inside the call), or -1 with *RETERR set and
 * never call DONE. */

/* Makes the loop, or adds tools to it, and starts those of its sandboxes that are stopped. *RET is
 * good for loop_create_cancel() until DONE. */
int loop_create(struct manager *m, uid_t peer, const struct loop_create *c, struct loop_op **ret,
		struct error *reterr);
/* DONE follows, perhaps from inside the call, with CANCELLED unless it is too late. */
void loop_create_cancel(struct loop_op *op);
/* Ends its commands, stops its sandboxes. REASON may be NULL. */
int loop_cancel(struct loop *l, const char *reason, loop_done *done, void *userdata,
		struct error *reterr);
/* Removes all that it owned. FORCE: even if commands run. A loop that is destroyed already is done
 * at once with its first receipt. DONE may be NULL. */
struct loop_destroy {
	enum receipt_outcome outcome;
	bool force;
	loop_done *done;
	void *userdata;
};
int loop_destroy(struct loop *l, const struct loop_destroy *how, struct error *reterr);

/* By PEER's own id; root: also anybody's, the oldest of that id. Sets NOT_FOUND. */
struct loop *loop_find(struct manager *m, uid_t peer, const char *id, struct error *reterr);
struct loop *loop_ref(struct loop *l);
struct loop *loop_unref(struct loop *l); /* returns NULL */

/* Calls FN for every loop in order of creation until it returns false. FN must not free any. */
void loop_each(struct manager *m, bool (*fn)(struct loop *l, void *userdata), void *userdata);

size_t loop_count(const struct manager *m); /* those destroyed a while ago included */

/* Its sandbox for the tool NAME ("claude", whatever version it was made with), or NULL. */
struct sandbox *loop_sandbox(const struct loop *l, const char *name);
/* The first that there is of its sandboxes, or NULL. */
const struct sandbox *loop_first_sandbox(const struct loop *l);
/* As given at create, else what its sandboxes have got; NULL, UNSET: it has none. */
const char *loop_runtime(const struct loop *l);
enum network_mode loop_network(const struct loop *l);
/* "loop-{ID}-{TOOL}" without TOOL's version, freed by the caller; NULL: no memory. */
char *loop_sandbox_name(const char *id, const char *tool);
