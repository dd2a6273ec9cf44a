/* SPDX-License-Identifier: Apache-2.0 */
/* json-c's getters turn "12abc" into 12 and anything into a string: every get here checks the type
 * first. */

#include "json-value.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "sandboxd/client.h"
#include "text.h"

#define NESTING_MAX 64 /* rpc.discover's schemas are deeper than any request */

void json_value_putp(struct json_object **o)
{
	json_object_put(*o);
}

static struct json_object *member(struct json_object *object, const char *key, json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

const char *json_value_string(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_string);

	return value ? json_object_get_string(value) : NULL;
}

int64_t json_value_int(struct json_object *object, const char *key, int64_t fallback)
{
	struct json_object *value = member(object, key, json_type_int);

	return value ? json_object_get_int64(value) : fallback;
}

int json_value_bool(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key, json_type_boolean);

	return value ? json_object_get_boolean(value) : 0;
}

struct json_object *json_value_object(struct json_object *object, const char *key)
{
	return member(object, key, json_type_object);
}

struct json_object *json_value_array(struct json_object *object, const char *key)
{
	return member(object, key, json_type_array);
}

const char *json_value_text(struct json_object *object)
{
	return json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
}

struct json_object *json_value_parse(const char *text, size_t size)
{
	struct json_tokener *t;
	struct json_object *value;

	if (size > INT32_MAX)
		return NULL;
	t = json_tokener_new_ex(NESTING_MAX);
	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* with the closing NUL, so that a bare number is known to be complete */
	value = json_tokener_parse_ex(t, text, (int)size + 1);
	if (value && json_tokener_get_error(t) != json_tokener_success) {
		json_object_put(value);
		value = NULL;
	}
	json_tokener_free(t);
	return value;
}

int json_value_bytes(struct json_object *value, const void **ret_data, size_t *ret_size,
		     void **ret_owned)
{
	struct json_object *encoded = member(value, "base64", json_type_string);
	void *data;
	size_t size;

	if (json_object_is_type(value, json_type_string)) {
		*ret_data = json_object_get_string(value);
		*ret_size = (size_t)json_object_get_string_len(value);
		*ret_owned = NULL;
		return 1;
	}
	if (!encoded)
		return 0;
	size = (size_t)json_object_get_string_len(encoded);
	data = malloc(base64_decoded_size(size) + 1); /* of "", too, not NULL */
	if (!data)
		return -ENOMEM;
	if (base64_decode(json_object_get_string(encoded), size, data, &size) < 0) {
		free(data);
		return -EBADMSG;
	}
	*ret_data = *ret_owned = data;
	*ret_size = size;
	return 1;
}

struct json_object *json_value_from_bytes(const void *data, size_t size)
{
	CLEANUP_STR char *encoded = NULL;
	struct json_object *object;

	if (size > INT32_MAX / 2)
		return NULL;
	if (size == 0)
		return json_object_new_string_len("", 0);
	if (utf8_valid_length(data, size) == size && !memchr(data, '\0', size))
		return json_object_new_string_len(data, (int)size);
	encoded = malloc(base64_encoded_size(size));
	object = encoded ? json_object_new_object() : NULL;
	if (!object)
		return NULL;
	base64_encode(data, size, encoded);
	json_object_object_add(object, "base64",
			       json_object_new_string_len(encoded, (int)base64_encoded_size(size)));
	return object;
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int json_value_error(struct json_object *object, struct sandboxd_error *e)
{
	struct json_object *data = json_value_object(object, "data");
	const char *message = json_value_string(object, "message");
	const char *kind = json_value_string(data, "kind");

	if (!e)
		return 0;
	*e = (struct sandboxd_error){ .code = (int)json_value_int(object, "code", -32603) };
	if (copy_text(&e->message, message ? message : "the daemon gave no reason") < 0 ||
	    copy_text(&e->kind, kind ? kind : "internal") < 0 ||
	    copy_text(&e->field, json_value_string(data, "field")) < 0 ||
	    copy_text(&e->hint, json_value_string(data, "hint")) < 0) {
		sandboxd_error_clear(e);
		return -ENOMEM;
	}
	return 0;
}

void sandboxd_error_clear(struct sandboxd_error *e)
{
	if (!e)
		return;
	free(e->kind);
	free(e->message);
	free(e->field);
	free(e->hint);
	*e = (struct sandboxd_error)SANDBOXD_ERROR_INIT;
}
