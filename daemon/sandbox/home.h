/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a sandbox is shown of its owner's home: who he is to git, and the files that his tool's
 * profile names (overlay). Looked up by a process of the owner's own, so that nothing is found that
 * he could not reach, and no file system of his keeps the daemon waiting. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "macro.h"
#include "util/strings.h"

struct event_base;
struct home_look;
struct manager;

/* A file to be shown read-only. */
struct home_file {
	char *path;   /* as it really is on the host; NULL: not there, or not his to read */
	char *inside; /* absolute */
	uint64_t dev;
	uint64_t ino;
};

struct home_view {
	char *git_config; /* the text of a git configuration; NULL: he has no identity */
	struct home_file *files;
	size_t n_files;
};
void home_view_deinit(struct home_view *v);

/* VIEW is the callee's. Nothing that could be found out is an empty view. Never called from inside
 * home_look(); the look is gone when it returns. */
typedef void home_seen(struct home_view *view, void *userdata);

/* OVERLAYS are paths below the home, borrowed until this returns. Returns 0, or negative errno. */
struct home_query {
	struct event_base *base;
	uid_t owner;
	bool git_identity;
	const struct string_list *overlays;
};
int home_look(struct home_look **ret, const struct home_query *q, home_seen *seen, void *userdata);
/* SEEN is not called any more. NULL is fine. Returns NULL. */
struct home_look *home_look_free(struct home_look *l);
