/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>

#include "create-params.h"
#include "macro.h"
#include "verbs.h"

int verb_create(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	CTL_CLEANUP_JSON struct json_object *params =
		create_params(o, o->operands[0], o->operands + 1, o->n_operands - 1);
	CTL_CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *name = NULL;

	if (!params || ctl_call(ctl, "sandbox.create", TAKE_PTR(params), &result) < 0)
		return ctl->verb->failure;
	if (ctl->json)
		return ctl_print_json(result, false) < 0 ? ctl->verb->failure : 0;
	if (json_object_object_get_ex(result, "name", &name))
		puts(json_object_get_string(name));
	return fflush(stdout) == 0 ? 0 : ctl->verb->failure;
}
