/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tools: which agents a sandbox can be made for, as the configuration knows them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "params.h"
#include "sandbox/tool-profile.h"
#include "util/strings.h"

struct config;

/* A tool at a version. */
struct tool_choice {
	const struct config *config; /* borrowed, and the profile with it */
	const struct tool_profile *profile;
	char version[TOOL_VERSION_SIZE]; /* empty: has no layer */
	char node[TOOL_VERSION_SIZE];
	const char *registry; /* borrowed from the configuration; NULL: npm's own default */
	long build_timeout_ms;
};

/* The profile behind "claude" or "claude@2.1.42"; NULL: no such tool, or TEXT is NULL. */
const struct tool_profile *tool_find(const struct config *config, const char *text);

/* What PATH begins with for PROFILE: "", or directories, each followed by ":". Freed by the caller;
 * NULL when out of memory. */
char *tool_path(const struct config *config, const struct tool_profile *profile);

/* Parses "NAME" or "NAME@VERSION". Returns 0, or -1 with *RETERR about the parameter FIELD. */
int tool_choose(const struct config *config, const char *text, const char *field,
		struct tool_choice *ret, struct error *reterr);

/* Where the layer puts PROFILE. Freed by the caller; NULL when out of memory. */
char *tool_prefix(const struct tool_profile *profile);

/* The word of its agent on a terminal that INDEX counts; NULL behind the last one. */
const char *tool_run_word(const struct tool_profile *profile, size_t index);

/* What a headless run is asked for; borrowed. */
struct tool_prompt {
	const char *model; /* NULL: the tool's own choice */
	struct strings args;
};

/* The argv of one headless run, which reads the prompt on stdin. RET_ARGV is set only on success
 * and is the caller's to deinit. Returns 0, or -1 with *RETERR: INVALID_PARAMS naming `tool` (takes
 * no prompt), `model` or `args`. */
int tool_prompt_command(const struct tool_choice *choice, const struct tool_prompt *prompt,
			struct string_list *ret_argv, struct error *reterr);

/* The timeout of such a run whose caller did not say; always > 0. */
int64_t tool_default_timeout_ms(const struct tool_choice *choice);
