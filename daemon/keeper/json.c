/* SPDX-License-Identifier: Apache-2.0 */
/* A growing buffer and one flag for the comma. Bytes below 0x20, quotes and backslashes are
 * escaped; others are passed on (paths are bytes, and crun's parser takes them). */

#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json *j)
{
	memset(j, 0, sizeof(*j));
}

void json_deinit(struct json *j)
{
	free(j->data);
	json_init(j);
}

static void append(struct json *j, const char *text, size_t size)
{
	size_t capacity = j->capacity > 0 ? j->capacity : 4096;
	char *data;

	if (j->failed)
		return;
	while (capacity - j->size <= size)
		capacity *= 2;
	if (capacity != j->capacity) {
		data = realloc(j->data, capacity);
		if (!data) {
			j->failed = true;
			return;
		}
		j->data = data;
		j->capacity = capacity;
	}
	memcpy(j->data + j->size, text, size);
	j->size += size;
	j->data[j->size] = '\0';
}

static void append_quoted(struct json *j, const char *text)
{
	char escape[8];
	const char *p;

	append(j, "\"", 1);
	for (p = text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\') {
			escape[0] = '\\';
			escape[1] = *p;
			append(j, escape, 2);
		} else if ((unsigned char)*p < 0x20) {
			(void)snprintf(escape, sizeof(escape), "\\u%04x",
				       (unsigned int)(unsigned char)*p);
			append(j, escape, 6);
		} else {
			append(j, p, 1);
		}
	}
	append(j, "\"", 1);
}

static void start_value(struct json *j, const char *key)
{
	if (j->comma)
		append(j, ",", 1);
	if (key) {
		append_quoted(j, key);
		append(j, ":", 1);
	}
	j->comma = true;
}

void json_begin(struct json *j, const char *key, char open)
{
	start_value(j, key);
	append(j, &open, 1);
	j->comma = false;
}

void json_end(struct json *j, char close)
{
	append(j, &close, 1);
	j->comma = true;
}

void json_string(struct json *j, const char *key, const char *value)
{
	start_value(j, key);
	append_quoted(j, value);
}

void json_number(struct json *j, const char *key, int64_t value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);

	start_value(j, key);
	append(j, text, (size_t)n);
}

void json_bool(struct json *j, const char *key, bool value)
{
	start_value(j, key);
	append(j, value ? "true" : "false", value ? 4 : 5);
}

void json_strings(struct json *j, const char *key, const char *const *values)
{
	size_t i;

	json_begin(j, key, '[');
	for (i = 0; values[i]; i++)
		json_string(j, NULL, values[i]);
	json_end(j, ']');
}

const char *json_finish(struct json *j)
{
	return j->failed ? NULL : j->data;
}
