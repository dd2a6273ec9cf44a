/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a claim left outside the sandbox and what is undone when it ends: files we made (worktree
 * locks), directories in which files of subordinate ids are given back to the owner, and workspaces
 * in which repositories that the agent made are set aside (quarantine.h).
 *
 * Two sandboxes may share a workspace. Then the last one that is released undoes for both. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>

#define RELEASE_ROOTS_MAX 60
#define RELEASE_MADE_MAX 64
#define RELEASE_DEPTH_MAX 512 /* directories deeper than this are not given back */

struct guard;
struct guard_place;
struct made;
struct release;

/* A file or directory that a claim knows, to be found by what it is. */
struct release_key {
	struct release_key *next;
	const struct release *of;
	dev_t device;
	ino_t inode;
};

struct release_root {
	struct release_key key; /* of a workspace */
	STAILQ_ENTRY(release_root) entry;
	int fd;
	char *path;                /* as the owner and the sandbox know it */
	bool quarantine;           /* a workspace, not a part of a repository */
	bool links;                /* a part of a repository: without new symbolic links */
	bool own;                  /* which had no .git of its own */
	struct timespec since;     /* CLOCK_REALTIME of the first claim of it */
	struct guard_place *guard; /* or NULL: nothing is covered in it (claim-guard.h) */
};

/* All releases of a keeper: who else has claimed a file or a workspace. */
#define RELEASE_BUCKETS 1024

struct tree;

struct releases {
	const struct tree *tree;
	struct guard *guard;
	struct release_key *made[RELEASE_BUCKETS];
	struct release_key *workspaces[RELEASE_BUCKETS];
};

struct release {
	struct releases *all;
	const char *id; /* of its sandbox, borrowed */
	struct made *made;
	size_t n_made;
	STAILQ_HEAD(, release_root) roots;
	size_t n_roots;
	bool give_back; /* chown, too */
	bool leaving;   /* it has been undone, or nearly: no claim for the others to count on */
};

/* ALL and ID must outlive R, which does not move. */
void release_init(struct release *r, struct releases *all, const char *id);
void release_deinit(struct release *r);

/* FILE (borrowed, open) was made as NAME in DIR (borrowed) with CONTENT. Returns 0 or -ENOMEM,
 * -E2BIG. */
int release_note_made(struct release *r, int dir, const char *name, const char *content);
/* NAME in DIR was there already. If it is a file that another claim made, it lives until both are
 * released. Returns 0 or negative errno. */
int release_note_found(struct release *r, int dir, const char *name);
/* Whether another claim made NAME in DIR. */
bool release_is_made(const struct release *r, int dir, const char *name);
/* ROOT (borrowed), which is PATH inside and outside, is writable for the sandbox since SINCE; FLAGS
 * are enum keeper_mount_flags. -E2BIG: too many. */
int release_note_root(struct release *r, int root, const char *path, uint32_t flags,
		      const struct timespec *since);

/* Removes each made file that is still the same file with the same content, and that nobody else
 * has claimed. */
void release_unmake(struct release *r);

/* Leaves to the others what they still work on. Called once, before release_restore(). Returns
 * whether that has anything to do. */
bool release_hand_over(struct release *r);
/* Worker function: quarantines, removes links, and with give_back chowns what does not belong to
 * keeper id 0, below the roots. ARG is a struct release. */
void release_restore(void *arg);
