/* SPDX-License-Identifier: Apache-2.0 */
/* An error owns its strings. Running out of memory while making one loses text, never the kind: the
 * reply then carries the kind's name as its message. */

#include "error.h"

#include <stdio.h>
#include <string.h>

struct kind_row {
	int code;
	const char *name;
};

static const struct kind_row kinds[ERROR_KIND_MAX] = {
	[ERROR_NONE] = { 0, "none" },
	[ERROR_PARSE] = { -32700, "parse_error" },
	[ERROR_INVALID_REQUEST] = { -32600, "invalid_request" },
	[ERROR_METHOD_NOT_FOUND] = { -32601, "method_not_found" },
	[ERROR_INVALID_PARAMS] = { -32602, "invalid_params" },
	[ERROR_INTERNAL] = { -32603, "internal_error" },
	[ERROR_NOT_FOUND] = { -32001, "not_found" },
	[ERROR_ALREADY_EXISTS] = { -32002, "already_exists" },
	[ERROR_CONFLICT] = { -32003, "conflict" },
	[ERROR_INVALID_STATE] = { -32004, "invalid_state" },
	[ERROR_UNAVAILABLE] = { -32005, "unavailable" },
	[ERROR_DENIED] = { -32006, "denied" },
	[ERROR_LIMIT_REACHED] = { -32007, "limit_reached" },
	[ERROR_TIMEOUT] = { -32008, "timeout" },
	[ERROR_CANCELLED] = { -32009, "cancelled" },
	[ERROR_RUNTIME_FAILED] = { -32010, "runtime_failed" },
};

static const struct kind_row *row_of(enum error_kind kind)
{
	size_t i = (size_t)kind;

	return &kinds[i < ERROR_KIND_MAX ? i : ERROR_INTERNAL];
}

int error_code(enum error_kind kind)
{
	return row_of(kind)->code;
}

const char *error_kind_name(enum error_kind kind)
{
	return row_of(kind)->name;
}

/* The text, or NULL when there is no memory for it. */
static char *format_text(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));

static char *format_text(const char *format, va_list ap)
{
	char *text = NULL;

	return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

int error_set(struct error *e, enum error_kind kind, const char *field, const char *hint,
	      const char *format, ...)
{
	struct error fresh = { .kind = kind };
	va_list ap;

	if (!e)
		return -1;
	/* The new texts are made before the old ones go: they may be made from them. */
	va_start(ap, format);
	fresh.message = format_text(format, ap);
	va_end(ap);
	fresh.field = field ? strdup(field) : NULL;
	fresh.hint = hint ? strdup(hint) : NULL;
	error_clear(e);
	*e = fresh;
	return -1;
}

void error_set_resource(struct error *e, const char *format, ...)
{
	va_list ap;
	char *text;

	if (!e)
		return;
	va_start(ap, format);
	text = format_text(format, ap);
	va_end(ap);
	free(e->resource);
	e->resource = text;
}

void error_set_oldest(struct error *e, const char *cursor)
{
	if (!e)
		return;
	free(e->oldest);
	e->oldest = strdup(cursor);
}

bool error_is_shortage(int error_number)
{
	switch (error_number) {
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
		return true;
	default:
		return false;
	}
}

static enum error_kind kind_of_errno(int error_number)
{
	return error_is_shortage(error_number) ? ERROR_LIMIT_REACHED : ERROR_INTERNAL;
}

int error_set_errno(struct error *e, int error_number, const char *format, ...)
{
	CLEANUP_STR char *text = NULL;
	va_list ap;

	if (error_number < 0)
		error_number = -error_number;
	va_start(ap, format);
	text = format_text(format, ap);
	va_end(ap);
	return error_set(e, kind_of_errno(error_number), NULL, NULL, "%s: %s",
			 text ? text : "failed", strerror(error_number));
}

void error_move(struct error *to, struct error *from)
{
	struct error taken = *from;

	*from = (struct error){ 0 };
	if (!to) {
		error_clear(&taken);
		return;
	}
	error_clear(to);
	*to = taken;
}

void error_clear(struct error *e)
{
	free(e->message);
	free(e->field);
	free(e->resource);
	free(e->hint);
	free(e->oldest);
	*e = (struct error){ 0 };
}
