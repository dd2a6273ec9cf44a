/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the daemon knows of one tool. Built-in tools (tools.conf) and [tool NAME] sections fill the
 * same profile, by the same keys (config-tool.c, sandboxd.conf(5)). */

#include <stdbool.h>
#include <stdint.h>

#include "macro.h"
#include "sandbox/tool-secret.h"
#include "util/strings.h"

#define TOOL_HOME "/home/agent"
#define TOOL_NAME_MAX 32
#define TOOL_VERSION_SIZE 65 /* 64 characters and NUL */
#define TOOL_NODE_NONE "none"

/* Lines of a key that is repeated. Another file begins anew instead of adding. */
struct tool_lines {
	struct string_list lines;
	unsigned file; /* counts those that named the tool; 0: nobody has said a line */
};

/* A file that the layer has in the agent's home. */
struct tool_seed {
	char *path; /* below the home */
	struct tool_lines content;
	struct tool_seed *next;
};

/* Strings are owned; NULL when absent. */
struct tool_profile {
	char *name;
	char *version;      /* what its layer holds unless somebody asks for another */
	char *node_version; /* of the layer's own node; TOOL_NODE_NONE: it has none; NULL: ours */
	char *base;         /* the template below its layer, and its own when it has none */
	char *registry;     /* of npm */
	char *npm;          /* the npm package that it is */
	struct tool_lines install, check; /* shell */
	struct string_list with;          /* names of tools that its layer holds, too */
	struct tool_seed *seeds;
	struct string_list env; /* of every exec, "K=V" */
	struct string_list hosts;
	/* Files of the workspace owner's home that are shown read-only; below the home. */
	struct string_list overlays;
	struct tool_secrets secrets; /* that its agent is lent when it runs */
	char *login; /* the command by which its user gets the first; NULL: there is none */
	/* One headless run, reading the prompt on stdin: argv, where the word "{model}" stands for
	 * model_flag and a model, "{args}" for the caller's arguments. Empty: it takes no prompt.
	 */
	struct string_list prompt;
	char *model_flag;
	struct string_list run;   /* its agent on a terminal */
	int64_t timeout_ms;       /* of a headless run; 0: ours */
	int64_t build_timeout_ms; /* of each step of its layer; 0: ours */
	char *bin;                /* goes to the head of PATH; empty: nothing; NULL: the layer's */

	/* Where it comes from. */
	char *file; /* the last that named it */
	unsigned line;
	unsigned n_files;

	/* Found out when everything is read. */
	bool has_layer;
	bool needs_hosts;   /* its agent is of no use without a network */
	const char *broken; /* static: why it cannot be used; NULL */
	struct tool_profile *next;
};

/* Returns NULL when out of memory. */
struct tool_profile *tool_profile_new(const char *name);
void tool_profile_free(struct tool_profile *p);

/* An exact version: a range or a tag ("latest") would mean another layer tomorrow. It goes into a
 * package specifier and a directory name, so the characters are few. */
bool tool_version_is_good(const char *text);

/* The version of the layer's own node, or TOOL_NODE_NONE. */
const char *tool_profile_node(const struct tool_profile *p);

/* The seed of PATH, made if there is none; NULL when out of memory. */
struct tool_seed *tool_profile_seed(struct tool_profile *p, const char *path);
