/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "call.h"
#include "macro.h"

struct json_object *params_new(const char *key, const char *value)
{
	struct json_object *params = json_object_new_object();

	params_add_string(params, key, value);
	return params;
}

void params_add_string(struct json_object *params, const char *key, const char *value)
{
	if (params && value)
		json_object_object_add(params, key, json_object_new_string(value));
}

void params_add_flag(struct json_object *params, const char *key, int flag)
{
	if (params && flag)
		json_object_object_add(params, key, json_object_new_boolean(1));
}

int params_add_env(struct json_object *params, const char *key, const char *const *pairs)
{
	struct json_object *object;

	if (!params || !pairs)
		return 0;
	object = json_object_new_object();
	json_object_object_add(params, key, object);
	for (; *pairs; pairs++) {
		const char *equals = strchr(*pairs, '=');
		CLEANUP_STR char *name = equals ? strndup(*pairs, (size_t)(equals - *pairs)) : NULL;

		if (!name)
			return -EINVAL;
		json_object_object_add(object, name, json_object_new_string(equals + 1));
	}
	return 0;
}
