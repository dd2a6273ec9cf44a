/* SPDX-License-Identifier: Apache-2.0 */
#include "create-params.h"
#include "macro.h"
#include "verbs.h"

int verb_create(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	CLEANUP_JSON struct json_object *params =
		create_params(o, o->operands[0], o->operands + 1, o->n_operands - 1);
	CLEANUP_JSON struct json_object *result = NULL;

	if (!params || ctl_call(ctl, "sandbox.create", TAKE_PTR(params), &result) < 0)
		return ctl->verb->failure;
	create_warn(result);
	return ctl_print_name(ctl, result);
}
