/* SPDX-License-Identifier: Apache-2.0 */
/* ls, ps, loop ls, template ls. With -o json one answer of the daemon as it is; as a table all of
 * them. */

#include <errno.h>
#include <json-c/json.h>

#include "bounds.h"
#include "macro.h"
#include "rpc-params.h"
#include "verbs.h"

/* By what lists are continued: ids where there are any. */
static const char *key_of(struct json_object *item)
{
	static const char *const keys[] = { "id", "execId", "loopId", "name" };
	struct json_object *value = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_object_object_get_ex(item, keys[i], &value))
			return json_object_get_string(value);
	return NULL;
}

static struct json_object *list_params(const struct ctl *ctl, const char *after)
{
	struct json_object *params = json_object_new_object();

	if (ctl->options.n_operands > 0)
		params_set(params, ctl->verb->operand_param,
			   json_object_new_string(ctl->options.operands[0]));
	json_object_object_add(params, "limit", json_object_new_int(LIST_LIMIT_MAX));
	if (after)
		json_object_object_add(params, "after", json_object_new_string(after));
	return params;
}

/* Appends one answer's items to ALL. Returns how many there were, or -1. */
static int fetch_page(struct ctl *ctl, struct json_object *all, const char *after)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *items = NULL;
	size_t n;

	if (ctl_call(ctl, ctl->verb->method, list_params(ctl, after), &result) < 0)
		return -1;
	if (!json_object_object_get_ex(result, ctl->verb->list_key, &items) ||
	    !json_object_is_type(items, json_type_array))
		return ctl_transport_error(ctl, -EBADMSG);
	n = json_object_array_length(items);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(items, i)));
	return (int)n;
}

static int print_table(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *all = json_object_new_array();
	const char *after = NULL;
	int n;

	do {
		n = fetch_page(ctl, all, after);
		if (n < 0)
			return -1;
		if (n > 0)
			after = key_of(
				json_object_array_get_idx(all, json_object_array_length(all) - 1));
	} while (n == LIST_LIMIT_MAX && after);
	return table_print(ctl->verb->columns, all);
}

static int print_answer(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *result = NULL;

	if (ctl_call(ctl, ctl->verb->method, list_params(ctl, NULL), &result) < 0)
		return -1;
	return ctl_print_json(result, false);
}

int verb_list(struct ctl *ctl)
{
	int r = ctl->json ? print_answer(ctl) : print_table(ctl);

	return r < 0 ? ctl->verb->failure : 0;
}
