/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keeper as a whole: one connection at a time, the sandboxes, the spools, and what they share.
 */

#include <stdbool.h>
#include <sys/resource.h>

#include "bounds.h"
#include "box.h"
#include "cgroup.h"
#include "claim-guard.h"
#include "ended.h"
#include "ids.h"
#include "link.h"
#include "loop.h"
#include "runtime.h"
#include "spool.h"
#include "tree.h"
#include "worker.h"

struct keeper {
	const struct ids *ids;
	struct rlimit nofile; /* as we were started */
	struct loop loop;
	struct link link;
	struct watch listener;
	int64_t orphan_ms;   /* how long it lives without a connection, if it has anything */
	struct timer orphan; /* set while there is none */
	struct tree tree;
	struct cgroups cgroups;
	struct runtimes runtimes;
	struct workers workers;
	struct spools spools;
	struct boxes boxes;
	struct ended_list ended;
	struct releases releases;
	struct guard guard;
	int seccomp;
	bool greeted;
	bool ending;
	uint64_t shutdown_serial; /* answered at the very end; 0: nobody asked */
	struct timer give_up;
	bool trash_busy;
	bool trash_dirty;
	struct timer idle;
	unsigned int stats; /* STATS requests with a worker */
	char instance[NAME_LENGTH_MAX + 1];
};

/* Inside the namespaces: serves CONNECTION, and then who connects to LISTENER, (both taken over)
 * until it has nothing left to do, or nobody has connected for too long, and leaves nothing
 * running. K is zeroed memory that outlives the call. Returns 0 or negative errno. */
int keeper_serve(struct keeper *k, const struct ids *ids, int listener, int connection);

/* ---- for box.c and keeper-requests.c ---- */

/* Handles one received message; it is malformed or answered, now or later. */
void keeper_dispatch(struct keeper *k, struct wire_message *m);
/* keeper-stats.c: answers a STATS for sandbox ID, or for all (""). */
void keeper_stats(struct keeper *k, const struct wire_header *h, const char *id, uint32_t flags);
/* Kills all sandboxes and stops the loop when they are gone. */
void keeper_end(struct keeper *k);
/* Starts emptying the trash, or notes that there is more. */
void keeper_empty_trash(struct keeper *k);
/* Something came or went: arms or cancels the idle timer. */
void keeper_touch(struct keeper *k);
/* A worker that keeps the shared descriptors and EXTRA (-1: none). */
struct worker_job keeper_worker_job(const struct keeper *k, int extra);
/* The end of a worker whose answer does not matter. */
void keeper_ignore_answer(void *owner, const struct worker_result *result);
