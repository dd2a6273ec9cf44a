/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A spare: a running sandbox without identity. It has an owner, layers, a runtime and no network,
 * and nothing of a client's: no name, tool, workspace, environment, label or limit. It is made by
 * the daemon, becomes a sandbox once, and is never a spare again. pool.c says how many there are.
 */

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "error.h"

struct manager;
struct pool;
struct sandbox;
struct string_list;

enum spare_state {
	SPARE_STATE_STARTING,
	SPARE_STATE_READY,
	SPARE_STATE_TAKEN, /* it is becoming a sandbox: its pool has nothing to do with it any more
			    */
	SPARE_STATE_ENDING,
	SPARE_STATE_STUCK, /* it could not be removed; tried again */
	SPARE_STATE_MAX,
};

/* Which program set it up: an upgraded one makes its spares stale. */
struct spare_program {
	uint64_t dev;
	uint64_t ino;
	int64_t mtime_ns;
};

struct spare {
	struct pool *pool; /* NULL: taken */
	struct sandbox *sandbox;
	enum spare_state state;
	struct spare_program program;
	int64_t ready_ms; /* CLOCK_BOOTTIME */
	bool asked;       /* whether init is still there; the timer runs */
	bool late;        /* it has not answered in time; the keeper is still at the claim */
	bool unwanted;    /* while it starts: it is not to be ready */
	struct event timer;
	TAILQ_ENTRY(spare) link;
};

/* What init may take to answer: a spare that waits, and one that somebody waits for. */
#define SPARE_PATIENCE_MS 5000
#define SPARE_CLAIM_PATIENCE_MS 1000

struct spare_query {
	struct manager *manager;
	struct pool *pool;
	uid_t owner;
	const char *template_name;
	const struct string_list *layers;
};

/* Begins to make one; pool_on_ready() or pool_on_end() follows. Returns 0, or -1 with *RETERR. */
int spare_new(struct spare **ret, const struct spare_query *q, struct error *reterr);
/* For its sandbox only: it is a spare no more, or gone. NULL is fine. */
void spare_free(struct spare *sp);

/* Removes it; pool_on_end() follows. */
void spare_end(struct spare *sp);
/* Asks init whether it is there; without an answer it has failed. */
void spare_check(struct spare *sp);
/* The program of the runtime as it is now. Returns 0 or negative errno. */
int spare_program_now(const struct manager *m, const char *runtime, struct spare_program *ret);

/* ---- told by sandbox*.c ---- */
/* Its init is fenced and answers. */
void spare_ready(struct sandbox *s);
/* Its init or its keeper is gone. */
void spare_lost(struct sandbox *s, const char *why);
