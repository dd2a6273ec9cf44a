/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keeps what steers git covered. A cover is a mount on a directory entry, and the kernel takes it
 * away when somebody outside replaces or removes that entry: the owner's `git config` writes a new
 * file and renames it. So the directories of a repository that a sandbox may write to are watched,
 * and what lies open there is covered again at once. */

#include <stdint.h>

#include "loop.h"

#define GUARD_BUCKETS 256

struct guard_place;
struct release;

/* All places of a keeper. */
struct guard {
	struct loop *loop;
	struct watch watch; /* inotify's; fd -1: nothing is watched */
	struct timer later;
	struct guard_place *by_number[GUARD_BUCKETS];
};

/* Embedded; L must outlive it. Without inotify it does nothing, and says so. */
void guard_init(struct guard *g, struct loop *l);
void guard_deinit(struct guard *g);

struct guard_cover {
	const char *target;  /* absolute in the sandbox */
	const char *content; /* of a file that is made */
	uint32_t flags;      /* enum keeper_mount_flags */
};

/* A cover is about to be put into the sandbox behind PIDFD (borrowed until R ends). One at the top
 * of a part of a repository, noted in R before, is kept there from now on. Copies C. Returns 0 or
 * -ENOMEM. */
int guard_add(struct release *r, int pidfd, const struct guard_cover *c);
/* *MOUNT is what the sandbox has at TARGET. It is taken over where something is kept covered. */
void guard_set_inside(const struct release *r, const char *target, int *mount);
/* R has been noted anew: its sandbox behind PIDFD was claimed by an earlier keeper. */
void guard_recall(struct release *r, int pidfd);
/* Of a root, which is about to go; NULL is fine. */
struct guard_place *guard_place_free(struct guard_place *p);
