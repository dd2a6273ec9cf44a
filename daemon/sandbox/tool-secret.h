/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which secrets a tool's agent is lent, and where it looks for each. */

#include <stdbool.h>

#include "util/strings.h"

#define TOOL_SECRETS_MAX 16 /* of one tool */

/* Strings are owned. Of env and file one is NULL. */
struct tool_secret {
	struct string_list names; /* one is enough: the first that there is */
	char *env;                /* the variable that it becomes */
	char *file;               /* the file that it becomes; below the agent's home, and in a
				   * directory there */
	struct tool_secret *next;
};

/* In the order of the configuration. */
struct tool_secrets {
	struct tool_secret *first;
	unsigned file; /* as in struct tool_lines */
};

/* "NAME|NAME -> env VARIABLE" or "NAME -> file ~/DIRECTORY/NAME". Returns 0, -EINVAL or -ENOMEM. */
int tool_secret_parse(const char *text, struct tool_secret **ret);
/* Behind those that there are. Returns 0 or -E2BIG; then S is freed. */
int tool_secrets_add(struct tool_secrets *l, struct tool_secret *s);
/* The one that can be leased as NAME; NULL: none is. */
const struct tool_secret *tool_secrets_find(const struct tool_secrets *l, const char *name);
void tool_secrets_deinit(struct tool_secrets *l);

/* Whether a tool's section may set VARIABLE: those that a sandbox sets itself would be lost. */
bool tool_may_set(const char *variable);
/* "~/…" or "/home/agent/…": what is below the home; NULL: it is not there. */
const char *tool_below_home(const char *path);
