/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>

#include "create-params.h"
#include "macro.h"
#include "message.h"
#include "verbs.h"
#include "workspace.h"

static int add_work_dir(struct json_object *params, const struct options *o)
{
	CLEANUP(workspace_argument_deinit) struct workspace_argument w = { .path = NULL };
	const char *text = options_text(o, OPTION_WORKDIR);

	if (workspace_argument_parse(&w, text) < 0)
		return -1;
	if (w.read_only) {
		message_error("give its stages a read-only profile instead",
			      "a loop's worktree is not read-only");
		return -1;
	}
	return json_object_object_add(params, "workDir", json_object_new_string(w.path));
}

static struct json_object *build_params(const struct options *o)
{
	CLEANUP_JSON struct json_object *params = params_from_options(o);
	struct json_object *tools;

	if (!params || add_work_dir(params, o) < 0)
		return NULL;
	tools = json_object_new_array();
	for (size_t i = 0; i < o->n_given; i++)
		if (o->given[i].row->id == OPTION_TOOL)
			json_object_array_add(tools, json_object_new_string(o->given[i].text));
	json_object_object_add(params, "tools", tools);
	json_object_object_add(params, "loopId", json_object_new_string(o->operands[0]));
	create_add_network(params, o);
	if (create_runtime(o))
		json_object_object_add(params, "runtime",
				       json_object_new_string(create_runtime(o)));
	return TAKE_PTR(params);
}

/* Where somebody asked for another runtime, it may be no boundary. */
static int warn(struct ctl *ctl, struct json_object *loop)
{
	struct json_object *names = json_value_array(loop, "sandboxes");

	if (!create_runtime(&ctl->options) && !options_have(&ctl->options, OPTION_RUNTIME))
		return 0;
	for (size_t i = 0; names && i < json_object_array_length(names); i++) {
		CLEANUP_JSON struct json_object *sandbox = NULL;
		struct json_object *params = json_object_new_object();

		json_object_object_add(params, "sandbox",
				       json_object_get(json_object_array_get_idx(names, i)));
		if (ctl_call(ctl, "sandbox.get", params, &sandbox) < 0)
			return -1;
		create_warn(sandbox);
	}
	return 0;
}

/* The names of its sandboxes, a line each. */
static int print_sandboxes(struct json_object *loop)
{
	struct json_object *names = json_value_array(loop, "sandboxes");

	for (size_t i = 0; names && i < json_object_array_length(names); i++)
		puts(json_object_get_string(json_object_array_get_idx(names, i)));
	return fflush(stdout) == 0 ? 0 : -1;
}

/* What its usage says is needed. */
static bool is_complete(const struct options *o)
{
	if (!options_have(o, OPTION_WORKDIR))
		message_error("-w DIR", "a loop needs the worktree that it works on");
	else if (!options_have(o, OPTION_TOOL))
		message_error("--tool TOOL", "a loop needs a tool");
	else
		return true;
	return false;
}

int verb_loop_create(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *loop = NULL;
	struct json_object *params;
	int r;

	if (!is_complete(&ctl->options))
		return STATUS_WRONG_USAGE;
	params = build_params(&ctl->options);
	if (!params || ctl_call(ctl, "loop.create", params, &loop) < 0)
		return ctl->verb->failure;
	if (warn(ctl, loop) < 0)
		return ctl->verb->failure;
	r = ctl->json ? ctl_print_json(loop, false) : print_sandboxes(loop);
	return r < 0 ? ctl->verb->failure : 0;
}
