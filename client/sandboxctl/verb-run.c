/* SPDX-License-Identifier: Apache-2.0 */
/* run: the sandbox of this tool in this folder, made or started if needed, and its agent in it. */

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "create-params.h"
#include "exec-params.h"
#include "macro.h"
#include "message.h"
#include "result.h"
#include "verbs.h"
#include "workspace.h"

#define CODE_NOT_FOUND (-32001)

struct run {
	struct ctl *ctl;
	const char *tool;          /* "claude@2.1.42" */
	const char *workspace;     /* as written */
	char *name;                /* of the sandbox; owned */
	struct json_object *info;  /* system.info; owned */
	struct json_object *facts; /* the tool's, in it; NULL: the daemon knows none */
	const char *const *arguments;
	size_t n_arguments;
};

static void run_deinit(struct run *r)
{
	free(r->name);
	json_value_putp(&r->info);
}

/* Operands are TOOL [WORKSPACE], and what is behind -- is the agent's. */
static int read_operands(struct run *r)
{
	const struct options *o = &r->ctl->options;
	CLEANUP(workspace_argument_deinit) struct workspace_argument w = { .path = NULL };
	const char *name = options_text(o, OPTION_NAME);

	if (o->n_before_dashes < 1 || o->n_before_dashes > 2) {
		message_error("arguments of the agent come behind --",
			      "usage: sandboxctl run TOOL [WORKSPACE] [-- ARGS...]");
		return -1;
	}
	r->tool = o->operands[0];
	r->workspace = o->n_before_dashes == 2 ? o->operands[1] : ".";
	r->arguments = o->operands + o->n_before_dashes;
	r->n_arguments = o->n_operands - o->n_before_dashes;
	if (workspace_argument_parse(&w, r->workspace) < 0)
		return -1;
	r->name = name ? strdup(name) : workspace_sandbox_name(r->tool, w.path);
	return r->name ? 0 : -1;
}

/* What the daemon says of the tool. An unknown one is refused by the create. */
static int ask_for_tool(struct run *r)
{
	const size_t length = strcspn(r->tool, "@");
	struct json_object *tools, *tool;

	if (ctl_call(r->ctl, "system.info", json_object_new_object(), &r->info) < 0)
		return -1;
	tools = json_value_array(r->info, "tools");
	for (size_t i = 0; tools && i < json_object_array_length(tools); i++) {
		const char *name;

		tool = json_object_array_get_idx(tools, i);
		name = json_value_string(tool, "name");
		if (name && strlen(name) == length && memcmp(name, r->tool, length) == 0)
			r->facts = tool;
	}
	return 0;
}

static struct json_object *sandbox_params(const struct run *r)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "sandbox", json_object_new_string(r->name));
	return params;
}

/* An agent speaks to its provider: without a network it would only fail, slowly and in its own
 * words. */
static int check_network(const struct run *r, const char *mode)
{
	if (!json_value_bool(r->facts, "needsHosts") || !mode || strcmp(mode, "none") != 0)
		return 0;
	message_error("--network host (which is no boundary)",
		      "%s needs the network, and its sandbox has none", r->tool);
	return -1;
}

/* What a sandbox gets for which nobody chose. */
static int check_default_network(const struct run *r)
{
	const char *mode = json_value_string(json_value_object(r->info, "defaults"), "network");

	return check_network(r, mode ? mode : "none");
}

/* Where a host's network is the only one, none is missing. */
static bool on_host(const struct run *r)
{
	const char *runtime = options_text(&r->ctl->options, OPTION_RUNTIME);

	if (!runtime)
		runtime = create_runtime(&r->ctl->options);
	return runtime && strcmp(runtime, "host") == 0;
}

static int create(const struct run *r)
{
	const struct options *o = &r->ctl->options;
	const char *mode = options_text(o, OPTION_NETWORK);
	bool has_rules = options_have(o, OPTION_POLICY) || options_have(o, OPTION_ALLOW_HOST);
	CLEANUP_JSON struct json_object *sandbox = NULL;
	struct json_object *params;

	if (!has_rules && !on_host(r) &&
	    (mode ? check_network(r, mode) : check_default_network(r)) < 0)
		return -1;
	params = create_params(o, r->tool, &r->workspace, 1);
	if (!params)
		return -1;
	json_object_object_add(params, "name", json_object_new_string(r->name));
	if (ctl_call(r->ctl, "sandbox.create", params, &sandbox) < 0)
		return -1;
	create_warn(sandbox);
	return 0;
}

static int use_existing(const struct run *r, struct json_object *sandbox)
{
	struct json_object *network = NULL;
	const char *state = json_value_string(sandbox, "state");
	const char *mode;

	(void)json_object_object_get_ex(sandbox, "network", &network);
	mode = json_value_string(network, "mode");
	if (check_network(r, mode) < 0)
		return -1;
	if (options_text(&r->ctl->options, OPTION_NETWORK) && mode &&
	    strcmp(mode, options_text(&r->ctl->options, OPTION_NETWORK)) != 0) {
		message_error("remove it first: sandboxctl rm NAME",
			      "the sandbox %s exists with network %s", r->name, mode);
		return -1;
	}
	if (state && strcmp(state, "stopped") == 0)
		return ctl_call(r->ctl, "sandbox.start", sandbox_params(r), NULL);
	return 0;
}

static int ensure_sandbox(const struct run *r)
{
	CLEANUP_JSON struct json_object *sandbox = NULL;
	int found = ctl_call_expecting(r->ctl, "sandbox.get", sandbox_params(r), CODE_NOT_FOUND,
				       &sandbox);

	if (found < 0)
		return -1;
	return found == SANDBOXD_REFUSED ? create(r) : use_existing(r, sandbox);
}

/* The agent's own command, and what the caller adds. */
static struct json_object *command(const struct run *r)
{
	struct json_object *array = json_object_new_array();
	struct json_object *words = json_value_array(r->facts, "run");

	for (size_t i = 0; words && i < json_object_array_length(words); i++)
		json_object_array_add(array, json_object_get(json_object_array_get_idx(words, i)));
	if (!words)
		json_object_array_add(array,
				      json_object_new_string_len(r->tool,
								 (int)strcspn(r->tool, "@")));
	for (size_t i = 0; i < r->n_arguments; i++)
		json_object_array_add(array, json_object_new_string(r->arguments[i]));
	return array;
}

int verb_run(struct ctl *ctl)
{
	CLEANUP(run_deinit) struct run r = { .ctl = ctl };
	CLEANUP_JSON struct json_object *params = NULL;
	struct json_object *words;
	int64_t timeout = options_number(&ctl->options, OPTION_TIMEOUT, 0);
	struct exec_stdio stdio = {
		.interactive = true,
		.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
	};

	if (read_operands(&r) < 0 || ask_for_tool(&r) < 0 || ensure_sandbox(&r) < 0)
		return STATUS_FAILURE;
	words = command(&r);
	ctl->command = json_object_get_string(json_object_array_get_idx(words, 0));
	params = sandbox_params(&r);
	json_object_object_add(params, "command", words);
	if (exec_params_add_files(&ctl->options, params) < 0)
		return STATUS_FAILURE;
	if (timeout > 0)
		json_object_object_add(params, "timeoutMs", json_object_new_int64(timeout));
	return exec_params_run(ctl, params, &stdio);
}
