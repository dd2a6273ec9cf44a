/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a client is told when a call cannot be done (docs/protocol.md, Errors). Made where the facts
 * are; only error_code() knows JSON-RPC numbers. */

#include <stdarg.h>
#include <stdbool.h>

#include "macro.h"

enum error_kind {
	ERROR_NONE,
	ERROR_PARSE,
	ERROR_INVALID_REQUEST,
	ERROR_METHOD_NOT_FOUND,
	ERROR_INVALID_PARAMS,
	ERROR_INTERNAL,
	ERROR_NOT_FOUND,
	ERROR_ALREADY_EXISTS,
	ERROR_CONFLICT,
	ERROR_INVALID_STATE,
	ERROR_UNAVAILABLE, /* hint names the knob */
	ERROR_DENIED,
	ERROR_LIMIT_REACHED,
	ERROR_TIMEOUT,
	ERROR_CANCELLED,
	ERROR_RUNTIME_FAILED,
	ERROR_KIND_MAX,
};

/* Strings are owned by the error; NULL when absent. A message stands behind a colon: no capital, no
 * period. */
struct error {
	enum error_kind kind;
	char *message;  /* one sentence for a person */
	char *field;    /* the parameter, "limits.memoryBytes" */
	char *resource; /* the object, "sandbox loop-7-claude" */
	char *hint;     /* what would be right, or the command that mends it */
	char *oldest;   /* of a cursor too old: the first that is good */
};

/* The JSON-RPC code of a kind, and its name in error.data.kind ("not_found"). */
int error_code(enum error_kind kind);
const char *error_kind_name(enum error_kind kind);

/* Fills *E (NULL: nothing is kept) and returns -1, for `return error_set(...)`. FIELD and HINT may
 * be NULL. An error already set is replaced. */
int error_set(struct error *e, enum error_kind kind, const char *field, const char *hint,
	      const char *format, ...) __attribute__((format(printf, 5, 6)));
void error_set_resource(struct error *e, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void error_set_oldest(struct error *e, const char *cursor);
/* Whether a positive errno says that something ran out: ENOSPC, EMFILE, ENOMEM and their kin. */
bool error_is_shortage(int error_number);
/* From negative errno: LIMIT_REACHED for a shortage, else ERROR_INTERNAL. */
int error_set_errno(struct error *e, int error_number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Moves FROM into *TO; FROM is empty afterwards. */
void error_move(struct error *to, struct error *from);
/* Frees the strings and makes it ERROR_NONE. */
void error_clear(struct error *e);
#define CLEANUP_ERROR CLEANUP(error_clear)
