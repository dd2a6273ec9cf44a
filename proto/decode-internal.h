/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside decode*.c. One decoder for each kind of field: it gets the JSON value and the place of the
 * C value, checks the JSON type before every get, because json-c converts and clamps silently
 * (measured), and refuses a NUL inside a string, which C would cut there. It returns 0, or -1 with
 * an error that names the field. */

#include <stddef.h>
#include <stdint.h>

#include "decode.h"

/* The way down to a value: a list on the stack, made text only when something is refused. */
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

/* These say what is wrong. Who calls them sees that it is -1 they return: so does the compiler,
 * which would miss values at -O3 otherwise. */
void decode_explain(struct decoder *d, const struct path *p, const char *hint, const char *what);
void decode_explain_unavailable(struct decoder *d, const struct path *p);
void decode_explain_no_memory(struct decoder *d);

/* The value at P WHAT ("must be a string"); HINT may be NULL. Returns -1. */
static inline int decode_refuse(struct decoder *d, const struct path *p, const char *hint,
				const char *what)
{
	decode_explain(d, p, hint, what);
	return -1;
}

/* This version has not built it. Returns -1. */
static inline int decode_refuse_unavailable(struct decoder *d, const struct path *p)
{
	decode_explain_unavailable(d, p);
	return -1;
}

static inline int decode_no_memory(struct decoder *d)
{
	decode_explain_no_memory(d);
	return -1;
}

/* The string itself, which lives as long as the JSON. Returns 0 or -1. */
int decode_get_string(struct decoder *d, const struct path *p, struct json_object *json,
		      const char **ret, size_t *ret_size);
/* The same, of MIN to MAX bytes. */
int decode_get_bounded(struct decoder *d, const struct value *v, size_t min, size_t max,
		       const char **ret);

int decode_string(struct decoder *d, const struct value *v);
int decode_name(struct decoder *d, const struct value *v);
int decode_enum(struct decoder *d, const struct value *v);
int decode_keyword(struct decoder *d, const struct value *v);
int decode_bool(struct decoder *d, const struct value *v);
int decode_integer(struct decoder *d, const struct value *v);
int decode_fd(struct decoder *d, const struct value *v);
int decode_mode(struct decoder *d, const struct value *v);
int decode_signal(struct decoder *d, const struct value *v);
