/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON-RPC 2.0 as text: lines in, lines out. Knows no sockets and no methods. */

#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "error.h"

struct codec; /* a parser that is used again and again; one at a time */
struct json_object;

int codec_new(struct codec **ret); /* 0 or -ENOMEM */
void codec_free(struct codec *c);
DEFINE_CLEANUP(struct codec *, codec_free);

/* Parses one line (without its newline). Returns 1 and an object or array that the caller owns, 0
 * for a blank line, or -1 with *RETERR: ERROR_PARSE, or ERROR_INVALID_REQUEST for a lone value. */
int codec_parse(struct codec *c, const char *line, size_t size, struct json_object **ret,
		struct error *reterr);

/* One call. Everything is borrowed from the JSON. */
struct call {
	struct json_object *id; /* NULL: a notification, or no valid id */
	const char *method;
	struct json_object *params; /* NULL: none; not checked */
};

/* Checks the envelope. Returns 0, or -1 with *RETERR (ERROR_INVALID_REQUEST); RET->id is set in
 * both cases if there is a valid one. */
int codec_call(struct json_object *json, struct call *ret, struct error *reterr);

/* True when A and B are the same id: 7 and "7" differ. */
bool codec_id_equal(struct json_object *a, struct json_object *b);

/* Overwrites the strings in JSON (may be NULL), which nobody reads any more. */
void codec_wipe(struct json_object *json);

/* Append one message without a newline. ID NULL: null. RESULT NULL: {}. Return 0 or -ENOMEM; then
 * nothing was appended. */
int codec_add_result(struct buffer *b, struct json_object *id, struct json_object *result);
/* The same with a result that is JSON text already. */
int codec_add_result_text(struct buffer *b, struct json_object *id, const char *result);
/* The same with a result (an object with members) that has one more, NAME, the text DATA as
 * codec_text() has it. No copy of DATA is made but in B, which overwrites it in the end. */
int codec_add_secret_result(struct buffer *b, struct json_object *id, struct json_object *result,
			    const char *name, const void *data, size_t size);
int codec_add_error(struct buffer *b, struct json_object *id, const struct error *e);
int codec_add_notification(struct buffer *b, const char *method, struct json_object *params);

/* Text of unknown origin as docs/protocol.md wants it: a string when it is UTF-8 without NUL, else
 * {"base64": …}. NULL: no memory. */
struct json_object *codec_text(const void *data, size_t size);
