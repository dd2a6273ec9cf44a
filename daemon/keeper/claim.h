/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Gives a running sandbox its identity: workspaces and git directories at their own paths, a host
 * name, and the size of its /dev/shm. Fast (no worker): the mounts are cloned here and moved by a
 * helper inside.
 *
 * A sandbox that nobody has claimed can become anybody's who wants the same layers, runtime and
 * network: what else a KEEPER_CREATE decides is either the same for all sandboxes of a keeper (id
 * maps, capabilities, seccomp program, namespaces, fences, the limit on open files, /etc/hosts and
 * an empty resolv.conf with no network), or belongs to its id and stays with it (upper directory,
 * cgroup and its counters, container name), or is set here and by cgroup_limit(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "release.h"
#include "tree.h"
#include "view.h"
#include "wire.h"

#define CLAIM_REASON_MAX 512

/* Of a KEEPER_MOUNT_MEMORY. It counts as the sandbox's memory. */
#define CLAIM_MEMORY_SIZE "128m"
#define CLAIM_MEMORY_INODES "16384"

/* Mounts that are attached at TREE/mounts/<id>/<index>, for a sandbox that cannot be entered. */
struct claim_mount {
	char *target;
	bool read_only;
	bool memory; /* nothing is attached: a new file system in memory, the agent's */
};

struct claim_mounts {
	struct claim_mount *list;
	size_t count;
	char *hostname;
	char *git_config; /* to be added to the system's; NULL: nothing */
};

/* Frees the list; see claim_detach() for the mounts. */
void claim_mounts_deinit(struct claim_mounts *m);
/* Detaches what lies in TREE/mounts/<id>. Blocks: for a worker. */
void claim_detach(const struct tree *t, const char *id);

struct claim_target {
	const struct tree *tree;
	const char *id;
	int pidfd;          /* undo: -1 */
	bool enters;        /* mounts go into it; else only what is outside is made */
	uint64_t shm_bytes; /* size of its /dev/shm until now, where it is entered; 0: default */
	struct claim_mounts *mounts; /* not NULL: attach them here instead */
	struct release *release;     /* what must be undone later is noted here */
	struct view_own *own;        /* and what was the sandbox's before; where it is entered */
};

/* M is a received KEEPER_CLAIM of at least the struct's size. Returns 0 or negative errno with a
 * sentence in REASON. */
int claim_run(const struct claim_target *t, struct wire_message *m, char *reason);

/* The same message for what an earlier keeper claimed: notes in the release what that left undone,
 * and, where it is entered, what was the sandbox's own. What cannot be opened any more is left
 * alone. Returns 0 or negative errno with a sentence in REASON. */
int claim_recall(const struct claim_target *t, struct wire_message *m, char *reason);

/* Worker function: detaches staged mounts, which may wait for an RCU grace period. ARG is a struct
 * tree. */
void claim_unstage(void *arg);
/* Whether a claim since the start left something to unstage; asking resets it. */
int claim_take_staged(void);
