/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What git keeps for a workspace, and how it is shown inside: see git.c for the rules. */

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

enum git_kind {
	GIT_NONE,       /* no .git at the top */
	GIT_REPOSITORY, /* .git is a directory */
	GIT_WORKTREE,   /* .git is a file that names <common>/worktrees/<name> */
};

struct git_layout {
	enum git_kind kind;
	char *common;  /* WORKTREE: canonical path of the common directory */
	char *name;    /* WORKTREE: <name> */
	int common_fd; /* O_PATH, or -1 */
};

/* Looks at the `.git` of the directory WORKSPACE (O_PATH, canonical path PATH, owned by OWNER)
 * without believing it. Returns 0 with *G filled (git_layout_deinit() it), or -1 with *RETERR
 * (DENIED). */
int git_inspect(struct git_layout *g, int workspace, const char *path, uid_t owner,
		const char *field, struct error *reterr);
/* Is the canonical PATH a git directory (.git, a bare repository) or in one? Its configuration and
 * hooks would lie open: what protects them starts from a working tree. */
bool git_is_own_directory(const char *path);
void git_layout_deinit(struct git_layout *g);
