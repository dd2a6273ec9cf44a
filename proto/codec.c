/* SPDX-License-Identifier: Apache-2.0 */
/* A line goes through scan_line() and then json-c, the only parser. The envelope of what leaves is
 * written by hand around json-c's text of id, result and params: no tree is built for it. */

#include "codec.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "scan.h"
#include "text.h"

#define ROOM_KEPT 65536 /* bytes of the parser, between lines */

struct codec {
	struct json_tokener *tokener;
};

static struct json_tokener *make_tokener(void)
{
	/* scan_line() is exact about the depth; json-c counts scalars as a level. */
	struct json_tokener *t = json_tokener_new_ex(RPC_NESTING_MAX + 2);

	if (t)
		json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return t;
}

int codec_new(struct codec **ret)
{
	struct codec *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->tokener = make_tokener();
	if (!c->tokener) {
		free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void codec_free(struct codec *c)
{
	if (!c)
		return;
	json_tokener_free(c->tokener);
	free(c);
}

/* ---- in ---- */

static int refuse_scan(enum scan_outcome outcome, struct error *reterr)
{
	static const char *const why[SCAN_OUTCOME_MAX] = {
		[SCAN_BAD_CHARACTER] = "the line has a character that JSON does not allow there",
		[SCAN_BAD_STRING] = "the line has a string that is not closed or has control "
				    "characters",
		[SCAN_BAD_UTF8] = "the line is not UTF-8",
		[SCAN_TOO_DEEP] = "the line is nested too deeply",
		[SCAN_TOO_MANY] = "the line has too many values",
	};

	if (outcome == SCAN_NOT_STRUCTURED)
		return error_set(reterr, ERROR_INVALID_REQUEST, NULL, NULL,
				 "a request is an object or a batch of them");
	return error_set(reterr, ERROR_PARSE, NULL, "system.info.limits has the limits", "%s",
			 why[outcome]);
}

/* Members below JSON. The recursion ends at RPC_NESTING_MAX. */
static size_t count_members(struct json_object *json)
{
	size_t n = 0;

	if (json_object_is_type(json, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(json); i++)
			n += count_members(json_object_array_get_idx(json, i));
	} else if (json_object_is_type(json, json_type_object)) {
		n = (size_t)json_object_object_length(json);
		json_object_object_foreach (json, key, value) {
			(void)key;
			n += count_members(value);
		}
	}
	return n;
}

/* json-c gathers the strings of a line, one after the other, in one buffer, which it does not
 * clear. With room for the longest from the beginning it leaves no copies by growing either. The
 * field is json-c's own; there is no other way to it. */
static void make_room(struct json_tokener *t, size_t line_size)
{
	if (t->pb->size <= (int)line_size)
		(void)printbuf_memset(t->pb, 0, 0,
				      (int)line_size + 1); /* no memory: the parser says so */
}

/* Room for a long line, which json-c would keep, goes with its parser. */
static void clear_room(struct codec *c, size_t line_size)
{
	struct json_tokener *t = c->tokener;
	size_t room = (size_t)t->pb->size;

	explicit_bzero(t->pb->buf, line_size < room ? line_size : room);
	if (room <= ROOM_KEPT || !(t = make_tokener()))
		return;
	json_tokener_free(c->tokener);
	c->tokener = t;
}

/* What of a line is not handed on may have been a secret. */
static void drop(struct json_object *json)
{
	codec_wipe(json);
	json_object_put(json);
}

/* The same of what json-c has of a line that it could not read; as above there is no other way. */
static void wipe_unfinished(const struct json_tokener *t)
{
	for (int i = 0; i <= t->depth; i++)
		codec_wipe(t->stack[i].current);
}

/* The whole line as one value, or NULL. */
static struct json_object *parse_whole(struct json_tokener *t, const char *line, size_t size)
{
	struct json_object *json;

	json_tokener_reset(t);
	json = json_tokener_parse_ex(t, line, (int)size);
	if (json_tokener_get_error(t) != json_tokener_success) {
		wipe_unfinished(t);
		return NULL;
	}
	for (size_t i = json_tokener_get_parse_end(t); i < size; i++) {
		if (!strchr(" \t\r", line[i])) {
			drop(json);
			return NULL;
		}
	}
	return json;
}

int codec_parse(struct codec *c, const char *line, size_t size, struct json_object **ret,
		struct error *reterr)
{
	struct json_object *json;
	enum scan_outcome outcome;
	struct scan scan;

	outcome = size >= INT32_MAX ? SCAN_TOO_MANY : scan_line(line, size, &scan);
	if (outcome == SCAN_BLANK)
		return 0;
	if (outcome != SCAN_OK)
		return refuse_scan(outcome, reterr);
	make_room(c->tokener, size);
	json = parse_whole(c->tokener, line, size);
	clear_room(c, size);
	if (!json)
		return error_set(reterr, ERROR_PARSE, NULL, NULL, "the line is not JSON");
	if (count_members(json) != scan.members) {
		drop(json);
		return error_set(reterr, ERROR_PARSE, NULL, NULL,
				 "the line has an object with the same key twice");
	}
	*ret = json;
	return 1;
}

static bool id_is_valid(struct json_object *id)
{
	int64_t n;

	if (json_object_is_type(id, json_type_string))
		return json_object_get_string_len(id) <= RPC_ID_MAX;
	if (!json_object_is_type(id, json_type_int))
		return false;
	/* json-c clamps what does not fit: the reply would carry another id. Above, it keeps a
	 * uint64_t that tells; below, -2^63 cannot be told from what was clamped to it. */
	n = json_object_get_int64(id);
	return n < 0 ? n != INT64_MIN : json_object_get_uint64(id) <= INT64_MAX;
}

int codec_call(struct json_object *json, struct call *ret, struct error *reterr)
{
	struct json_object *id = NULL, *version = NULL, *method = NULL;
	bool has_id;

	*ret = (struct call){ 0 };
	if (!json_object_is_type(json, json_type_object))
		return error_set(reterr, ERROR_INVALID_REQUEST, NULL, NULL,
				 "a request is an object");
	has_id = json_object_object_get_ex(json, "id", &id);
	if (has_id && !id_is_valid(id))
		return error_set(reterr, ERROR_INVALID_REQUEST, "id", NULL,
				 "id must be a string of at most %d bytes or an integer",
				 RPC_ID_MAX);
	ret->id = id;
	(void)json_object_object_get_ex(json, "jsonrpc", &version);
	if (!json_object_is_type(version, json_type_string) ||
	    strcmp(json_object_get_string(version), "2.0") != 0)
		return error_set(reterr, ERROR_INVALID_REQUEST, "jsonrpc", NULL,
				 "jsonrpc must be \"2.0\"");
	(void)json_object_object_get_ex(json, "method", &method);
	if (!json_object_is_type(method, json_type_string))
		return error_set(reterr, ERROR_INVALID_REQUEST, "method", NULL,
				 "method must be a string");
	ret->method = json_object_get_string(method);
	if (strlen(ret->method) != (size_t)json_object_get_string_len(method))
		return error_set(reterr, ERROR_INVALID_REQUEST, "method", NULL,
				 "method must not contain a NUL");
	if (json_object_object_get_ex(json, "params", &ret->params) && !ret->params)
		return error_set(reterr, ERROR_INVALID_REQUEST, "params", NULL,
				 "params must be an object");
	return 0;
}

bool codec_id_equal(struct json_object *a, struct json_object *b)
{
	return json_object_equal(a, b);
}

static void wipe_string(struct json_object *json)
{
	explicit_bzero((char *)(uintptr_t)json_object_get_string(json),
		       (size_t)json_object_get_string_len(json));
}

void codec_wipe(struct json_object *json)
{
	if (json_object_is_type(json, json_type_string)) {
		wipe_string(json);
	} else if (json_object_is_type(json, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(json); i++)
			codec_wipe(json_object_array_get_idx(json, i));
	} else if (json_object_is_type(json, json_type_object)) {
		json_object_object_foreach (json, key, value) {
			(void)key;
			codec_wipe(value);
		}
	}
}

/* ---- out ---- */

static int add_json(struct buffer *b, struct json_object *json, const char *absent)
{
	const char *text;
	size_t size;

	if (!json)
		return buffer_add_text(b, absent);
	text = json_object_to_json_string_length(json,
						 JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE,
						 &size);
	if (!text)
		return -ENOMEM;
	return buffer_add(b, text, size);
}

/* Takes back what was added when R says that a part is missing. */
static int finish(struct buffer *b, size_t before, int r)
{
	if (r < 0)
		buffer_cut(b, before);
	return r;
}

static int add_head(struct buffer *b, struct json_object *id, const char *next)
{
	int r = buffer_add_text(b, "{\"jsonrpc\":\"2.0\",\"id\":");

	if (r == 0)
		r = add_json(b, id, "null");
	return r == 0 ? buffer_add_text(b, next) : r;
}

int codec_add_result(struct buffer *b, struct json_object *id, struct json_object *result)
{
	size_t before = buffer_size(b);
	int r = add_head(b, id, ",\"result\":");

	if (r == 0)
		r = add_json(b, result, "{}");
	if (r == 0)
		r = buffer_add_text(b, "}");
	return finish(b, before, r);
}

int codec_add_result_text(struct buffer *b, struct json_object *id, const char *result)
{
	size_t before = buffer_size(b);
	int r = add_head(b, id, ",\"result\":");

	if (r == 0)
		r = buffer_add_text(b, result);
	if (r == 0)
		r = buffer_add_text(b, "}");
	return finish(b, before, r);
}

/* Text of ours may quote what is not UTF-8 (a path): each such byte becomes "?". */
static struct json_object *error_text(const char *text)
{
	CLEANUP_STR char *copy = strdup(text);
	size_t size, at = 0;

	if (!copy)
		return NULL;
	size = strlen(copy);
	while ((at += utf8_valid_length(copy + at, size - at)) < size)
		copy[at] = '?';
	return json_object_new_string_len(copy, (int)size);
}

static int put_text(struct json_object *object, const char *key, const char *text)
{
	struct json_object *value;

	if (!text)
		return 0;
	value = error_text(text);
	if (!value || json_object_object_add(object, key, value) < 0) {
		json_object_put(value);
		return -ENOMEM;
	}
	return 0;
}

static int fill_error(struct json_object *object, const struct error *e)
{
	struct json_object *data = json_object_new_object();
	int r;

	if (!data ||
	    json_object_object_add(object, "code", json_object_new_int(error_code(e->kind))) < 0) {
		json_object_put(data);
		return -ENOMEM;
	}
	r = put_text(object, "message", e->message ? e->message : error_kind_name(e->kind));
	if (r == 0)
		r = put_text(data, "kind", error_kind_name(e->kind));
	if (r == 0)
		r = put_text(data, "field", e->field);
	if (r == 0)
		r = put_text(data, "resource", e->resource);
	if (r == 0)
		r = put_text(data, "hint", e->hint);
	if (r == 0)
		r = put_text(data, "oldest", e->oldest);
	if (r < 0 || json_object_object_add(object, "data", data) < 0) {
		json_object_put(data);
		return -ENOMEM;
	}
	return 0;
}

int codec_add_error(struct buffer *b, struct json_object *id, const struct error *e)
{
	struct json_object *object = json_object_new_object();
	size_t before = buffer_size(b);
	int r = object ? fill_error(object, e) : -ENOMEM;

	if (r == 0)
		r = add_head(b, id, ",\"error\":");
	if (r == 0)
		r = add_json(b, object, "null");
	if (r == 0)
		r = buffer_add_text(b, "}");
	json_object_put(object);
	return finish(b, before, r);
}

int codec_add_notification(struct buffer *b, const char *method, struct json_object *params)
{
	size_t before = buffer_size(b);
	int r = buffer_add_text(b, "{\"jsonrpc\":\"2.0\",\"method\":\"");

	if (r == 0)
		r = buffer_add_text(b, method); /* from the table: nothing to escape */
	if (r == 0)
		r = buffer_add_text(b, "\",\"params\":");
	if (r == 0)
		r = add_json(b, params, "{}");
	if (r == 0)
		r = buffer_add_text(b, "}");
	return finish(b, before, r);
}

static struct json_object *base64_text(const void *data, size_t size)
{
	size_t encoded = base64_encoded_size(size);
	struct json_object *object, *value = NULL;
	CLEANUP_STR char *text = NULL;

	if (encoded > INT32_MAX)
		return NULL;
	object = json_object_new_object();
	text = malloc(encoded + 1);
	if (text) {
		base64_encode(data, size, text);
		value = json_object_new_string_len(text, (int)encoded);
	}
	if (!object || !value || json_object_object_add(object, "base64", value) < 0) {
		json_object_put(value);
		json_object_put(object);
		return NULL;
	}
	return object;
}

static bool is_text(const void *data, size_t size)
{
	return utf8_valid_length(data, size) == size && !memchr(data, '\0', size);
}

struct json_object *codec_text(const void *data, size_t size)
{
	if (size > INT32_MAX)
		return NULL;
	if (size == 0)
		return json_object_new_string_len("", 0);
	if (!is_text(data, size))
		return base64_text(data, size);
	return json_object_new_string_len(data, (int)size);
}

/* ---- out, of which nothing stays ---- */

static int add_escaped(struct buffer *b, const char *text, size_t size)
{
	char escape[8];
	size_t start = 0;
	int r = 0;

	for (size_t i = 0; i < size && r == 0; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= ' ' && c != '"' && c != '\\')
			continue;
		(void)snprintf(escape, sizeof(escape), "\\u%04x", c); /* fits */
		r = buffer_add(b, text + start, i - start);
		if (r == 0)
			r = buffer_add_text(b, escape);
		start = i + 1;
	}
	return r == 0 ? buffer_add(b, text + start, size - start) : r;
}

static int add_base64(struct buffer *b, const unsigned char *data, size_t size)
{
	char text[64];
	size_t n;
	int r = 0;

	for (; size > 0 && r == 0; data += n, size -= n) {
		n = size < 48 ? size : 48;
		base64_encode(data, n, text);
		r = buffer_add(b, text, base64_encoded_size(n));
	}
	explicit_bzero(text, sizeof(text));
	return r;
}

static int add_secret(struct buffer *b, const void *data, size_t size)
{
	bool text = is_text(data, size);
	int r = buffer_add_text(b, text ? "\"" : "{\"base64\":\"");

	if (r == 0)
		r = text ? add_escaped(b, data, size) : add_base64(b, data, size);
	return r == 0 ? buffer_add_text(b, text ? "\"" : "\"}") : r;
}

int codec_add_secret_result(struct buffer *b, struct json_object *id, struct json_object *result,
			    const char *name, const void *data, size_t size)
{
	size_t before = buffer_size(b);
	int r = add_head(b, id, ",\"result\":");

	b->wipes = true;
	if (r == 0)
		r = add_json(b, result, "{}");
	if (r == 0) {
		buffer_cut(b, buffer_size(b) - 1); /* its brace */
		r = buffer_add_text(b, ",\"");
	}
	if (r == 0)
		r = buffer_add_text(b, name); /* of ours: nothing to escape */
	if (r == 0)
		r = buffer_add_text(b, "\":");
	if (r == 0)
		r = add_secret(b, data, size);
	if (r == 0)
		r = buffer_add_text(b, "}}");
	return finish(b, before, r);
}
