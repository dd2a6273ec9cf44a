/* SPDX-License-Identifier: Apache-2.0 */
/* exec: our own descriptors are the command's where the daemon takes them, so its output never
 * passes through us. With a terminal, --key (the output is kept for the same call again), or -o
 * json (where the result holds the output), it does. */

#include <json-c/json.h>
#include <string.h>

#include "exec-params.h"
#include "macro.h"
#include "result.h"
#include "session.h"
#include "verbs.h"

static struct json_object *build_params(const struct options *o)
{
	struct json_object *params = params_from_options(o);
	struct json_object *command = json_object_new_array();

	if (!params || !command || exec_params_add_files(o, params) < 0) {
		json_object_put(params);
		json_object_put(command);
		return NULL;
	}
	json_object_object_add(params, "sandbox", json_object_new_string(o->operands[0]));
	for (size_t i = 1; i < o->n_operands; i++)
		json_object_array_add(command, json_object_new_string(o->operands[i]));
	json_object_object_add(params, "command", command);
	if (options_have(o, OPTION_KEEP_LEFTOVERS))
		json_object_object_add(params, "leftovers", json_object_new_string("keep"));
	return params;
}

int verb_exec(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	CLEANUP_JSON struct json_object *params = build_params(o);
	struct exec_stdio stdio = {
		.interactive = options_have(o, OPTION_INTERACTIVE),
		.tty = options_have(o, OPTION_TTY),
		.detach = options_have(o, OPTION_DETACH),
	};

	ctl->command = o->operands[1];
	return params ? exec_params_run(ctl, params, &stdio) : STATUS_FAILURE;
}
