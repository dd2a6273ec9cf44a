/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "session.h"
#include "verbs.h"

int verb_attach(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *params = json_object_new_object();
	struct session_options options = {
		.params = params,
		.method = "exec.attach",
		.stream_stdin = options_have(&ctl->options, OPTION_INTERACTIVE),
	};

	json_object_object_add(params, "execId", json_object_new_string(ctl->options.operands[0]));
	return session_run(ctl, &options, NULL);
}
