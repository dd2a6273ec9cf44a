/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Writes JSON text. An allocation failure is remembered and told by json_finish(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *data;
	size_t size;
	size_t capacity;
	bool failed;
	bool comma; /* the next element needs one before it */
};

void json_init(struct json *j);
void json_deinit(struct json *j);

/* KEY is NULL inside arrays and for the outermost value. OPEN is '{' or '['; CLOSE its partner. */
void json_begin(struct json *j, const char *key, char open);
void json_end(struct json *j, char close);
void json_string(struct json *j, const char *key, const char *value);
void json_number(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* A whole array of strings, NULL-terminated. */
void json_strings(struct json *j, const char *key, const char *const *values);

/* The text (owned by J, terminated), or NULL when memory ran out. */
const char *json_finish(struct json *j);
