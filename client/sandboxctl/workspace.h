/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Workspaces as written on the command line: PATH[:ro], "~" and relative paths allowed. */

#include <stdbool.h>

struct workspace_argument {
	char *path; /* absolute, links resolved; owned */
	bool read_only;
};

/* Returns 0, or -1 after telling why not. */
int workspace_argument_parse(struct workspace_argument *w, const char *text);
void workspace_argument_deinit(struct workspace_argument *w);

/* The name of `run`'s sandbox for TOOL in PATH: {tool}-{basename}-{hash of the path}. NULL: no
 * memory. Freed with free(). */
char *workspace_sandbox_name(const char *tool, const char *path);
