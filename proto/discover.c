/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the tables and writes a JSON schema for each field. A builder remembers whether memory ran
 * out, so that the walk needs no check after each step; the document is thrown away at the end. */

#include "discover.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "error.h"
#include "methods.h"

#define NAME_PATTERN "[A-Za-z0-9][A-Za-z0-9._+-]{0,127}"

struct builder {
	bool failed;
};

static struct json_object *schema_of(struct builder *b, const struct field *f, bool result);

/* ---- small pieces ---- */

/* Notes a failed allocation and passes the object on. */
static struct json_object *got(struct builder *b, struct json_object *json)
{
	if (!json)
		b->failed = true;
	return json;
}

static struct json_object *new_object(struct builder *b)
{
	return got(b, json_object_new_object());
}

static struct json_object *new_array(struct builder *b)
{
	return got(b, json_object_new_array());
}

/* Takes VALUE. */
static void put(struct builder *b, struct json_object *object, const char *key,
		struct json_object *value)
{
	if (!object || !value || json_object_object_add(object, key, value) < 0) {
		b->failed = true;
		json_object_put(value);
	}
}

static void put_string(struct builder *b, struct json_object *object, const char *key,
		       const char *text)
{
	put(b, object, key, json_object_new_string(text));
}

static void put_integer(struct builder *b, struct json_object *object, const char *key, int64_t n)
{
	put(b, object, key, json_object_new_int64(n));
}

static void put_boolean(struct builder *b, struct json_object *object, const char *key, bool value)
{
	put(b, object, key, json_object_new_boolean(value));
}

/* Takes VALUE. */
static void push(struct builder *b, struct json_object *array, struct json_object *value)
{
	if (!array || !value || json_object_array_add(array, value) < 0) {
		b->failed = true;
		json_object_put(value);
	}
}

static void push_string(struct builder *b, struct json_object *array, const char *text)
{
	push(b, array, json_object_new_string(text));
}

static struct json_object *new_type(struct builder *b, const char *type)
{
	struct json_object *schema = new_object(b);

	put_string(b, schema, "type", type);
	return schema;
}

static struct json_object *new_reference(struct builder *b, const struct schema *s)
{
	struct json_object *schema = new_object(b);
	char target[96];

	(void)snprintf(target, sizeof(target), "#/components/schemas/%s", s->name);
	put_string(b, schema, "$ref", target);
	return schema;
}

/* {"oneOf": [A, B]}; takes both. */
static struct json_object *new_choice(struct builder *b, struct json_object *one,
				      struct json_object *other)
{
	struct json_object *schema = new_object(b), *list = new_array(b);

	push(b, list, one);
	push(b, list, other);
	put(b, schema, "oneOf", list);
	return schema;
}

/* An object with exactly this member; takes VALUE. */
static struct json_object *new_single(struct builder *b, const char *key, struct json_object *value)
{
	struct json_object *schema = new_type(b, "object"), *members = new_object(b);
	struct json_object *required = new_array(b);

	put(b, members, key, value);
	put(b, schema, "properties", members);
	push_string(b, required, key);
	put(b, schema, "required", required);
	put_boolean(b, schema, "additionalProperties", false);
	return schema;
}

/* ---- schemas of fields ---- */

static struct json_object *schema_of_string(struct builder *b, const struct field *f, bool result)
{
	struct json_object *schema = new_type(b, "string");

	if (f->kind == FIELD_NAME)
		put_string(b, schema, "pattern", "^" NAME_PATTERN "$");
	else if (f->kind == FIELD_TEMPLATE_NAME)
		put_string(b, schema, "pattern", "^" NAME_PATTERN "([:@]" NAME_PATTERN ")?$");
	else if (f->kind == FIELD_MODE)
		put_string(b, schema, "pattern", "^0?[0-7]{3}$");
	else if (f->kind == FIELD_TIME)
		put_string(b, schema, "format", "date-time");
	if (result || f->kind != FIELD_STRING)
		return schema;
	if (f->min > 0)
		put_integer(b, schema, "minLength", f->min);
	if (f->max > 0)
		put_integer(b, schema, "maxLength", f->max);
	return schema;
}

static struct json_object *schema_of_integer(struct builder *b, const struct field *f, bool result)
{
	struct json_object *schema = new_type(b, "integer");

	if (result)
		return schema;
	put_integer(b, schema, "minimum", f->min);
	put_integer(b, schema, "maximum", f->kind == FIELD_FD ? RPC_FDS_MAX - 1 : f->max);
	if (f->flags & FIELD_DEFAULT)
		put_integer(b, schema, "default", f->fallback);
	return schema;
}

static struct json_object *schema_of_words(struct builder *b, const struct field *f)
{
	struct json_object *schema = new_type(b, "string"), *words = new_array(b);
	struct json_object *missing = NULL;

	for (size_t i = f->values[0] ? 0 : 1; f->values[i]; i++) {
		push_string(b, words, f->values[i]);
		if (!(f->unavailable_values & 1u << i))
			continue;
		if (!missing)
			missing = new_array(b);
		push_string(b, missing, f->values[i]);
	}
	put(b, schema, "enum", words);
	if (missing)
		put(b, schema, "x-unavailable", missing);
	return schema;
}

static struct json_object *array_of(struct builder *b, const struct field *f,
				    struct json_object *item, bool result)
{
	struct json_object *schema = new_type(b, "array");

	put(b, schema, "items", item);
	if (result)
		return schema;
	if (f->min > 0)
		put_integer(b, schema, "minItems", f->min);
	put_integer(b, schema, "maxItems", f->max);
	return schema;
}

/* An object whose members are all of TYPE. */
static struct json_object *map_of(struct builder *b, const char *type)
{
	struct json_object *schema = new_type(b, "object");

	put(b, schema, "additionalProperties", new_type(b, type));
	return schema;
}

static struct json_object *schema_of_text(struct builder *b)
{
	return new_choice(b, new_type(b, "string"), new_single(b, "base64", new_type(b, "string")));
}

static struct json_object *schema_of_source(struct builder *b, bool with_words)
{
	static const char *const words[] = { "null", "stream", NULL };
	const struct field word = { .kind = FIELD_ENUM, .values = words };
	const struct field index = { .kind = FIELD_FD };
	struct json_object *schema = new_object(b), *list = new_array(b);

	if (with_words)
		push(b, list, schema_of_words(b, &word));
	push(b, list, new_single(b, "text", new_type(b, "string")));
	push(b, list, new_single(b, "base64", new_type(b, "string")));
	push(b, list, new_single(b, "fd", schema_of_integer(b, &index, false)));
	put(b, schema, "oneOf", list);
	return schema;
}

/* Params refuse what they do not know; results may gain members. */
static struct json_object *schema_of_members(struct builder *b, const struct field *fields,
					     bool result)
{
	struct json_object *schema = new_type(b, "object"), *members = new_object(b);
	struct json_object *required = new_array(b);

	for (const struct field *f = fields; f->name; f++) {
		if (f->flags & FIELD_SHORTHAND_ONLY)
			continue;
		put(b, members, f->name, schema_of(b, f, result));
		if (f->flags & FIELD_REQUIRED)
			push_string(b, required, f->name);
	}
	put(b, schema, "properties", members);
	put(b, schema, "required", required);
	if (!result)
		put_boolean(b, schema, "additionalProperties", false);
	return schema;
}

static struct json_object *schema_of_object(struct builder *b, const struct field *f, bool result)
{
	struct json_object *schema = schema_of_members(b, f->fields, result);

	if (!f->shorthand || result)
		return schema;
	return new_choice(b, schema_of(b, field_by_name(f->fields, f->shorthand), result), schema);
}

static struct json_object *schema_of_value(struct builder *b, const struct field *f, bool result)
{
	const struct field number = { .kind = FIELD_INT64, .min = f->min, .max = f->max };

	switch (f->kind) {
	case FIELD_STRING:
	case FIELD_NAME:
	case FIELD_TEMPLATE_NAME:
	case FIELD_TIME:
	case FIELD_MODE:
		return schema_of_string(b, f, result);
	case FIELD_BOOL:
		return new_type(b, "boolean");
	case FIELD_INT64:
	case FIELD_UINT64:
	case FIELD_UINT32:
	case FIELD_UINT16:
	case FIELD_FD:
		return schema_of_integer(b, f, result);
	case FIELD_ENUM:
	case FIELD_KEYWORD:
		return schema_of_words(b, f);
	case FIELD_STRINGS:
		return array_of(b, f, new_type(b, "string"), result);
	case FIELD_ENV:
	case FIELD_LABELS:
		return map_of(b, "string");
	case FIELD_NUMBER:
		return new_type(b, "number");
	case FIELD_COUNTS:
		return map_of(b, "integer");
	case FIELD_TEXT:
		return schema_of_text(b);
	case FIELD_TEXTS:
		return array_of(b, f, schema_of_text(b), result);
	case FIELD_OBJECT:
		return schema_of_object(b, f, result);
	case FIELD_OBJECTS:
		return array_of(b, f, schema_of_object(b, f, result), result);
	case FIELD_STDIN:
	case FIELD_SOURCE:
		return schema_of_source(b, f->kind == FIELD_STDIN);
	case FIELD_SIGNAL:
	case FIELD_ID:
	case FIELD_STRING_OR_INT:
		return new_choice(b, new_type(b, "string"),
				  schema_of_integer(b, &number, f->kind != FIELD_SIGNAL));
	case FIELD_REF:
		return new_reference(b, f->schema);
	case FIELD_REFS:
		return array_of(b, f, new_reference(b, f->schema), true);
	case FIELD_ANY:
	case FIELD_KIND_MAX:
		break;
	}
	return new_object(b); /* {}: anything */
}

static struct json_object *schema_of(struct builder *b, const struct field *f, bool result)
{
	struct json_object *schema = schema_of_value(b, f, result);

	if (result && f->flags & FIELD_NULLABLE)
		schema = new_choice(b, schema, new_type(b, "null"));
	put_string(b, schema, "description", f->doc);
	if (f->flags & FIELD_UNAVAILABLE)
		put_boolean(b, schema, "x-available", false);
	return schema;
}

/* ---- methods ---- */

static struct json_object *describe_param(struct builder *b, const struct field *f, bool result)
{
	struct json_object *param = new_object(b);

	put_string(b, param, "name", f->name);
	put_string(b, param, "description", f->doc);
	put_boolean(b, param, "required", f->flags & FIELD_REQUIRED);
	put(b, param, "schema", schema_of(b, f, result));
	return param;
}

static struct json_object *describe_params(struct builder *b, const struct field *fields,
					   bool result)
{
	struct json_object *params = new_array(b);

	for (const struct field *f = fields; f && f->name; f++)
		push(b, params, describe_param(b, f, result));
	return params;
}

/* A method that answers at once when detached gives something else then. */
static struct json_object *result_schema(struct builder *b, const struct method *m)
{
	const struct schema *detached = methods[METHOD_EXEC_GET].result;

	if (!m->result)
		return new_type(b, "object");
	if (m->flags & METHOD_BATCH_DETACHED)
		return new_choice(b, new_reference(b, m->result), new_reference(b, detached));
	return new_reference(b, m->result);
}

static struct json_object *describe_result(struct builder *b, const struct method *m)
{
	struct json_object *result = new_object(b);

	put_string(b, result, "name", m->result ? m->result->name : "Empty");
	put(b, result, "schema", result_schema(b, m));
	return result;
}

static struct json_object *describe_flags(struct builder *b, const struct method *m)
{
	static const struct {
		unsigned flag;
		const char *name;
	} names[] = {
		{ METHOD_READ_ONLY, "read-only" },
		{ METHOD_STREAMING, "streaming" },
		{ METHOD_NO_BATCH, "no-batch" },
		{ METHOD_BATCH_DETACHED, "batch-if-detached" },
		{ METHOD_NOTIFICATION, "notification" },
	};
	struct json_object *flags = new_array(b);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (m->flags & names[i].flag)
			push_string(b, flags, names[i].name);
	return flags;
}

/* Errors are the same for every method: one list in components, referred to by each. */
static struct json_object *refer_to_errors(struct builder *b)
{
	struct json_object *errors = new_array(b);

	for (int kind = ERROR_NONE + 1; kind < ERROR_KIND_MAX; kind++) {
		struct json_object *reference = new_object(b);
		char target[96];

		(void)snprintf(target, sizeof(target), "#/components/errors/%s",
			       error_kind_name((enum error_kind)kind));
		put_string(b, reference, "$ref", target);
		push(b, errors, reference);
	}
	return errors;
}

static struct json_object *describe_method(struct builder *b, const struct method *m)
{
	struct json_object *method = new_object(b);

	put_string(b, method, "name", m->name);
	put_string(b, method, "summary", m->doc);
	put_string(b, method, "paramStructure", "by-name");
	put(b, method, "params", describe_params(b, m->params, false));
	put(b, method, "result", describe_result(b, m));
	put(b, method, "errors", refer_to_errors(b));
	put(b, method, "x-flags", describe_flags(b, m));
	return method;
}

static void put_methods(struct builder *b, struct json_object *document)
{
	struct json_object *available = new_array(b), *missing = new_array(b);

	for (size_t i = 0; i < METHOD_MAX; i++) {
		if (methods[i].flags & METHOD_AVAILABLE)
			push(b, available, describe_method(b, &methods[i]));
		else
			push_string(b, missing, methods[i].name);
	}
	put(b, document, "methods", available);
	put(b, document, "x-unavailable", missing);
}

static struct json_object *describe_notifications(struct builder *b)
{
	struct json_object *list = new_array(b);

	for (size_t i = 0; i < notifications_count; i++) {
		struct json_object *n = new_object(b);

		put_string(b, n, "name", notifications[i].name);
		put_string(b, n, "summary", notifications[i].doc);
		put_string(b, n, "paramStructure", "by-name");
		put(b, n, "params", describe_params(b, notifications[i].params, true));
		put_boolean(b, n, "x-available", notifications[i].available);
		push(b, list, n);
	}
	return list;
}

static struct json_object *describe_error(struct builder *b, enum error_kind kind)
{
	struct json_object *error = new_object(b), *data = new_object(b);

	put_integer(b, error, "code", error_code(kind));
	put_string(b, error, "message", error_kind_name(kind));
	put_string(b, data, "kind", error_kind_name(kind));
	put(b, error, "data", data);
	return error;
}

static struct json_object *describe_components(struct builder *b)
{
	struct json_object *components = new_object(b);
	struct json_object *types = new_object(b), *errors = new_object(b);

	for (size_t i = 0; i < schemas_count; i++) {
		struct json_object *schema = schema_of_members(b, schemas[i]->fields, true);

		put_string(b, schema, "description", schemas[i]->doc);
		put(b, types, schemas[i]->name, schema);
	}
	for (int kind = ERROR_NONE + 1; kind < ERROR_KIND_MAX; kind++)
		put(b, errors, error_kind_name((enum error_kind)kind),
		    describe_error(b, (enum error_kind)kind));
	put(b, components, "schemas", types);
	put(b, components, "errors", errors);
	return components;
}

struct json_object *discover_document(void)
{
	struct builder b = { 0 };
	struct json_object *document = new_object(&b), *info = new_object(&b);

	put_string(&b, document, "openrpc", "1.2.6");
	put_string(&b, info, "title", "sandboxd");
	put_string(&b, info, "description",
		   "Sandboxes for agent loops: JSON-RPC 2.0, one message per line, over a Unix "
		   "stream socket.");
	put_string(&b, info, "version", PROTOCOL_VERSION);
	put(&b, document, "info", info);
	put_methods(&b, document);
	put(&b, document, "components", describe_components(&b));
	put(&b, document, "x-notifications", describe_notifications(&b));
	if (!b.failed)
		return document;
	json_object_put(document);
	return NULL;
}

char *discover_text(void)
{
	struct json_object *document = discover_document();
	const char *text =
		document ? json_object_to_json_string_ext(document,
							  JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE)
			 : NULL;
	char *copy = text ? strdup(text) : NULL;

	json_object_put(document);
	return copy;
}
