/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, words and numbers, and how a value is refused. */

#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "decode-internal.h"
#include "text.h"

#define STRING_MAX_DEFAULT 4096
#define WORDS_TEXT_MAX 256 /* the words of an enumeration, in a hint */
#define FIELD_TEXT_MAX 256 /* of a dotted name in an error */

_Static_assert(RPC_FDS_MAX <= 64, "fds_used has one bit for each descriptor");

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

void decode_explain(struct decoder *d, const struct path *p, const char *hint, const char *what)
{
	char text[FIELD_TEXT_MAX];

	field_text(p, text);
	(void)error_set(d->reterr, ERROR_INVALID_PARAMS, text, hint, "parameter %s %s", text, what);
}

void decode_explain_unavailable(struct decoder *d, const struct path *p)
{
	char text[FIELD_TEXT_MAX];

	field_text(p, text);
	(void)error_set(d->reterr, ERROR_UNAVAILABLE, text, UNAVAILABLE_HINT,
			"parameter %s cannot be used yet", text);
}

void decode_explain_no_memory(struct decoder *d)
{
	(void)error_set_errno(d->reterr, ENOMEM, "decoding parameters");
}

/* ---- strings ---- */

int decode_get_string(struct decoder *d, const struct path *p, struct json_object *json,
		      const char **ret, size_t *ret_size)
{
	const char *text;
	size_t size;

	if (!json_object_is_type(json, json_type_string))
		return decode_refuse(d, p, NULL, "must be a string");
	text = json_object_get_string(json);
	size = (size_t)json_object_get_string_len(json);
	if (strlen(text) != size)
		return decode_refuse(d, p, "base64 can carry any byte where it is accepted",
				     "must not contain a NUL");
	*ret = text;
	*ret_size = size;
	return 0;
}

int decode_get_bounded(struct decoder *d, const struct value *v, size_t min, size_t max,
		       const char **ret)
{
	const char *text;
	size_t size;
	char hint[64];

	if (decode_get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (size < min || size > max) {
		if (min == max)
			(void)snprintf(hint, sizeof(hint), "%zu bytes", max);
		else
			(void)snprintf(hint, sizeof(hint), "%zu to %zu bytes", min, max);
		return decode_refuse(d, v->path, hint, size < min ? "is too short" : "is too long");
	}
	*ret = text;
	return 0;
}

int decode_string(struct decoder *d, const struct value *v)
{
	size_t max = v->field->max > 0 ? (size_t)v->field->max : STRING_MAX_DEFAULT;

	return decode_get_bounded(d, v, (size_t)v->field->min, max, v->out);
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

int decode_name(struct decoder *d, const struct value *v)
{
	const char *text;
	size_t size, n;

	if (decode_get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	n = name_length(text);
	/* A template's tag or version is one more name. */
	if (v->field->kind == FIELD_TEMPLATE_NAME && n > 0 && (text[n] == ':' || text[n] == '@')) {
		size_t more = name_length(text + n + 1);

		n = more > 0 ? n + 1 + more : 0;
	}
	if (n == 0 || n != size || n > NAME_LENGTH_MAX)
		return decode_refuse(d, v->path, "[A-Za-z0-9][A-Za-z0-9._+-]{0,127}",
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
	return decode_refuse(d, v->path, hint, "is none of the accepted words");
}

/* Index of the string in the field's values, or -1 when it is none of them (an error is set). */
static int find_value(struct decoder *d, const struct value *v)
{
	const char *const *values = v->field->values;
	const char *text;
	size_t size;

	if (decode_get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	for (int i = values[0] ? 0 : 1; values[i]; i++)
		if (strcmp(values[i], text) == 0)
			return i;
	return refuse_word(d, v);
}

int decode_enum(struct decoder *d, const struct value *v)
{
	int i = find_value(d, v);

	if (i < 0)
		return -1;
	if (v->field->unavailable_values & 1u << i)
		return decode_refuse_unavailable(d, v->path);
	*(int *)v->out = i;
	return 0;
}

int decode_keyword(struct decoder *d, const struct value *v)
{
	if (find_value(d, v) < 0)
		return -1;
	*(bool *)v->out = true;
	return 0;
}

/* ---- numbers ---- */

int decode_bool(struct decoder *d, const struct value *v)
{
	if (!json_object_is_type(v->json, json_type_boolean))
		return decode_refuse(d, v->path, NULL, "must be true or false");
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
		return decode_refuse(d, v->path, NULL, "must be an integer");
	n = json_object_get_int64(v->json);
	if (n < min || n > max) {
		(void)snprintf(hint, sizeof(hint), "%lld to %lld", (long long)min, (long long)max);
		return decode_refuse(d, v->path, hint, "is out of range");
	}
	*ret = n;
	return 0;
}

int decode_integer(struct decoder *d, const struct value *v)
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

int decode_fd(struct decoder *d, const struct value *v)
{
	const struct decode_context *c = d->context;
	const char *why;
	int64_t n;

	if (get_integer(d, v, 0, RPC_FDS_MAX - 1, &n) < 0)
		return -1;
	if ((size_t)n >= c->fd_count)
		return decode_refuse(d, v->path, "params.fds says how many the request takes",
				     "is not the index of a descriptor of this request");
	if (d->fds_used & UINT64_C(1) << n)
		return decode_refuse(d, v->path, "send a duplicate of it", "is used twice");
	why = c->fd_refused ? c->fd_refused((unsigned)n, c->userdata) : NULL;
	if (why)
		return decode_refuse(d, v->path,
				     "pipes, sockets, terminals, /dev/null, zero, full, random, "
				     "urandom",
				     why);
	d->fds_used |= UINT64_C(1) << n;
	*(unsigned *)v->out = (unsigned)n;
	return 0;
}

int decode_mode(struct decoder *d, const struct value *v)
{
	const char *text;
	uint32_t mode = 0;
	size_t size;

	if (decode_get_string(d, v->path, v->json, &text, &size) < 0)
		return -1;
	if (size < 3 || size > 4 || strspn(text, "01234567") != size)
		return decode_refuse(d, v->path, "\"0600\"", "must be three or four octal digits");
	for (size_t i = 0; i < size; i++)
		mode = mode << 3 | (uint32_t)(text[i] - '0');
	if (mode > (uint32_t)v->field->max)
		return decode_refuse(d, v->path, "\"0600\"",
				     "must not have setuid, setgid or sticky");
	*(uint32_t *)v->out = mode;
	return 0;
}

int decode_signal(struct decoder *d, const struct value *v)
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
		return decode_refuse(d, v->path, NULL, "must be a signal's name or number");
	if (decode_get_string(d, v->path, v->json, &text, &size) < 0)
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
	return decode_refuse(d, v->path, "\"SIGTERM\", \"TERM\" or 15", "is not a signal");
}
