/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reading the daemon's JSON without json-c's coercions, and the contract's text-or-base64 values.
 */

#include <stddef.h>
#include <stdint.h>

#include "macro.h"

struct json_object;
struct sandboxd_error;

/* Drops the reference in *O; NULL is fine. */
void json_value_putp(struct json_object **o);
#define CLEANUP_JSON CLEANUP(json_value_putp)

/* The member KEY if it is of that type, else NULL, FALLBACK, false. Borrowed. OBJECT may be NULL or
 * anything. */
const char *json_value_string(struct json_object *object, const char *key);
int64_t json_value_int(struct json_object *object, const char *key, int64_t fallback);
int json_value_bool(struct json_object *object, const char *key);
struct json_object *json_value_object(struct json_object *object, const char *key);
struct json_object *json_value_array(struct json_object *object, const char *key);

/* OBJECT as text, compact; it lives as long as OBJECT. NULL: no memory. */
const char *json_value_text(struct json_object *object);

/* Parses one text. Returns a new reference or NULL. */
struct json_object *json_value_parse(const char *text, size_t size);

/* The bytes of VALUE: a string, or {"base64": ...}. *RET_OWNED is freed with free() (NULL: the
 * bytes are VALUE's own). Returns 1, 0 when it is neither (null: no output), -EBADMSG, -ENOMEM. */
int json_value_bytes(struct json_object *value, const void **ret_data, size_t *ret_size,
		     void **ret_owned);
/* The other way round: a new string if DATA is UTF-8 without NUL, else {"base64": ...}. NULL: no
 * memory. */
struct json_object *json_value_from_bytes(const void *data, size_t size);

/* Fills E (may be NULL) from a JSON-RPC error object. Returns 0 or -ENOMEM (E is empty then). */
int json_value_error(struct json_object *object, struct sandboxd_error *e);
