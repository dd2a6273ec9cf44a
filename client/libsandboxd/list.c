/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "bounds.h"
#include "call.h"
#include "json-value.h"
#include "macro.h"

struct objects {
	const struct client_list *list;
	void *items;
	size_t count;
};

static void objects_deinit(struct objects *o)
{
	o->list->free(o->items, o->count);
}

static int add_page(struct objects *o, struct json_object *page)
{
	size_t n = json_object_array_length(page);
	void *items = n > 0 ? realloc(o->items, (o->count + n) * sizeof(void *)) : o->items;
	int r;

	if (n > 0 && !items)
		return -ENOMEM;
	o->items = items;
	for (size_t i = 0; i < n; i++) {
		r = o->list->make(o->items, o->count,
				  json_object_get(json_object_array_get_idx(page, i)));
		if (r < 0)
			return r;
		o->count++;
	}
	return 0;
}

int client_list(struct sandboxd_client *c, const struct client_list *list, void **ret_items,
		size_t *ret_count, struct sandboxd_error *reterr)
{
	CLEANUP(objects_deinit) struct objects o = { .list = list };
	CLEANUP_JSON struct json_object *result = NULL;
	const char *after = NULL; /* in RESULT */
	size_t n;
	int r;

	for (;;) {
		struct json_object *params = json_object_new_object(), *page;

		if (params)
			json_object_object_add(params, "limit",
					       json_object_new_int(LIST_LIMIT_MAX));
		if (list->param)
			params_add_string(params, list->param, list->value);
		params_add_string(params, "after", after);
		json_object_put(TAKE_PTR(result));
		r = client_call(c, list->method, params, NULL, 0, &result, reterr);
		if (r != 0)
			return r;
		page = json_value_array(result, list->array);
		if (!page)
			return -EBADMSG;
		r = add_page(&o, page);
		if (r < 0)
			return r;
		n = json_object_array_length(page);
		if (n < LIST_LIMIT_MAX)
			break;
		after = json_value_string(json_object_array_get_idx(page, n - 1), list->key);
		if (!after)
			return -EBADMSG;
	}
	*ret_count = o.count;
	*ret_items = TAKE_PTR(o.items);
	o.count = 0;
	return 0;
}
