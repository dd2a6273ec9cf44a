/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts come from sandboxes and other people: none of them may steer the terminal. */

#include "message.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "macro.h"
#include "sandboxd/client.h"

static bool errors_as_json; /* like the level of a log: of the process */

char *message_clean(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++)
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 &&
			 p[1] < 0xa0) /* U+0080 to U+009F: CSI, too */
			p[0] = p[1] = '?';
	return text;
}

int message_write(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLOUT };

			(void)poll(&wait, 1, -1); /* if it fails, write says why */
			continue;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

/* One write, so that lines of several processes do not mix. */
static void print_line(const char *prefix, const char *text, const char *hint)
{
	CLEANUP_STR char *line = NULL;
	int n;

	n = asprintf(&line, "%s%s%s%s", prefix, text, hint ? ": " : "", hint ? hint : "");
	if (n < 0) {
		line = NULL;
		return;
	}
	message_clean(line);
	line[n] = '\n';
	(void)message_write(STDERR_FILENO, line, (size_t)n + 1); /* nobody is left to tell */
}

void message_errors_as_json(bool json)
{
	errors_as_json = json;
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

void message_json(const struct sandboxd_error *e)
{
	struct json_object *line = json_object_new_object(), *error = json_object_new_object();

	json_object_object_add(error, "code", e->code ? json_object_new_int(e->code) : NULL);
	add_text(error, "kind", e->kind);
	add_text(error, "message", e->message);
	add_text(error, "field", e->field);
	add_text(error, "hint", e->hint);
	json_object_object_add(line, "error", error);
	print_line("",
		   json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
								JSON_C_TO_STRING_NOSLASHESCAPE),
		   NULL);
	json_object_put(line);
}

static char *__attribute__((format(printf, 1, 0))) format_text(const char *format, va_list args)
{
	char *text;

	return vasprintf(&text, format, args) < 0 ? NULL : text;
}

static void __attribute__((format(printf, 3, 0)))
tell(const char *kind, const char *hint, const char *format, va_list args)
{
	CLEANUP_STR char *text = format_text(format, args);

	if (!text)
		return;
	if (errors_as_json) {
		message_json(&(struct sandboxd_error){ .kind = (char *)(uintptr_t)kind,
						       .message = text,
						       .hint = (char *)(uintptr_t)hint });
		return;
	}
	print_line("sandboxctl: ", text, hint);
}

void message_error(const char *hint, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell("client", hint, format, args);
	va_end(args);
}

void message_unreachable(const char *hint, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell("unreachable", hint, format, args);
	va_end(args);
}

void message_note(const char *format, ...)
{
	CLEANUP_STR char *text = NULL;
	va_list args;

	va_start(args, format);
	text = format_text(format, args);
	va_end(args);
	if (text)
		print_line("", text, NULL);
}
