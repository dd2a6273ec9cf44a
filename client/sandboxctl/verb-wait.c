/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <string.h>

#include "macro.h"
#include "result.h"
#include "rpc-params.h"
#include "verbs.h"

int verb_wait(struct ctl *ctl)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *result = NULL;
	const char *text;

	if (!params)
		return STATUS_FAILURE;
	json_object_object_add(params, "execId", json_object_new_string(ctl->options.operands[0]));
	if (ctl_call(ctl, "exec.wait", params, &result) < 0)
		return STATUS_FAILURE;
	text = json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	return result_finish(ctl, text, strlen(text));
}
