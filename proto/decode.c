/* SPDX-License-Identifier: Apache-2.0 */
/* One decoder for each kind of field. A decoder gets the JSON value and the place of the C value;
 * it checks the JSON type before every get, because json-c converts and clamps silently (measured),
 * and refuses a NUL inside a string, which C would cut there.
 *
 * The way down to a value is a list of `struct path` on the stack; it becomes text only when
 * something is refused. */

#include "decode.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "params.h"
#include "text.h"

#define STRING_MAX_DEFAULT 4096
#define LABEL_KEY_MAX 128
#define LABEL_VALUE_MAX 4096
#define WORDS_TEXT_MAX 256 /* the words of an enumeration, in a hint */
#define FIELD_TEXT_MAX 256 /* of a dotted name in an error */

struct path {
	const struct path *parent;
	const char *name; /* NULL: an item of a list */
	size_t index;
};

/* One value being decoded. */
struct value {
	const struct path *path;
	const struct field *field;
	struct json_object *json;
	void *out;
};

struct decoder {
	const struct decode_context *context;
	struct error *reterr;
	uint64_t fds_used; /* RPC_FDS_MAX bits */
};

_Static_assert(RPC_FDS_MAX <= 64, "fds_used has one bit for each descriptor");
_Static_assert(offsetof(struct tty_params, given) == 0, "FIELD_GIVEN");
_Static_assert(offsetof(struct fd_params, given) == 0, "FIELD_GIVEN");
/* Enums are written as int. */
_Static_assert(sizeof(enum network_mode) == sizeof(int), "FIELD_ENUM");

static int decode_value(struct decoder *d, const struct value *v);
static int decode_object(struct decoder *d, const struct value *v);

/* ---- errors ---- */

static size_t path_text(const struct path *p, char *text, size_t size)
{
	size_t used = p->parent ? path_text(p->parent, text, size) : 0;
	int n;

	if (used + 1 >= size)
		return used;
	if (!p->name)
		n = snprintf(text + used, size - used, "[%zu]", p->index);
	else
		n = snprintf(text + used, size - used, "%s%s", used > 0 ? "." : "", p->name);
	if (n < 0)
		return used;
	return used + (size_t)n < size ? used + (size_t)n : size - 1;
}

/* Names of unknown keys are the client's: the text is cut, never inside a character. */
static const char *field_text(const struct path *p, char text[static FIELD_TEXT_MAX])
{
	size_t used = path_text(p, text, FIELD_TEXT_MAX);

	text[utf8_valid_length(text, used)] = '\0';
	return text;
}

static int refuse(struct decoder *d, const struct path *p, const char *hint, const char *what)
{
	char text[FIELD_TEXT_MAX];

	field_text(p, text);
	(void)error_set(d->reterr, ERROR_INVALID_PARAMS, text, hint, "parameter %s %s", text, what);
	return -1;
}

static int refuse_unavailable(struct decoder *d, const struct path *p)
{
	char text[FIELD_TEXT_MAX];

	field_text(p, text);
	(void)error_set(d->reterr, ERROR_UNAVAILABLE, text, UNAVAILABLE_HINT,
			"parameter %s cannot be used yet", text);
	return -1;
}

static int no_memory(struct decoder *d)
{
	(void)error_set_errno(d->reterr, ENOMEM, "decoding parameters");
	return -1;
}

/* ---- strings ---- */

static int get_string(struct decoder *d, const struct path *p, struct json_object *json,
		      const char **ret, size_t *ret_size)
{
	const char *text;
	size_t size;

	if (!json_object_is_type(json, json_type_string))
		return refuse(d, p, NULL, "must be a string");
	text = json_object_get_string(json);
	size = (size_t)json_object_get_string_len(json);
	if (strlen(text) != size)
		return refuse(d, p, "base64 can carry any byte where it is accepted",
			      "must not contain a NUL");
	*ret = text;
	*ret_size = size;
	return 0;
}

static int get_bounded(struct decoder *d, const struct value *v, size_t min, size_t max,
		       const char **ret)
{
	const char *text;
	size_t size;
	char hint[64];

	if (get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (size < min || size > max) {
		(void)snprintf(hint, sizeof(hint), "%zu to %zu bytes", min, max);
		return refuse(d, v->path, hint, size < min ? "is too short" : "is too long");
	}
	*ret = text;
	return 0;
}

static int decode_string(struct decoder *d, const struct value *v)
{
	size_t max = v->field->max > 0 ? (size_t)v->field->max : STRING_MAX_DEFAULT;

	return get_bounded(d, v, (size_t)v->field->min, max, v->out);
}

static bool is_name_character(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return !first && c != '\0' && strchr("._+-", c);
}

/* Length of the name at the start of TEXT; 0: none. */
static size_t name_length(const char *text)
{
	size_t n = 0;

	while (is_name_character(text[n], n == 0))
		n++;
	return n;
}

static int decode_name(struct decoder *d, const struct value *v)
{
	const char *text;
	size_t size, n;

	if (get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	n = name_length(text);
	/* A template's tag or version is one more name. */
	if (v->field->kind == FIELD_TEMPLATE_NAME && n > 0 && (text[n] == ':' || text[n] == '@')) {
		size_t more = name_length(text + n + 1);

		n = more > 0 ? n + 1 + more : 0;
	}
	if (n == 0 || n != size || n > NAME_LENGTH_MAX)
		return refuse(d, v->path, "[A-Za-z0-9][A-Za-z0-9._+-]{0,127}",
			      "is not a valid name");
	*(const char **)v->out = text;
	return 0;
}

/* Names every word that would have been right. */
static int refuse_word(struct decoder *d, const struct value *v)
{
	const char *const *values = v->field->values;
	char hint[WORDS_TEXT_MAX] = "one of";
	size_t used = strlen(hint);
	int n;

	for (int i = values[0] ? 0 : 1; values[i]; i++) {
		n = snprintf(hint + used, sizeof(hint) - used, " %s", values[i]);
		if (n < 0 || (size_t)n >= sizeof(hint) - used)
			break; /* enough of them are named */
		used += (size_t)n;
	}
	return refuse(d, v->path, hint, "is none of the accepted words");
}

/* Index of the string in the field's values, or -1 when it is none of them (an error is set). */
static int find_value(struct decoder *d, const struct value *v)
{
	const char *const *values = v->field->values;
	const char *text;
	size_t size;

	if (get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	for (int i = values[0] ? 0 : 1; values[i]; i++)
		if (strcmp(values[i], text) == 0)
			return i;
	return refuse_word(d, v);
}

static int decode_enum(struct decoder *d, const struct value *v)
{
	int i = find_value(d, v);

	if (i < 0)
		return -1;
	if (v->field->unavailable_values & 1u << i)
		return refuse_unavailable(d, v->path);
	*(int *)v->out = i;
	return 0;
}

static int decode_keyword(struct decoder *d, const struct value *v)
{
	if (find_value(d, v) < 0)
		return -1;
	*(bool *)v->out = true;
	return 0;
}

/* ---- numbers ---- */

static int decode_bool(struct decoder *d, const struct value *v)
{
	if (!json_object_is_type(v->json, json_type_boolean))
		return refuse(d, v->path, NULL, "must be true or false");
	*(bool *)v->out = json_object_get_boolean(v->json);
	return 0;
}

/* json-c clamps what does not fit into 64 bits, so every range here must end before INT64_MAX. */
static int get_integer(struct decoder *d, const struct value *v, int64_t min, int64_t max,
		       int64_t *ret)
{
	char hint[64];
	int64_t n;

	if (!json_object_is_type(v->json, json_type_int))
		return refuse(d, v->path, NULL, "must be an integer");
	n = json_object_get_int64(v->json);
	if (n < min || n > max) {
		(void)snprintf(hint, sizeof(hint), "%lld to %lld", (long long)min, (long long)max);
		return refuse(d, v->path, hint, "is out of range");
	}
	*ret = n;
	return 0;
}

static int decode_integer(struct decoder *d, const struct value *v)
{
	int64_t n;

	if (get_integer(d, v, v->field->min, v->field->max, &n) < 0)
		return -1;
	if (v->field->kind == FIELD_INT64)
		*(int64_t *)v->out = n;
	else if (v->field->kind == FIELD_UINT64)
		*(uint64_t *)v->out = (uint64_t)n;
	else if (v->field->kind == FIELD_UINT32)
		*(uint32_t *)v->out = (uint32_t)n;
	else
		*(uint16_t *)v->out = (uint16_t)n;
	return 0;
}

static int decode_fd(struct decoder *d, const struct value *v)
{
	const struct decode_context *c = d->context;
	const char *why;
	int64_t n;

	if (get_integer(d, v, 0, RPC_FDS_MAX - 1, &n) < 0)
		return -1;
	if ((size_t)n >= c->fd_count)
		return refuse(d, v->path, "params.fds says how many the request takes",
			      "is not the index of a descriptor of this request");
	if (d->fds_used & UINT64_C(1) << n)
		return refuse(d, v->path, "send a duplicate of it", "is used twice");
	why = c->fd_refused ? c->fd_refused((unsigned)n, c->userdata) : NULL;
	if (why)
		return refuse(d, v->path,
			      "pipes, sockets, terminals, /dev/null, zero, full, random, urandom",
			      why);
	d->fds_used |= UINT64_C(1) << n;
	*(unsigned *)v->out = (unsigned)n;
	return 0;
}

static int decode_mode(struct decoder *d, const struct value *v)
{
	const char *text;
	uint32_t mode = 0;
	size_t size;

	if (get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (size < 3 || size > 4 || strspn(text, "01234567") != size)
		return refuse(d, v->path, "\"0600\"", "must be three or four octal digits");
	for (size_t i = 0; i < size; i++)
		mode = mode << 3 | (uint32_t)(text[i] - '0');
	if (mode > (uint32_t)v->field->max)
		return refuse(d, v->path, "\"0600\"", "must not have setuid, setgid or sticky");
	*(uint32_t *)v->out = mode;
	return 0;
}

static int decode_signal(struct decoder *d, const struct value *v)
{
	const char *text;
	int64_t n;
	size_t size;

	if (json_object_is_type(v->json, json_type_int)) {
		if (get_integer(d, v, v->field->min, v->field->max, &n) < 0)
			return -1;
		*(int *)v->out = (int)n;
		return 0;
	}
	if (!json_object_is_type(v->json, json_type_string))
		return refuse(d, v->path, NULL, "must be a signal's name or number");
	if (get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < 32; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcmp(name, text) == 0) {
			*(int *)v->out = i;
			return 0;
		}
	}
	return refuse(d, v->path, "\"SIGTERM\", \"TERM\" or 15", "is not a signal");
}

/* ---- lists and maps ---- */

static int check_count(struct decoder *d, const struct value *v, size_t count)
{
	char hint[64];

	if (count >= (size_t)v->field->min && count <= (size_t)v->field->max)
		return 0;
	(void)snprintf(hint, sizeof(hint), "%lld to %lld", (long long)v->field->min,
		       (long long)v->field->max);
	return refuse(d, v->path, hint, "has too few or too many entries");
}

static int get_array(struct decoder *d, const struct value *v, size_t *ret_count)
{
	if (!json_object_is_type(v->json, json_type_array))
		return refuse(d, v->path, NULL, "must be an array");
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
		return no_memory(d);
	for (size_t i = 0; i < count; i++) {
		struct path p = { .parent = v->path, .index = i };

		if (get_string(d, &p, json_object_array_get_idx(v->json, i), &items[i], &size) < 0)
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
		return no_memory(d);
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
		return refuse(d, v->path, NULL, "has a name that is empty or too long");
	if (env && strchr(pair->key, '='))
		return refuse(d, v->path, NULL, "has a name with \"=\" in it");
	return get_bounded(d, v, 0, max, &pair->value);
}

static int decode_pairs(struct decoder *d, const struct value *v)
{
	size_t max = v->field->kind == FIELD_ENV ? ENV_MAX : LABELS_MAX;
	struct pairs *out = v->out;
	struct pair *items;
	size_t count, i = 0;

	if (!json_object_is_type(v->json, json_type_object))
		return refuse(d, v->path, NULL, "must be an object of strings");
	count = (size_t)json_object_object_length(v->json);
	if (count > max)
		return refuse(d, v->path, NULL, "has too many entries");
	items = arena_alloc(d->context->arena, count + 1, sizeof(*items));
	if (!items)
		return no_memory(d);
	json_object_object_foreach(v->json, key, json)
	{
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
	json_object_object_foreach(json, key, value)
	{
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

	if (get_string(d, &p, json, &text, &size) < 0)
		return -1;
	data = arena_alloc(d->context->arena, base64_decoded_size(size) + 1, 1);
	if (!data)
		return no_memory(d);
	if (base64_decode(text, size, data, &ret->size) < 0)
		return refuse(d, &p, NULL, "is not base64");
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
		return refuse(d, v->path, NULL, "must be a string or {\"base64\": …}");
	if (get_string(d, v->path, v->json, &text, &out->size) < 0)
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
		return refuse(d, v->path, accepted,
			      v->field->kind == FIELD_STDIN
				      ? "must be a word or an object with one member"
				      : "must be an object with one member");
	if (get_string(d, &p, json, &text, &out->data.size) < 0)
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

	if (get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (strcmp(text, "null") == 0)
		out->kind = STDIN_NULL;
	else if (strcmp(text, "stream") == 0)
		out->kind = STDIN_STREAM;
	else
		return refuse(d, v->path, STDIN_ACCEPTED, "is none of the accepted words");
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
		return refuse(d, v->path, NULL, "must be a string or an integer");
	/* The text lives as long as the JSON. */
	*(const char **)v->out = json_object_to_json_string_ext(v->json, JSON_C_TO_STRING_PLAIN);
	return *(const char **)v->out ? 0 : no_memory(d);
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
		return refuse(d, &p, NULL, "is unknown");
	v.out = (unsigned char *)owner->out + f->offset;
	if (!(f->flags & FIELD_UNAVAILABLE))
		return decode_value(d, &v);
	/* `false` asks for nothing that is missing. */
	if (f->kind == FIELD_BOOL && json_object_is_type(json, json_type_boolean) &&
	    !json_object_get_boolean(json))
		return 0;
	return refuse_unavailable(d, &p);
}

static int decode_given(struct decoder *d, const struct value *owner)
{
	json_object_object_foreach(owner->json, key, json)
	{
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
			return refuse(d, &p, NULL, "is missing");
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
		return refuse(d, v->path, NULL,
			      v->field->shorthand ? "must be a string or an object"
						  : "must be an object");
	if (v->field->flags & FIELD_GIVEN)
		*(bool *)v->out = true;
	return decode_members(d, v);
}

static int decode_never(struct decoder *d, const struct value *v)
{
	return refuse(d, v->path, NULL, "cannot be a parameter");
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
	json_object_object_foreach(params, key, json)
	{
		struct path p = { .name = key };

		(void)json;
		return refuse(d, &p, NULL, "is unknown");
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
		return no_memory(&d);
	set_defaults(m->params, v.out);
	if (decode_members(&d, &v) < 0)
		return -1;
	*ret = v.out;
	return 0;
}
