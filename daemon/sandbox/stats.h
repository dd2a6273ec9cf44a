/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What sandboxes use, asked of their keepers. Knows no JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "keeper-wire.h"

struct manager;
struct sandbox;

struct stats {
	uint32_t known; /* enum keeper_known: the others are not known */
	struct keeper_counters counters;
	uint64_t disk_bytes;
	uint64_t spool_bytes; /* these two of disk_usage() only */
	uint64_t trash_bytes;
};

/* Called once, maybe from inside the call; S NULL: E says why. */
typedef void stats_done(const struct stats *s, struct error *e, void *userdata);

/* Of one sandbox, in whatever state; DISK: and what it wrote outside its workspaces, which takes a
 * walk over its files. Returns 0, or -1 with *RETERR. */
int sandbox_stats(struct sandbox *s, bool disk, stats_done *done, void *userdata,
		  struct error *reterr);

/* The disk space of all sandboxes whose files lie with the owners that PEER has to do with: itself,
 * and those of the sandboxes that it may see. */
int disk_usage(struct manager *m, uid_t peer, stats_done *done, void *userdata,
	       struct error *reterr);
