/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What sets a sandbox up: one table of functions per kind of runtime, and the copies of their
 * programs. */

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "bounds.h"
#include "cgroup.h"
#include "ids.h"
#include "keeper-wire.h"
#include "tree.h"

/* A runtime's binary, copied to a sealed memfd: crun and runc then skip their own copy, and what is
 * executed is what was looked at. */
struct runtime {
	struct runtime *next;
	char *path;
	int memfd;
	struct stat seen; /* of the file that was copied */
};

struct runtimes {
	struct runtime *list;
	size_t count;
};

void runtimes_deinit(struct runtimes *all);
/* The copy of the program PATH, taken if there is none or the file changed since. Borrowed until
 * the next call. Returns 0 or negative errno (-E2BIG: too many different programs). */
int runtimes_get(struct runtimes *all, const char *path, const struct runtime **ret);

struct claim_mounts;
struct runtime_job;
struct runtime_kind;

/* All that a create needs. Pointers and descriptors are borrowed and must outlive the worker's
 * start (it works on its own copy of the memory). */
struct runtime_job {
	const struct runtime_kind *kind;
	const struct tree *tree;
	const struct ids *ids;
	const struct cgroups *cgroups;
	const struct runtime *runtime; /* the copy of its program; NULL: there is none */
	const char *program;           /* its path, while create begins */
	const struct rlimit *nofile;   /* the limit a sandbox starts with */
	int seccomp;
	int socket;
	int dial;                          /* what init connects to, where the kind listens; -1 */
	const struct claim_mounts *mounts; /* claimed before; NULL: none */
	uint32_t flags;                    /* enum keeper_create_flags */
	struct keeper_limits limits;
	uint32_t timeout_ms;                   /* for all of it */
	const char *lowers[KEEPER_LOWERS_MAX]; /* while create begins, too */
	size_t n_lowers;
	int64_t step_us[KEEPER_STEP_MAX]; /* those done by now */
	char id[NAME_LENGTH_MAX + 1];
	char name[2 * NAME_LENGTH_MAX + 2]; /* instance-id: of the container and its cgroups */
};

struct runtime_kind {
	const char *name;
	bool has_program; /* CREATE says where it is */
	bool by_path;     /* it looks for itself by path: no copy is made */
	bool filtered;    /* init loads the seccomp program */
	/* A claim moves mounts into the sandbox's namespaces; else only what lies outside of it is
	 * made. */
	bool enters;
	/* In the keeper, before create: makes a socket that init connects to, instead of being
	 * given one. Returns it or negative errno. NULL: it is given one. */
	int (*listen)(const struct runtime_job *job);
	/* Worker functions; ARG is a struct runtime_job. create answers with the pid of init, or
	 * with the reason after removing everything it made (but the cgroups, which are the
	 * keeper's). clean removes what a killed create may have left. */
	void (*create)(void *arg);
	void (*clean)(void *arg);
};

/* By enum keeper_runtime; NULL: there is no such kind. */
const struct runtime_kind *runtime_kind(uint32_t number);

/* Moves upper/<id> to trash under a name of its own. -ENOENT: there is none. */
int runtime_discard_upper(const struct tree *t, const char *id);
