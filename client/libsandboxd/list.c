/* SPDX-License-Identifier: Apache-2.0 */
#include "list.h"

#include <errno.h>
#include <json-c/json.h>

#include "bounds.h"
#include "call.h"
#include "json-value.h"
#include "macro.h"

int client_list(struct sandboxd_client *c, const struct client_list *list,
		struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *result = NULL;
	const char *after = NULL; /* in RESULT */
	size_t n;
	int r;

	do {
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
		n = json_object_array_length(page);
		for (size_t i = 0; i < n; i++) {
			struct json_object *item = json_object_array_get_idx(page, i);

			after = json_value_string(item, list->key);
			r = list->add(json_object_get(item), list->userdata);
			if (r < 0)
				return r;
		}
	} while (n == LIST_LIMIT_MAX);
	return 0;
}
