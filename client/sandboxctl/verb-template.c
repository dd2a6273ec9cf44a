/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "rpc-params.h"
#include "verbs.h"

int verb_template_build(struct ctl *ctl)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *result = NULL;

	if (!params)
		return ctl->verb->failure;
	json_object_object_add(params, "tool", json_object_new_string(ctl->options.operands[0]));
	if (ctl_call(ctl, "template.build", params, &result) < 0)
		return ctl->verb->failure;
	return ctl_print_name(ctl, result);
}
