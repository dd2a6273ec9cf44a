/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Makes a sandbox with crun: root file system, bundle, process, fences. */

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "bounds.h"
#include "cgroup.h"
#include "ids.h"
#include "keeper-wire.h"
#include "tree.h"

/* The runtime's binary, copied to a sealed memfd: crun then skips its own re-exec. */
struct runtime {
	char *path;
	int memfd;
	struct stat seen; /* of the file that was copied */
};

void runtime_init(struct runtime *r);
void runtime_deinit(struct runtime *r);
/* Takes a copy of PATH if there is none or the file changed since. Returns 0 or negative errno. */
int runtime_refresh(struct runtime *r, const char *path);

/* All that a create needs. Pointers and descriptors are borrowed and must outlive the worker's
 * start (it works on its own copy of the memory). */
struct oci_job {
	const struct tree *tree;
	const struct ids *ids;
	const struct cgroups *cgroups;
	const struct runtime *runtime;
	const struct rlimit *nofile; /* the limit a sandbox starts with */
	int seccomp;
	int socket;
	uint32_t flags; /* enum keeper_create_flags */
	struct keeper_limits limits;
	uint32_t timeout_ms; /* for all of it */
	size_t n_lowers;
	char id[NAME_LENGTH_MAX + 1];
	char name[2 * NAME_LENGTH_MAX + 2]; /* instance-id: of the container and its cgroups */
	char lowers[KEEPER_LOWERS_MAX][NAME_LENGTH_MAX + 1];
};

/* Worker function: answers with the pid of init, or with the reason after removing everything it
 * made (but the cgroups, which are the keeper's). ARG is a struct oci_job. */
void oci_create(void *arg);

/* Worker function: removes what a killed create may have left. */
void oci_clean(void *arg);

/* Moves upper/<id> to trash under a name of its own. -ENOENT: there is none. */
int oci_discard_upper(const struct tree *t, const char *id);
