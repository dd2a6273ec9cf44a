/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a claim left outside the sandbox and what is undone when it ends: files we made (worktree
 * locks), and directories in which files of subordinate ids are given back to the owner. */

#include <stddef.h>
#include <sys/stat.h>

#define RELEASE_ROOTS_MAX 32
#define RELEASE_MADE_MAX 64
#define RELEASE_DEPTH_MAX 512 /* directories deeper than this are not given back */

struct made;

struct release {
	struct made *made;
	size_t n_made;
	int roots[RELEASE_ROOTS_MAX];
	size_t n_roots;
};

void release_init(struct release *r);
void release_deinit(struct release *r);

/* FILE (borrowed, open) was made as NAME in DIR (borrowed) with CONTENT. Returns 0 or -ENOMEM,
 * -E2BIG. */
int release_note_made(struct release *r, int dir, const char *name, const char *content);
/* ROOT (borrowed) is writable for the sandbox. Beyond the cap it is not noted. */
void release_note_root(struct release *r, int root);

/* Removes each made file that is still the same file with the same content. */
void release_unmake(struct release *r);

/* Worker function: chowns what does not belong to keeper id 0 below the roots. ARG is a struct
 * release. */
void release_give_back(void *arg);
