/* SPDX-License-Identifier: Apache-2.0 */
/* ls, ps, template ls, loop ls, pool ls, secret leases. With -o json one answer of the daemon as it
 * is; as a table all of them. */

#include <json-c/json.h>

#include "list.h"
#include "macro.h"
#include "verbs.h"

static int print_table(struct ctl *ctl, const struct list_query *q)
{
	CLEANUP_JSON struct json_object *all = list_fetch(ctl, q);

	return all ? table_print(ctl->verb->columns, all) : -1;
}

static int print_answer(struct ctl *ctl, const struct list_query *q)
{
	CLEANUP_JSON struct json_object *result = NULL;

	if (ctl_call(ctl, q->method, list_params(q, NULL), &result) < 0)
		return -1;
	return ctl_print_json(result, false);
}

int verb_list(struct ctl *ctl)
{
	const struct list_query q = {
		.method = ctl->verb->method,
		.key = ctl->verb->list_key,
		.param = ctl->verb->operand_param,
		.options = &ctl->options,
		.value = ctl->options.n_operands > 0 ? ctl->options.operands[0] : NULL,
	};
	int r = ctl->json ? print_answer(ctl, &q) : print_table(ctl, &q);

	return r < 0 ? ctl->verb->failure : 0;
}
