/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What goes to stderr: "sandboxctl: what: hint", one line, without control characters. */

#include <stddef.h>

/* HINT may be NULL. */
void message_error(const char *hint, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Progress and the like: the text alone. */
void message_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Replaces what could move a terminal's cursor or colours, in place. Returns TEXT. */
char *message_clean(char *text);

/* Writes all of it, also to a descriptor that is non-blocking. Returns 0 or negative errno. */
int message_write(int fd, const void *data, size_t size);
