/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "rpc-params.h"
#include "verbs.h"

/* The pool as it is now, in the columns of `pool ls`. */
static int print_table(const struct ctl *ctl, struct json_object *pool)
{
	CLEANUP_JSON struct json_object *rows = json_object_new_array();

	json_object_array_add(rows, json_object_get(pool));
	return table_print(ctl->verb->columns, rows);
}

int verb_pool_set(struct ctl *ctl)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *pool = NULL;
	int r;

	if (!params)
		return ctl->verb->failure;
	params_set(params, ctl->verb->operand_param,
		   json_object_new_string(ctl->options.operands[0]));
	r = ctl_call(ctl, ctl->verb->method, params, &pool);
	if (r == 0)
		r = ctl->json ? ctl_print_json(pool, false) : print_table(ctl, pool);
	return r < 0 ? ctl->verb->failure : 0;
}
