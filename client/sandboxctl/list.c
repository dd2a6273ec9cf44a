/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include <errno.h>
#include <json-c/json.h>

#include "bounds.h"
#include "macro.h"
#include "rpc-params.h"

/* By what lists are continued: ids where there are any. */
static const char *key_of(struct json_object *item)
{
	static const char *const keys[] = {
		"leaseId", "id", "execId", "loopId", "name", "template"
	};
	struct json_object *value = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_object_object_get_ex(item, keys[i], &value))
			return json_object_get_string(value);
	return NULL;
}

struct json_object *list_params(const struct list_query *q, const char *after)
{
	struct json_object *params =
		q->options ? params_from_options(q->options) : json_object_new_object();

	if (q->param && q->value)
		params_set(params, q->param, json_object_new_string(q->value));
	json_object_object_add(params, "limit", json_object_new_int(LIST_LIMIT_MAX));
	if (after)
		json_object_object_add(params, "after", json_object_new_string(after));
	return params;
}

/* Appends one answer's items to ALL. Returns how many there were, or -1. */
static int fetch_page(struct ctl *ctl, const struct list_query *q, struct json_object *all,
		      const char *after)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *items = NULL;
	size_t n;

	if (ctl_call(ctl, q->method, list_params(q, after), &result) < 0)
		return -1;
	if (!json_object_object_get_ex(result, q->key, &items) ||
	    !json_object_is_type(items, json_type_array))
		return ctl_transport_error(ctl, -EBADMSG);
	n = json_object_array_length(items);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(all, json_object_get(json_object_array_get_idx(items, i)));
	return (int)n;
}

struct json_object *list_fetch(struct ctl *ctl, const struct list_query *q)
{
	CLEANUP_JSON struct json_object *all = json_object_new_array();
	const char *after = NULL;
	int n;

	do {
		n = fetch_page(ctl, q, all, after);
		if (n < 0)
			return NULL;
		if (n > 0)
			after = key_of(
				json_object_array_get_idx(all, json_object_array_length(all) - 1));
	} while (n == LIST_LIMIT_MAX && after);
	return json_object_get(all);
}
