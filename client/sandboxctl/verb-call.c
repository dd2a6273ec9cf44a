/* SPDX-License-Identifier: Apache-2.0 */
/* stop, start, pause, resume, rm, cancel, template rm: the method of the verb's row, once for each
 * operand. One that fails does not keep the others from being done. */

#include <json-c/json.h>

#include "macro.h"
#include "rpc-params.h"
#include "verbs.h"

static int call_one(struct ctl *ctl, const char *operand)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *result = NULL;

	if (!params)
		return -1;
	params_set(params, ctl->verb->operand_param, json_object_new_string(operand));
	if (ctl_call(ctl, ctl->verb->method, params, &result) < 0)
		return -1;
	return ctl->json ? ctl_print_json(result, false) : 0;
}

int verb_call(struct ctl *ctl)
{
	int status = 0;

	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	for (size_t i = 0; i < ctl->options.n_operands; i++)
		if (call_one(ctl, ctl->options.operands[i]) < 0)
			status = ctl->verb->failure;
	return status;
}
