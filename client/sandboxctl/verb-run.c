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
	const char *tool;      /* "claude@2.1.42" */
	const char *workspace; /* as written */
	char *name;            /* of the sandbox; owned */
	const char *const *arguments;
	size_t n_arguments;
};

static void run_deinit(struct run *r)
{
	free(r->name);
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

static bool is_shell(const struct run *r)
{
	return strcmp(r->tool, "shell") == 0;
}

static struct json_object *sandbox_params(const struct run *r)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "sandbox", json_object_new_string(r->name));
	return params;
}

/* Every agent but the shell speaks to its provider: without a network it would only fail, slowly
 * and in its own words. */
static int check_network(const struct run *r, const char *mode)
{
	if (is_shell(r) || !mode || strcmp(mode, "none") != 0)
		return 0;
	message_error("--network host (which is no boundary)",
		      "%s needs the network, and its sandbox has none", r->tool);
	return -1;
}

/* What a sandbox gets for which nobody chose. */
static int check_default_network(const struct run *r)
{
	CLEANUP_JSON struct json_object *info = NULL;
	struct json_object *defaults = NULL;
	const char *mode;

	if (is_shell(r))
		return 0;
	if (ctl_call(r->ctl, "system.info", json_object_new_object(), &info) < 0)
		return -1;
	(void)json_object_object_get_ex(info, "defaults", &defaults);
	mode = json_value_string(defaults, "network");
	return check_network(r, mode ? mode : "none");
}

static int create(const struct run *r)
{
	const struct options *o = &r->ctl->options;
	const char *mode = options_text(o, OPTION_NETWORK);
	bool has_rules = options_have(o, OPTION_POLICY) || options_have(o, OPTION_ALLOW_HOST);
	struct json_object *params;

	if (!has_rules && (mode ? check_network(r, mode) : check_default_network(r)) < 0)
		return -1;
	params = create_params(o, r->tool, &r->workspace, 1);
	if (!params)
		return -1;
	json_object_object_add(params, "name", json_object_new_string(r->name));
	return ctl_call(r->ctl, "sandbox.create", params, NULL);
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

/* The agent's own command: the tool's name without version; for a shell a login shell. */
static struct json_object *command(const struct run *r)
{
	struct json_object *array = json_object_new_array();
	int n = (int)strcspn(r->tool, "@");

	if (is_shell(r)) {
		json_object_array_add(array, json_object_new_string("bash"));
		json_object_array_add(array, json_object_new_string("-l"));
	} else {
		json_object_array_add(array, json_object_new_string_len(r->tool, n));
	}
	for (size_t i = 0; i < r->n_arguments; i++)
		json_object_array_add(array, json_object_new_string(r->arguments[i]));
	return array;
}

int verb_run(struct ctl *ctl)
{
	CLEANUP(run_deinit) struct run r = { .ctl = ctl };
	CLEANUP_JSON struct json_object *params = NULL;
	int64_t timeout = options_number(&ctl->options, OPTION_TIMEOUT, 0);
	struct exec_stdio stdio = {
		.interactive = true,
		.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
	};

	if (read_operands(&r) < 0 || ensure_sandbox(&r) < 0)
		return STATUS_FAILURE;
	ctl->command = is_shell(&r) ? "bash" : r.tool;
	params = sandbox_params(&r);
	json_object_object_add(params, "command", command(&r));
	if (timeout > 0)
		json_object_object_add(params, "timeoutMs", json_object_new_int64(timeout));
	return exec_params_run(ctl, params, &stdio);
}
