/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON text that has a secret in it, looked at where it lies: json-c would keep copies of the
 * secret in memory that is neither locked nor zeroed. This is no parser: it knows strings and
 * brackets, and accepts much that is not JSON. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* "key": …, anywhere in the text. As written: without the quotes, escapes as they are. */
struct json_member {
	const char *key;
	size_t key_size;
	char *string; /* the value, if it is a string; else NULL */
	size_t string_size;
	unsigned depth; /* of the object that it is in; 1: the outermost */
};

/* Returns false to see no more. */
typedef bool json_member_seen(const struct json_member *m, void *userdata);

/* Calls FN for each member in their order. False: a string is not closed. */
bool json_text_each(char *text, size_t size, json_member_seen *fn, void *userdata);

bool json_member_is(const struct json_member *m, const char *key);

/* What the SIZE bytes of a JSON string stand for: UTF-8, written to OUT (at most SIZE bytes; NULL:
 * only counted). Returns how many bytes, or -1: it is malformed. */
ssize_t json_text_decode(const char *string, size_t size, uint8_t *out);
