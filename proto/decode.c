/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, and what is made of other values: lists, maps, unions. decode-scalar.c has the rest. */

#include "decode.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "decode-internal.h"
#include "params.h"
#include "text.h"

#define LABEL_KEY_MAX 128
#define LABEL_VALUE_MAX 4096

_Static_assert(offsetof(struct tty_params, given) == 0, "FIELD_GIVEN");
_Static_assert(offsetof(struct fd_params, given) == 0, "FIELD_GIVEN");
/* Enums are written as int. */
_Static_assert(sizeof(enum network_mode) == sizeof(int), "FIELD_ENUM");

static int decode_value(struct decoder *d, const struct value *v);
static int decode_object(struct decoder *d, const struct value *v);

/* ---- lists and maps ---- */

static int check_count(struct decoder *d, const struct value *v, size_t count)
{
	char hint[64];

	if (count >= (size_t)v->field->min && count <= (size_t)v->field->max)
		return 0;
	(void)snprintf(hint, sizeof(hint), "%lld to %lld", (long long)v->field->min,
		       (long long)v->field->max);
	return decode_refuse(d, v->path, hint, "has too few or too many entries");
}

static int get_array(struct decoder *d, const struct value *v, size_t *ret_count)
{
	if (!json_object_is_type(v->json, json_type_array))
		return decode_refuse(d, v->path, NULL, "must be an array");
	*ret_count = json_object_array_length(v->json);
	return check_count(d, v, *ret_count);
}

static int decode_strings(struct decoder *d, const struct value *v)
{
	struct strings *out = v->out;
	const char **items;
	size_t count, size;

	if (get_array(d, v, &count) < 0)
		return -1;
	items = arena_alloc(d->context->arena, count + 1, sizeof(*items));
	if (!items)
		return decode_no_memory(d);
	for (size_t i = 0; i < count; i++) {
		struct path p = { .parent = v->path, .index = i };

		if (decode_get_string(d, &p, json_object_array_get_idx(v->json, i), &items[i],
				      &size) < 0)
			return -1;
	}
	*out = (struct strings){ items, count };
	return 0;
}

static int decode_objects(struct decoder *d, const struct value *v)
{
	struct workspaces_params *out = v->out; /* every such list has this shape */
	const struct field *f = v->field;
	unsigned char *items;
	size_t count;

	if (get_array(d, v, &count) < 0)
		return -1;
	items = arena_alloc(d->context->arena, count + 1, f->size);
	if (!items)
		return decode_no_memory(d);
	for (size_t i = 0; i < count; i++) {
		struct path p = { .parent = v->path, .index = i };
		struct value item = { &p, f, json_object_array_get_idx(v->json, i),
				      items + i * f->size };

		if (decode_object(d, &item) < 0)
			return -1;
	}
	out->items = (const void *)items;
	out->count = count;
	return 0;
}

_Static_assert(sizeof(struct files_params) == sizeof(struct workspaces_params) &&
		       offsetof(struct files_params, count) ==
			       offsetof(struct workspaces_params, count),
	       "FIELD_OBJECTS");
_Static_assert(sizeof(struct stages_params) == sizeof(struct workspaces_params) &&
		       offsetof(struct stages_params, count) ==
			       offsetof(struct workspaces_params, count),
	       "FIELD_OBJECTS");

static int decode_pair(struct decoder *d, const struct value *v, struct pair *pair)
{
	bool env = v->field->kind == FIELD_ENV;
	size_t max = env ? EXEC_ARGS_BYTES_MAX : LABEL_VALUE_MAX;

	if (pair->key[0] == '\0' ||
	    strlen(pair->key) > (env ? (size_t)EXEC_ARGS_BYTES_MAX : (size_t)LABEL_KEY_MAX))
		return decode_refuse(d, v->path, NULL, "has a name that is empty or too long");
	if (env && strchr(pair->key, '='))
		return decode_refuse(d, v->path, NULL, "has a name with \"=\" in it");
	return decode_get_bounded(d, v, 0, max, &pair->value);
}

static int decode_pairs(struct decoder *d, const struct value *v)
{
	size_t max = v->field->kind == FIELD_ENV ? ENV_MAX : LABELS_MAX;
	struct pairs *out = v->out;
	struct pair *items;
	size_t count, i = 0;

	if (!json_object_is_type(v->json, json_type_object))
		return decode_refuse(d, v->path, NULL, "must be an object of strings");
	count = (size_t)json_object_object_length(v->json);
	if (count > max)
		return decode_refuse(d, v->path, NULL, "has too many entries");
	items = arena_alloc(d->context->arena, count + 1, sizeof(*items));
	if (!items)
		return decode_no_memory(d);
	json_object_object_foreach (v->json, key, json) {
		struct path p = { .parent = v->path, .name = key };
		struct value item = { &p, v->field, json, NULL };

		items[i].key = key;
		if (decode_pair(d, &item, &items[i]) < 0)
			return -1;
		i++;
	}
	*out = (struct pairs){ items, count };
	return 0;
}

/* ---- unions ---- */

/* The only member of an object, or NULL. */
static const char *only_key(struct json_object *json, struct json_object **ret)
{
	if (!json_object_is_type(json, json_type_object) || json_object_object_length(json) != 1)
		return NULL;
	json_object_object_foreach (json, key, value) {
		*ret = value;
		return key;
	}
	return NULL;
}

static int get_base64(struct decoder *d, const struct path *parent, struct json_object *json,
		      struct bytes *ret)
{
	struct path p = { .parent = parent, .name = "base64" };
	const char *text;
	size_t size;
	void *data;

	if (decode_get_string(d, &p, json, &text, &size) < 0)
		return -1;
	data = arena_alloc(d->context->arena, base64_decoded_size(size) + 1, 1);
	if (!data)
		return decode_no_memory(d);
	if (base64_decode(text, size, data, &ret->size) < 0)
		return decode_refuse(d, &p, NULL, "is not base64");
	ret->data = data;
	return 0;
}

static int decode_text(struct decoder *d, const struct value *v)
{
	struct bytes *out = v->out;
	struct json_object *json = NULL;
	const char *key = only_key(v->json, &json);
	const char *text;

	if (key && strcmp(key, "base64") == 0)
		return get_base64(d, v->path, json, out);
	if (!json_object_is_type(v->json, json_type_string))
		return decode_refuse(d, v->path, NULL, "must be a string or {\"base64\": …}");
	if (decode_get_string(d, v->path, v->json, &text, &out->size) < 0)
		return -1;
	out->data = text;
	return 0;
}

#define STDIN_ACCEPTED "\"null\", \"stream\", {text}, {base64} or {fd}"

/* An object with one member; ACCEPTED says what else could have been there. */
static int decode_source_object(struct decoder *d, const struct value *v, const char *accepted)
{
	struct stdin_params *out = v->out;
	struct json_object *json = NULL;
	const char *key = only_key(v->json, &json);
	struct path p = { .parent = v->path, .name = key };
	struct value inner = { &p, v->field, json, &out->fd };
	const char *text;

	if (key && strcmp(key, "fd") == 0) {
		out->kind = STDIN_FD;
		return decode_fd(d, &inner);
	}
	out->kind = STDIN_BYTES;
	if (key && strcmp(key, "base64") == 0)
		return get_base64(d, v->path, json, &out->data);
	if (!key || strcmp(key, "text") != 0)
		return decode_refuse(d, v->path, accepted,
				     v->field->kind == FIELD_STDIN
					     ? "must be a word or an object with one member"
					     : "must be an object with one member");
	if (decode_get_string(d, &p, json, &text, &out->data.size) < 0)
		return -1;
	out->data.data = text;
	return 0;
}

static int decode_source(struct decoder *d, const struct value *v)
{
	return decode_source_object(d, v, "{text}, {base64} or {fd}");
}

static int decode_stdin_word(struct decoder *d, const struct value *v, struct stdin_params *out)
{
	const char *text;
	size_t size;

	if (decode_get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (strcmp(text, "null") == 0)
		out->kind = STDIN_NULL;
	else if (strcmp(text, "stream") == 0)
		out->kind = STDIN_STREAM;
	else
		return decode_refuse(d, v->path, STDIN_ACCEPTED, "is none of the accepted words");
	return 0;
}

static int decode_stdin(struct decoder *d, const struct value *v)
{
	if (json_object_is_type(v->json, json_type_string))
		return decode_stdin_word(d, v, v->out);
	return decode_source_object(d, v, STDIN_ACCEPTED);
}

static int decode_id(struct decoder *d, const struct value *v)
{
	if (!json_object_is_type(v->json, json_type_string) &&
	    !json_object_is_type(v->json, json_type_int))
		return decode_refuse(d, v->path, NULL, "must be a string or an integer");
	/* The text lives as long as the JSON. */
	*(const char **)v->out = json_object_to_json_string_ext(v->json, JSON_C_TO_STRING_PLAIN);
	return *(const char **)v->out ? 0 : decode_no_memory(d);
}

/* ---- objects ---- */

static void set_defaults(const struct field *fields, unsigned char *base)
{
	for (const struct field *f = fields; f->name; f++) {
		void *out = base + f->offset;

		if (f->kind == FIELD_INT64)
			*(int64_t *)out = f->flags & FIELD_DEFAULT ? f->fallback : -1;
		else if (f->kind == FIELD_MODE)
			*(uint32_t *)out = (uint32_t)f->fallback;
		else if (f->kind == FIELD_ENUM)
			*(int *)out = (int)f->fallback;
		else if (f->kind == FIELD_OBJECT)
			set_defaults(f->fields, out);
	}
}

static int decode_member(struct decoder *d, const struct value *owner, const char *key,
			 struct json_object *json)
{
	const struct field *f = field_by_name(owner->field->fields, key);
	struct path p = { .parent = owner->path, .name = key };
	struct value v = { &p, f, json, NULL };

	if (!f || f->flags & FIELD_SHORTHAND_ONLY)
		return decode_refuse(d, &p, NULL, "is unknown");
	v.out = (unsigned char *)owner->out + f->offset;
	if (!(f->flags & FIELD_UNAVAILABLE))
		return decode_value(d, &v);
	/* `false` asks for nothing that is missing. */
	if (f->kind == FIELD_BOOL && json_object_is_type(json, json_type_boolean) &&
	    !json_object_get_boolean(json))
		return 0;
	return decode_refuse_unavailable(d, &p);
}

static int decode_given(struct decoder *d, const struct value *owner)
{
	json_object_object_foreach (owner->json, key, json) {
		if (decode_member(d, owner, key, json) < 0)
			return -1;
	}
	return 0;
}

static int decode_members(struct decoder *d, const struct value *owner)
{
	/* What is given comes first, so that "not available" wins over "missing". */
	if (owner->json && decode_given(d, owner) < 0)
		return -1;
	for (const struct field *f = owner->field->fields; f->name; f++) {
		struct path p = { .parent = owner->path, .name = f->name };

		if (f->flags & FIELD_REQUIRED &&
		    !json_object_object_get_ex(owner->json, f->name, NULL))
			return decode_refuse(d, &p, NULL, "is missing");
	}
	return 0;
}

/* A bare string stands for one member; errors name the owner then. */
static int decode_shorthand(struct decoder *d, const struct value *v)
{
	const struct field *f = field_by_name(v->field->fields, v->field->shorthand);
	struct value inner = { v->path, f, v->json, (unsigned char *)v->out + f->offset };

	return decode_value(d, &inner);
}

/* An object in place, or an item of a list of them. */
static int decode_object(struct decoder *d, const struct value *v)
{
	set_defaults(v->field->fields, v->out);
	if (v->field->shorthand && json_object_is_type(v->json, json_type_string))
		return decode_shorthand(d, v);
	if (!json_object_is_type(v->json, json_type_object))
		return decode_refuse(d, v->path, NULL,
				     v->field->shorthand ? "must be a string or an object"
							 : "must be an object");
	if (v->field->flags & FIELD_GIVEN)
		*(bool *)v->out = true;
	return decode_members(d, v);
}

static int decode_never(struct decoder *d, const struct value *v)
{
	return decode_refuse(d, v->path, NULL, "cannot be a parameter");
}

static int (*const decoders[FIELD_KIND_MAX])(struct decoder *d, const struct value *v) = {
	[FIELD_STRING] = decode_string,
	[FIELD_NAME] = decode_name,
	[FIELD_TEMPLATE_NAME] = decode_name,
	[FIELD_TIME] = decode_never,
	[FIELD_BOOL] = decode_bool,
	[FIELD_INT64] = decode_integer,
	[FIELD_UINT64] = decode_integer,
	[FIELD_UINT32] = decode_integer,
	[FIELD_UINT16] = decode_integer,
	[FIELD_ENUM] = decode_enum,
	[FIELD_KEYWORD] = decode_keyword,
	[FIELD_STRINGS] = decode_strings,
	[FIELD_ENV] = decode_pairs,
	[FIELD_LABELS] = decode_pairs,
	[FIELD_TEXT] = decode_text,
	[FIELD_OBJECT] = decode_object,
	[FIELD_OBJECTS] = decode_objects,
	[FIELD_STDIN] = decode_stdin,
	[FIELD_SOURCE] = decode_source,
	[FIELD_FD] = decode_fd,
	[FIELD_MODE] = decode_mode,
	[FIELD_SIGNAL] = decode_signal,
	[FIELD_ID] = decode_id,
	[FIELD_REF] = decode_never,
	[FIELD_REFS] = decode_never,
	[FIELD_STRING_OR_INT] = decode_never,
	[FIELD_NUMBER] = decode_never,
	[FIELD_COUNTS] = decode_never,
	[FIELD_TEXTS] = decode_never,
	[FIELD_ANY] = decode_never,
};

static int decode_value(struct decoder *d, const struct value *v)
{
	return decoders[v->field->kind](d, v);
}

static int refuse_any(struct decoder *d, struct json_object *params)
{
	json_object_object_foreach (params, key, json) {
		struct path p = { .name = key };

		(void)json;
		return decode_refuse(d, &p, NULL, "is unknown");
	}
	return 0;
}

int decode_params(const struct method *m, struct json_object *params,
		  const struct decode_context *context, const void **ret, struct error *reterr)
{
	struct decoder d = { .context = context, .reterr = reterr };
	struct field whole = { .name = "params", .fields = m->params };
	struct value v = { .field = &whole, .json = params };

	if (params && !json_object_is_type(params, json_type_object))
		return error_set(reterr, ERROR_INVALID_PARAMS, "params", NULL,
				 "params must be an object");
	if (!m->params) {
		*ret = NULL;
		return params ? refuse_any(&d, params) : 0;
	}
	v.out = arena_alloc(context->arena, 1, m->params_size);
	if (!v.out)
		return decode_no_memory(&d);
	set_defaults(m->params, v.out);
	if (decode_members(&d, &v) < 0)
		return -1;
	*ret = v.out;
	return 0;
}
