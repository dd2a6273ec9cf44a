/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A directory of the user's that a sandbox works on: checked, held open, with what git keeps for
 * it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "params.h"

struct git_layout;
struct workspace;

/* Who asks, and which directories are ours: canonical paths; NULL entries are skipped. */
struct workspace_policy {
	uid_t peer; /* must own the workspace; 0 may name anybody's */
	const char *state_dir;
	const char *runtime_dir;
	const char *config_dir;
	bool ignore_git; /* as if it had no .git, for taking a claim back */
};

/* Opens and checks the directory that P names. FIELD is the parameter's name for errors
 * ("workspace", "extraWorkspaces[1]"). Returns 0 and a workspace to be freed with workspace_free(),
 * or -1 with *RETERR: INVALID_PARAMS (not absolute), NOT_FOUND, DENIED (not the peer's, a place
 * that is never lent, a `.git` that cannot be believed). */
int workspace_open(struct workspace **ret, const struct workspace_params *p, const char *field,
		   const struct workspace_policy *policy, struct error *reterr);
struct workspace *workspace_free(struct workspace *w); /* returns NULL */

const char *workspace_path(const struct workspace *w); /* canonical, absolute */
bool workspace_read_only(const struct workspace *w);
bool workspace_git_config_writable(const struct workspace *w);
uid_t workspace_owner(const struct workspace *w); /* decides the keeper */
int workspace_fd(const struct workspace *w);      /* O_PATH, borrowed */
const struct git_layout *workspace_git(const struct workspace *w);
