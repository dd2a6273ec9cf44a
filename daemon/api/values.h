/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Building blocks of results. Each returns a new json object, NULL only when memory is out; adding
 * NULL to an object is JSON null, so callers need not check each one. */

#include <stddef.h>
#include <stdint.h>

struct json_object;
struct manager;
struct sandbox;

/* "2026-11-23T14:05:09.123Z" from CLOCK_REALTIME milliseconds. */
struct json_object *value_time(int64_t realtime_ms);
/* A string when DATA is UTF-8 without NUL trouble, else {"base64": …}. */
struct json_object *value_text(const void *data, size_t size);
/* As value_text, with {"base64"} only. */
struct json_object *value_base64(const void *data, size_t size);
/* A string, or null for NULL. */
struct json_object *value_string(const char *text);
/* Adds KEY unless TEXT is NULL: for optional fields. */
void value_add_string(struct json_object *o, const char *key, const char *text);
void value_add_int(struct json_object *o, const char *key, int64_t number);

/* contract.md, Sandbox. */
struct json_object *value_sandbox(const struct sandbox *s);

/* How many leading bytes of DATA end at a character boundary: what of a chunk may be sent when more
 * is to come. A tail that can never become a character counts as whole. */
size_t utf8_complete_prefix(const void *data, size_t size);
