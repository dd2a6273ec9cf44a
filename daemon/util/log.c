/* SPDX-License-Identifier: Apache-2.0 */
/* One line is formatted into a buffer on the stack, cut at LOG_LINE_MAX, and control characters in
 * it are written as \xNN, so that foreign text cannot forge lines or drive a terminal. A line that
 * stderr cannot take at once is dropped and counted: a full pipe must not stop the daemon. */

#include "util/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "macro.h"
#include "util/time.h"

#define LOG_LINE_MAX 2000 /* with escapes at most 4 times that: still less than two pipe pages */
#define LOG_FIELD_MAX 200
#define LOG_RATE_BURST 10

static enum log_level log_level = LOG_LEVEL_INFO;
static unsigned long log_dropped;

static const struct {
	const char *prefix; /* <N> is understood by systemd when stderr is its socket */
	int priority;
} log_levels[] = {
	[LOG_LEVEL_ERROR] = { "error: ", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning: ", LOG_WARNING },
	[LOG_LEVEL_NOTICE] = { "", LOG_NOTICE },
	[LOG_LEVEL_INFO] = { "", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug: ", LOG_DEBUG },
};

void log_set_level(enum log_level level)
{
	log_level = level;
}

/* JOURNAL_STREAM is "device:inode" of the stderr that systemd gave us. */
static bool stderr_is_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	if (!text || sscanf(text, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* SIZE must be > 4. Returns the length written. */
static size_t escape(const char *text, char *out, size_t size)
{
	size_t n = 0;
	const char *p;

	for (p = text; *p && n + 5 < size; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			n += (size_t)snprintf(out + n, 5, "\\x%02x", (unsigned char)*p);
		else
			out[n++] = *p;
	}
	out[n] = '\0';
	return n;
}

static void add_field(struct iovec *iov, size_t *n, char *buffer, const char *key,
		      const char *value)
{
	int length;

	if (!value)
		return;
	length = snprintf(buffer, LOG_FIELD_MAX, "%s=%s", key, value);
	if (length <= 0)
		return;
	if (length >= LOG_FIELD_MAX)
		length = LOG_FIELD_MAX - 1;
	iov[*n].iov_base = buffer;
	iov[*n].iov_len = (size_t)length;
	(*n)++;
}

static void write_journal(enum log_level level, const struct log_fields *fields, const char *line)
{
	char message[LOG_LINE_MAX * 2 + LOG_FIELD_MAX + 32];
	char text[7][LOG_FIELD_MAX];
	char priority[8];
	struct iovec iov[1 + ARRAY_SIZE(text)];
	size_t n = 0;
	int length;

	if (fields && fields->sandbox)
		length = snprintf(message, sizeof(message), "MESSAGE=sandbox %.*s: %s",
				  LOG_FIELD_MAX, fields->sandbox, line);
	else
		length = snprintf(message, sizeof(message), "MESSAGE=%s", line);
	iov[n].iov_base = message;
	iov[n++].iov_len = (size_t)length < sizeof(message) ? (size_t)length : sizeof(message) - 1;
	(void)snprintf(priority, sizeof(priority), "%d", log_levels[level].priority);
	add_field(iov, &n, text[0], "PRIORITY", priority);
	add_field(iov, &n, text[1], "SYSLOG_IDENTIFIER", "sandboxd");
	if (fields) {
		add_field(iov, &n, text[2], "SANDBOX", fields->sandbox);
		add_field(iov, &n, text[3], "EXEC", fields->exec);
		add_field(iov, &n, text[4], "METHOD", fields->method);
		add_field(iov, &n, text[5], "CONN", fields->conn);
		add_field(iov, &n, text[6], "LOOP", fields->loop);
	}
	(void)sd_journal_sendv(iov, (int)n); /* nowhere to complain to */
}

/* A terminal shows when, and who reads a pipe knows; a file does not. */
static void stamp(char text[static TIME_TEXT_SIZE + 1])
{
	struct stat st;

	text[0] = '\0';
	if (fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	time_format(time_realtime_ms(), text);
	(void)strcat(text, " ");
}

static void write_stderr(enum log_level level, const struct log_fields *fields, const char *line)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	const char *sandbox = fields ? fields->sandbox : NULL;
	char out[LOG_LINE_MAX * 2 + 3 * LOG_FIELD_MAX];
	char when[TIME_TEXT_SIZE + 1];
	int n;

	if (poll(&p, 1, 0) <= 0 || (p.revents & POLLOUT) == 0) {
		log_dropped++;
		return;
	}
	stamp(when);
	n = snprintf(out, sizeof(out), "%s%s%s%.*s%s%s\n", when, log_levels[level].prefix,
		     sandbox ? "sandbox " : "", LOG_FIELD_MAX, sandbox ? sandbox : "",
		     sandbox ? ": " : "", line);
	if (n <= 0)
		return;
	if ((size_t)n >= sizeof(out))
		n = (int)sizeof(out) - 1;
	if (write(STDERR_FILENO, out, (size_t)n) < 0)
		log_dropped++;
}

static void __attribute__((format(printf, 3, 0)))
log_line(enum log_level level, const struct log_fields *fields, const char *format, va_list args)
{
	char raw[LOG_LINE_MAX];
	char line[LOG_LINE_MAX * 2];
	int saved = errno;

	if (vsnprintf(raw, sizeof(raw), format, args) < 0)
		return;
	(void)escape(raw, line, sizeof(line));
	if (stderr_is_journal())
		write_journal(level, fields, line);
	else
		write_stderr(level, fields, line);
	errno = saved;
}

void log_message(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
	va_list args;

	if (level > log_level)
		return;
	va_start(args, format);
	log_line(level, fields, format, args);
	va_end(args);
}

int log_errno(enum log_level level, int r, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	if (level > log_level)
		return r;
	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);
	log_message(level, NULL, "%s: %s", text, strerror(-r));
	return r;
}

int log_rate_allows(struct log_rate *rate)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* cannot fail on Linux */
	if (now.tv_sec != rate->second) {
		if (rate->suppressed > 0)
			log_message(LOG_LEVEL_WARNING, NULL, "%u similar lines were suppressed",
				    rate->suppressed);
		rate->second = now.tv_sec;
		rate->count = 0;
		rate->suppressed = 0;
	}
	if (rate->count >= LOG_RATE_BURST) {
		rate->suppressed++;
		return 0;
	}
	rate->count++;
	return 1;
}
