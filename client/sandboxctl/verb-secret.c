/* SPDX-License-Identifier: Apache-2.0 */
/* secret set. The value goes through a pipe, so that it is in no line of JSON; our copy is zeroed.
 */

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "message.h"
#include "rpc-params.h"
#include "text.h"
#include "verbs.h"

#define ROOM (SECRET_VALUE_MAX + 2) /* a newline that goes, and one byte that is too much */

struct secret_text {
	char *data; /* ROOM bytes */
	size_t size;
};

static void secret_text_deinit(struct secret_text *t)
{
	if (t->data)
		explicit_bzero(t->data, ROOM);
	free(t->data);
}

static volatile sig_atomic_t interrupted_by; /* 0: nothing */

static void on_signal(int number)
{
	interrupted_by = number;
}

static int read_all(int fd, struct secret_text *t)
{
	ssize_t n;

	while (t->size < ROOM) {
		n = read(fd, t->data + t->size, ROOM - t->size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		t->size += (size_t)n;
		if (n == 0)
			break;
	}
	return 0;
}

/* A line of the terminal. MASK is in force while it waits: a signal comes then, or not at all. */
static int read_line(struct secret_text *t, const sigset_t *mask)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	ssize_t n;

	while (t->size < ROOM && !memchr(t->data, '\n', t->size)) {
		if (ppoll(&input, 1, NULL, mask) < 0) {
			if (errno == EINTR && !interrupted_by)
				continue;
			return -errno;
		}
		n = read(STDIN_FILENO, t->data + t->size, ROOM - t->size);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		t->size += (size_t)n;
	}
	return 0;
}

/* What ends us at the prompt must not leave a terminal behind that shows nothing. They wait from
 * here on; *RET_BEFORE lets them come. */
static void catch_signals(sigset_t *ret_before)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	const struct sigaction once = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	sigset_t caught;

	(void)sigemptyset(&caught); /* none of these can fail */
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		(void)sigaddset(&caught, signals[i]);
		(void)sigaction(signals[i], &once, NULL);
	}
	(void)sigprocmask(SIG_BLOCK, &caught, ret_before);
}

/* From a terminal: one line that is not shown. */
static int ask(const char *name, struct secret_text *t)
{
	struct termios before, quiet;
	sigset_t mask;
	int r;

	if (tcgetattr(STDIN_FILENO, &before) < 0)
		return -errno;
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	catch_signals(&mask);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) < 0)
		return -errno;
	(void)fprintf(stderr, "Value of %s: ", name); /* a prompt that cannot be shown: no harm */
	r = read_line(t, &mask);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before); /* nothing else can be done */
	(void)fputc('\n', stderr);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL); /* what came since comes now */
	if (interrupted_by)
		(void)raise(interrupted_by); /* as it would have been */
	return r;
}

static int read_value(const struct ctl *ctl, const char *name, struct secret_text *t)
{
	const char *path = options_text(&ctl->options, OPTION_FILE);
	CLEANUP_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	int r;

	if (path && fd < 0) {
		message_error(NULL, "%s: %s", path, strerror(errno));
		return -1;
	}
	t->data = malloc(ROOM);
	if (!t->data)
		r = -ENOMEM;
	else if (!path && isatty(STDIN_FILENO))
		r = ask(name, t);
	else
		r = read_all(path ? fd : STDIN_FILENO, t);
	if (r < 0)
		message_error(NULL, "reading %s: %s", path ? path : "the value", strerror(-r));
	return r < 0 ? -1 : 0;
}

/* echo and editors end a token with a newline that is not part of it. */
static void drop_newline(struct secret_text *t)
{
	if (t->size > 0 && memchr(t->data, '\n', t->size) == t->data + t->size - 1)
		t->size--;
}

/* A pipe that holds all of T, or -1: it is too much for one. */
static int fill_pipe(const struct secret_text *t)
{
	int fds[2];
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	(void)fcntl(fds[1], F_SETPIPE_SZ, (int)t->size); /* or the write below is short */
	n = write(fds[1], t->data, t->size);
	(void)close(fds[1]);
	if (n == (ssize_t)t->size)
		return fds[0];
	(void)close(fds[0]);
	return -1;
}

/* NULL: no memory. */
static struct json_object *base64_of(const struct secret_text *t)
{
	size_t size = base64_encoded_size(t->size);
	struct json_object *o;
	char *text = malloc(size);

	if (!text)
		return NULL;
	base64_encode(t->data, t->size, text);
	o = json_object_new_string_len(text, (int)size);
	explicit_bzero(text, size);
	free(text);
	return o;
}

static int set_value(struct ctl *ctl, struct json_object *params, const struct secret_text *t,
		     struct json_object **ret)
{
	CLEANUP_FD int fd = fill_pipe(t);
	struct json_object *value = json_object_new_object();

	if (fd >= 0)
		json_object_object_add(value, "fd", json_object_new_int(0));
	else
		json_object_object_add(value, "base64", base64_of(t));
	params_set(params, "value", value);
	return ctl_call_passing(ctl, ctl->verb->method, params, fd, ret);
}

int verb_secret_set(struct ctl *ctl)
{
	CLEANUP(secret_text_deinit) struct secret_text text = { 0 };
	CLEANUP_JSON struct json_object *result = NULL;
	const char *name = ctl->options.operands[0];
	struct json_object *params;

	if (read_value(ctl, name, &text) < 0)
		return ctl->verb->failure;
	drop_newline(&text);
	if (text.size == 0) {
		message_error("give it on stdin, or with --file", "the value is empty");
		return ctl->verb->failure;
	}
	if (text.size > SECRET_VALUE_MAX) {
		message_error("1 MiB at most", "the value is too long");
		return ctl->verb->failure;
	}
	params = json_object_new_object();
	params_set(params, ctl->verb->operand_param, json_object_new_string(name));
	if (set_value(ctl, params, &text, &result) < 0)
		return ctl->verb->failure;
	return ctl->json && ctl_print_json(result, false) < 0 ? ctl->verb->failure : 0;
}
