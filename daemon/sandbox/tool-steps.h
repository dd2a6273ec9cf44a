/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a tool's layer is made: the commands that template-build.c runs one after the other. */

#include <stdbool.h>
#include <stddef.h>

#include "macro.h"
#include "sandbox/tool.h"

/* `/bin/sh -euc SCRIPT` with TOOL_PREFIX, TOOL_VERSION, NODE_VERSION and NPM_PACKAGE. */
struct tool_step {
	char *message; /* "claude: installing it from npm"; owned, as is */
	char *script;
	bool as_agent;                      /* else as the sandbox's root */
	const struct tool_profile *profile; /* the tool, or one of those in its layer */
	const char *version;                /* borrowed from the choice or the profile */
	const char *node;
};

struct tool_steps {
	struct tool_step *items;
	size_t count;
};

/* CHOICE has a layer, and must stay where it is as long as the steps. Returns 0 or -ENOMEM. */
int tool_steps_make(struct tool_steps *ret, const struct tool_choice *choice);
void tool_steps_deinit(struct tool_steps *s);
#define CLEANUP_TOOL_STEPS CLEANUP(tool_steps_deinit)
