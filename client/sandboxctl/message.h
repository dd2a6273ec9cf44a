/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What goes to stderr: "sandboxctl: what: hint", one line, without control characters. */

#include <stdbool.h>
#include <stddef.h>

/* From here on an error is a line {"error": {code, kind, message, field, hint}} instead. What does
 * not apply is null; code is where the daemon refused. */
void message_errors_as_json(bool json);

struct sandboxd_error;
void message_json(const struct sandboxd_error *e);

/* HINT may be NULL. Of kind "client". */
void message_error(const char *hint, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same of kind "unreachable": no daemon answers, or the one that did is gone. */
void message_unreachable(const char *hint, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Progress and the like: the text alone. */
void message_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Replaces what could move a terminal's cursor or colours, in place. Returns TEXT. */
char *message_clean(char *text);

/* Writes all of it, also to a descriptor that is non-blocking. Returns 0 or negative errno. */
int message_write(int fd, const void *data, size_t size);
