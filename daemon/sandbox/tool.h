/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tools: which agents a sandbox can be made for, and how the layer of each is built. A closed table
 * of profiles; [tool NAME] of the configuration changes versions and the registry. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "params.h"
#include "util/strings.h"

struct config;

#define TOOL_VERSION_SIZE 65 /* 64 characters and NUL */

/* One command of a build: `/bin/sh -euc SCRIPT` with TOOL_PREFIX, TOOL_VERSION, NODE_VERSION. */
struct tool_step {
	const char *message; /* "installing" */
	const char *script;
	bool as_agent; /* else as the sandbox's root */
};

struct tool_profile {
	const char *name;
	const char *default_version; /* NULL: no layer, the base template is all it needs */
	const char *default_node;
	const char *base;       /* the template below its layer, and its own when it has none */
	const char *prefix;     /* where the layer puts it */
	const char *bin_dir;    /* goes to the head of PATH; NULL: nothing */
	const char *const *env; /* of every exec, "K=V"; NULL-terminated; may be NULL */
	bool needs_hosts;       /* its agent is of no use without a network */
	/* One headless run, reading the prompt on stdin: argv, where the word "{model}" stands for
	 * model_flag and a model, "{args}" for the caller's arguments. NULL: it takes no prompt. */
	const char *const *prompt;
	const char *model_flag; /* NULL: takes no model */
	int64_t timeout_ms;     /* of such a run whose caller did not say */
	const struct tool_step *steps;
	size_t n_steps;
};

/* A tool at a version. */
struct tool_choice {
	const struct tool_profile *profile;
	char version[TOOL_VERSION_SIZE]; /* empty: has no layer */
	char node[TOOL_VERSION_SIZE];
	const char *registry; /* borrowed from the configuration; NULL: npm's own default */
	long build_timeout_ms;
};

/* The profile behind "claude" or "claude@2.1.42"; NULL: no such tool, or TEXT is NULL. */
const struct tool_profile *tool_find(const char *text);

/* Parses "NAME" or "NAME@VERSION". Returns 0, or -1 with *RETERR about the parameter FIELD. */
int tool_choose(const struct config *config, const char *text, const char *field,
		struct tool_choice *ret, struct error *reterr);

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
