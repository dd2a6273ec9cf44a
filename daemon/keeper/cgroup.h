/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The cgroups of sandboxes, made and written by the keeper through directory descriptors, v1 and
 * v2. Directories and files belong to the fence id: an agent that mounts cgroupfs somewhere finds
 * nothing it may write. Without any usable hierarchy every verb succeeds and does nothing. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ids.h"
#include "keeper-wire.h"

#define CGROUP_CPU_PERIOD_USEC 100000

struct cgroup_hierarchy {
	int fd;
	uint32_t controllers;
	uint32_t version;
};

struct cgroups {
	const struct ids *ids;
	struct cgroup_hierarchy list[KEEPER_CGROUPS_MAX];
	size_t count;
	uint32_t controllers; /* what works, over all hierarchies */
};

void cgroups_init(struct cgroups *c, const struct ids *ids);
void cgroups_deinit(struct cgroups *c);

/* Tries whether a cgroup can be made, entered and removed below FD (taken over) and keeps the
 * hierarchy with those controllers that it really has; drops it otherwise. PROBE is a free name. */
void cgroups_add(struct cgroups *c, int fd, const struct keeper_cgroup *given, const char *probe);

/* Makes NAME everywhere and writes the limits. On failure nothing is left. */
int cgroup_make(const struct cgroups *c, const char *name, const struct keeper_limits *limits);
/* Limits that were FROM become TO: what differs is written, and 0 lifts a limit. */
int cgroup_limit(const struct cgroups *c, const char *name, const struct keeper_limits *from,
		 const struct keeper_limits *to);
/* Moves the calling process there. */
int cgroup_join(const struct cgroups *c, const char *name);
void cgroup_read(const struct cgroups *c, const char *name, struct keeper_counters *ret);
/* A file whose "oom_kill N" line counts, and by which version to read it; -ENOENT without one. */
int cgroup_open_oom(const struct cgroups *c, const char *name, uint32_t *ret_version);
/* SIGKILL to whatever is inside. */
void cgroup_kill(const struct cgroups *c, const char *name);

/* ---- freezer.c ---- */
/* Begins to freeze everything in NAME, or to let it go on. Returns 0, -EOPNOTSUPP (no freezer) or
 * another negative errno. What is frozen under version 1 does not even die until it is thawed. */
int cgroup_freeze_begin(const struct cgroups *c, const char *name, bool frozen);
/* 1 when it is so, 0 not yet, or negative errno. */
int cgroup_freeze_done(const struct cgroups *c, const char *name, bool frozen);

/* 0 when it is gone everywhere, -EBUSY while something is still leaving. */
int cgroup_remove(const struct cgroups *c, const char *name);

/* What is written where when limits that were FROM become TO: the I-th file of VERSION and its
 * value
 * ("": it stays as it is), or -ENOENT past the last. For tests and cgroup_limit(). */
struct cgroup_setting {
	uint32_t controller;
	const char *file;
	char value[48];
	int optional; /* the file may be missing or refuse (swap accounting off) */
};
int cgroup_setting(uint32_t version, size_t i, const struct keeper_limits *from,
		   const struct keeper_limits *to, struct cgroup_setting *ret);
