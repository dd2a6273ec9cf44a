/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/run-text.h"

#include <stdbool.h>
#include <string.h>

#include "macro.h"
#include "sandbox/exec.h"
#include "text.h"
#include "util/strings.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define REPLACEMENT_SIZE 3

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Into OUT, which has room for three times SIZE. Returns the bytes written. */
static size_t make_valid(const char *data, size_t size, char *out)
{
	size_t at = 0, written = 0, run;

	while (at < size) {
		run = utf8_valid_length(data + at, size - at);
		run = strnlen(data + at, run); /* a NUL is valid, too */
		memcpy(out + written, data + at, run);
		written += run;
		at += run;
		if (at == size)
			break;
		memcpy(out + written, REPLACEMENT, REPLACEMENT_SIZE);
		written += REPLACEMENT_SIZE;
		at++;
	}
	return written;
}

char *run_text_tail(const void *data, size_t size, uint64_t characters)
{
	char *text = malloc(size * REPLACEMENT_SIZE + 1);
	size_t end, at;
	char *shorter;

	if (!text)
		return NULL;
	end = size > 0 ? make_valid(data, size, text) : 0;
	text[end] = '\0';
	for (at = end; at > 0 && characters > 0; characters--)
		do
			at--;
		while (at > 0 && is_continuation(text[at]));
	memmove(text, text + at, end - at + 1);
	shorter = realloc(text, end - at + 1);
	return shorter ? shorter : text;
}

static char *time_text(int64_t ms)
{
	if (ms % 1000 == 0)
		return string_format("%lld s", (long long)(ms / 1000));
	return string_format("%lld ms", (long long)ms);
}

static char *timeout_text(int64_t timeout_ms)
{
	CLEANUP_STR char *time = time_text(timeout_ms);

	return time ? string_format("timed out after %s", time) : NULL;
}

char *run_text_ending(const struct exec_result *r, int64_t timeout_ms)
{
	switch (r->cause) {
	case EXEC_CAUSE_EXITED:
		return string_format("exited with status %d", r->exit_code);
	case EXEC_CAUSE_SIGNALED:
		return string_format("was killed by signal %d", r->signal);
	case EXEC_CAUSE_TIMEOUT:
		return timeout_text(timeout_ms);
	case EXEC_CAUSE_CANCELLED:
		return strdup("was cancelled");
	case EXEC_CAUSE_OOM:
		return string_format("was killed by signal %d (out of memory)", r->signal);
	case EXEC_CAUSE_LEASE_REVOKED:
		return strdup("was ended because its lease was revoked");
	case EXEC_CAUSE_DISK_FULL:
		return strdup("was ended because no space was left for its output");
	case EXEC_CAUSE_SANDBOX_LOST:
		return strdup("was lost with its sandbox");
	case EXEC_CAUSE_NEVER_STARTED:
		return string_format("could not be started: %s", strerror(r->start_errno));
	case EXEC_CAUSE_MAX:
		break;
	}
	return strdup("ended");
}
