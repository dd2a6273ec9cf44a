/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Building blocks of results. Each returns a new json object, NULL only when memory is out; adding
 * NULL to an object is JSON null, so callers need not check each one. */

#include <stddef.h>
#include <stdint.h>

struct json_object;
struct pairs;
struct sandbox;

/* "2026-11-23T14:05:09.123Z" from CLOCK_REALTIME milliseconds. */
struct json_object *value_time(int64_t realtime_ms);
/* A string, or null for NULL. */
struct json_object *value_string(const char *text);
/* Adds KEY unless TEXT is NULL: for optional fields. */
void value_add_string(struct json_object *o, const char *key, const char *text);
void value_add_int(struct json_object *o, const char *key, int64_t number);

/* O, whose reference is taken, as a line of JSON; NULL for NULL. Freed by the caller. */
char *value_to_text(struct json_object *o);

/* An object of strings. */
struct json_object *value_pairs(const struct pairs *pairs);
/* An array of strings; COUNT of them. */
struct json_object *value_strings(const char *const *items, size_t count);

/* docs/rpc.md, Sandbox. */
struct json_object *value_sandbox(const struct sandbox *s);
