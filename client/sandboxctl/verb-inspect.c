/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "verbs.h"

static int inspect_one(struct ctl *ctl, const char *operand)
{
	struct json_object *params = json_object_new_object();
	CLEANUP_JSON struct json_object *result = NULL;

	json_object_object_add(params, ctl->verb->operand_param, json_object_new_string(operand));
	if (ctl_call(ctl, ctl->verb->method, params, &result) < 0)
		return -1;
	return ctl_print_json(result, !ctl->json);
}

int verb_inspect(struct ctl *ctl)
{
	int status = 0;

	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	for (size_t i = 0; i < ctl->options.n_operands; i++)
		if (inspect_one(ctl, ctl->options.operands[i]) < 0)
			status = ctl->verb->failure;
	return status;
}
