/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "verbs.h"

int verb_save(struct ctl *ctl)
{
	struct json_object *params = json_object_new_object();
	CLEANUP_JSON struct json_object *result = NULL;

	json_object_object_add(params, "sandbox", json_object_new_string(ctl->options.operands[0]));
	json_object_object_add(params, "template",
			       json_object_new_string(ctl->options.operands[1]));
	if (ctl_call(ctl, "sandbox.save", params, &result) < 0)
		return ctl->verb->failure;
	return ctl_print_name(ctl, result);
}
