/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Turns workspaces into the mounts of a KEEPER_CLAIM. */

#include <stdbool.h>
#include <stddef.h>

#include "error.h"
#include "keeper-wire.h"

struct home_view;
struct string_list;
struct workspace;

struct claim {
	const char *sandbox_id;
	const char *hostname;
	uint32_t flags; /* enum keeper_claim_flags */
	struct keeper_limits limits;
	struct workspace *const *workspaces;
	size_t n_workspaces;
	const char *lock_reason; /* what `git worktree list` shows while a worktree is in use */
	bool locks_only; /* runtime host: nothing is mounted, worktrees are locked all the same */
	const struct home_view *home;     /* NULL: nothing of it */
	const struct string_list *memory; /* directories in memory, absolute inside; NULL: none */
	int idmap; /* mode shifted: a user namespace from idmap_new(); else -1, the keeper opens the
		      paths */
};

/* Fills M (its fds included). Returns 0, or -1 with *RETERR: LIMIT_REACHED (too many mounts),
 * UNAVAILABLE (the file system cannot do idmapped mounts). */
int claim_message(struct wire_message *m, const struct claim *c, struct error *reterr);
