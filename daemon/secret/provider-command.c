/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose standard output is the value. It is over when it has ended, not when its output
 * has: whoever it leaves behind does not keep us waiting. What it says on standard error is thrown
 * away, for nobody knows what is in it. */

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/config-secret.h"
#include "sandbox/manager.h"
#include "secret/gather.h"
#include "secret/json-text.h"
#include "secret/provider.h"
#include "util/child.h"
#include "util/path.h"
#include "util/strings.h"

#define HINT "run the command of its [secret] section by hand"

struct provider_pending {
	struct manager *m;
	char *name;
	provider_done *done;
	void *userdata;
	struct child *child;
	struct event *readable;
	struct event *limit;
	struct event *over; /* it has ended: a child cannot be freed inside its own callback */
	struct gather gather;
	int output;
	int trouble; /* of reading: negative errno */
	bool ended;
	bool exited;
	int status;
};

/* All that it started, unless that left its session. */
static void kill_all(const struct provider_pending *p)
{
	if (p->child && !p->ended) /* not reaped, so the number is still its own */
		(void)kill(-child_pid(p->child), SIGKILL);
}

static void pending_free(struct provider_pending *p)
{
	if (!p)
		return;
	kill_all(p);
	p->child = child_free(p->child);
	if (p->readable)
		event_free(p->readable);
	if (p->limit)
		event_free(p->limit);
	if (p->over)
		event_free(p->over);
	gather_clear(&p->gather);
	p->output = close_fd(p->output);
	p->m->provider_commands--;
	free(p->name);
	free(p);
}
DEFINE_CLEANUP(struct provider_pending *, pending_free);

/* ---- the value ---- */

/* Members of the answers that programs print around a value, or instead of one: none of them is in
 * a credential that is JSON itself (codex's auth.json, a service account's key). */
static bool is_of_an_answer(const struct json_member *m, void *userdata)
{
	static const char *const keys[] = { "ok",      "success",  "error",   "errors",
					    "jsonrpc", "lease_id", "message", "exitCode" };
	bool *found = userdata;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys) && m->depth == 1; i++)
		if (json_member_is(m, keys[i]))
			*found = true;
	return !*found;
}

static bool is_answer(char *text, size_t size)
{
	size_t blanks = strspn(text, " \t\r\n");
	bool found = false;

	return blanks < size && text[blanks] == '{' &&
	       (!json_text_each(text, size, is_of_an_answer, &found) || found);
}

/* Without the newlines at its end, as $(…) does. */
static size_t value_size(const struct gather *g)
{
	size_t size = g->used;

	while (size > 0 && g->data[size - 1] == '\n')
		size -= size > 1 && g->data[size - 2] == '\r' ? 2 : 1;
	return size;
}

static int refuse_end(const struct provider_pending *p, struct error *reterr)
{
	if (p->trouble == -EFBIG)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
				 "the command of secret %s wrote more than %d bytes", p->name,
				 SECRET_VALUE_MAX);
	if (p->trouble < 0)
		return error_set_errno(reterr, p->trouble,
				       "the output of secret %s's command cannot be read", p->name);
	if (!p->exited)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
				 "the command of secret %s was ended by signal %d", p->name,
				 p->status);
	return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
			 "the command of secret %s failed with status %d", p->name, p->status);
}

static int judge(struct provider_pending *p, struct provider_grant *ret, struct error *reterr)
{
	char *text;
	size_t size;

	if (p->trouble < 0 || !p->exited || p->status != 0)
		return refuse_end(p, reterr);
	size = value_size(&p->gather);
	text = (char *)p->gather.data;
	if (size == 0 || strspn(text, " \t\r\n") >= size)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
				 "the command of secret %s printed nothing", p->name);
	if (is_answer(text, size))
		return error_set(reterr, ERROR_UNAVAILABLE, NULL,
				 "let it print the bare value, as secrets lease NAME --raw does",
				 "the command of secret %s printed a JSON answer instead of a "
				 "value",
				 p->name);
	if (gather_take(&p->gather, size, &ret->value) < 0)
		return error_set_errno(reterr, -ENOMEM, "no memory for secret %s", p->name);
	return 0;
}

/* ---- its end ---- */

/* Hands the outcome over; P is gone. */
static void finish(struct provider_pending *p, struct provider_grant *g, struct error *e)
{
	provider_done *done = p->done;
	void *userdata = p->userdata;

	pending_free(p);
	done(g, e, userdata);
}

static void take_output(struct provider_pending *p)
{
	int r = gather_read(&p->gather, p->output);

	if (r == 0)
		return;
	if (r < 0) {
		p->trouble = r;
		kill_all(p);
	}
	(void)event_del(p->readable);
}

static void on_readable(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	take_output(userdata);
}

static void on_over(evutil_socket_t fd, short events, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p = userdata;
	struct provider_grant grant = { 0 };
	int r;

	(void)fd;
	(void)events;
	if (p->trouble == 0)
		take_output(p); /* what it wrote last */
	r = judge(p, &grant, &e);
	finish(p, r < 0 ? NULL : &grant, r < 0 ? &e : NULL);
}

static void on_limit(evutil_socket_t fd, short events, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p = userdata;

	(void)fd;
	(void)events;
	(void)error_set(&e, ERROR_TIMEOUT, NULL, HINT,
			"the command of secret %s did not end within %d s", p->name,
			PROVIDER_TIMEOUT_MS / 1000);
	finish(p, NULL, &e);
}

static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct provider_pending *p = userdata;

	(void)c;
	p->ended = true;
	p->exited = exited;
	p->status = status;
	event_active(p->over, 0, 0);
}

/* ---- its start ---- */

static int start(struct provider_pending *p, const struct string_list *command)
{
	const struct timeval limit = { .tv_sec = PROVIDER_TIMEOUT_MS / 1000 };
	CLEANUP_FD int out = -1;
	const char **argv = calloc(command->count + 1, sizeof(*argv));
	char found[256];
	int pipes[2], r;

	if (!argv || pipe2(pipes, O_CLOEXEC) < 0) {
		r = argv ? -errno : -ENOMEM;
		free(argv);
		return r;
	}
	p->output = pipes[0];
	out = pipes[1];
	memcpy(argv, command->items, command->count * sizeof(*argv));
	if (!strchr(argv[0], '/') && path_find_program(argv[0], found, sizeof(found)))
		argv[0] = found;
	p->readable = event_new(p->m->base, p->output, EV_READ | EV_PERSIST, on_readable, p);
	p->limit = evtimer_new(p->m->base, on_limit, p);
	p->over = evtimer_new(p->m->base, on_over, p);
	r = -ENOMEM;
	if (fcntl(p->output, F_SETFL, O_NONBLOCK) == 0 && p->readable && p->limit && p->over &&
	    event_add(p->readable, NULL) == 0 && event_add(p->limit, &limit) == 0) {
		const struct child_config config = { .base = p->m->base,
						     .argv = argv,
						     .fds = (const int[]){ -1, out, -1 },
						     .n_fds = 3,
						     .ended = on_ended,
						     .userdata = p };

		r = strchr(argv[0], '/') ? child_start(&p->child, &config) : -ENOENT;
	}
	free(argv);
	return r;
}

static int command_lease(const struct provider_call *call, provider_done *done, void *userdata,
			 struct provider_grant *ret, struct provider_pending **ret_pending,
			 struct error *reterr)
{
	CLEANUP(pending_freep) struct provider_pending *p = NULL;
	int r = -ENOMEM;

	(void)ret; /* never at once */
	if (call->m->provider_commands >= PROVIDER_COMMANDS_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "lease fewer at once",
				 "%d commands of secrets run already", PROVIDER_COMMANDS_MAX);
	p = calloc(1, sizeof(*p));
	if (p) {
		p->output = -1;
		p->m = call->m;
		p->m->provider_commands++;
		p->done = done;
		p->userdata = userdata;
		p->name = strdup(call->name);
		if (p->name)
			r = start(p, &call->config->command);
	}
	if (r == -ENOENT || r == -EACCES || r == -ENOEXEC)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL,
				 "name an installed program in its [secret] section",
				 "the command of secret %s cannot be started: %s", call->name,
				 strerror(-r));
	if (r < 0)
		return error_set_errno(reterr, r, "the command of secret %s cannot be started",
				       call->name);
	*ret_pending = TAKE_PTR(p);
	return 0;
}

static bool command_has(const struct provider_call *call)
{
	const char *program = call->config->command.items[0];
	char found[256];

	return strchr(program, '/') ? access(program, X_OK) == 0
				    : path_find_program(program, found, sizeof(found));
}

const struct provider provider_command = {
	.name = "command",
	.lease = command_lease,
	.cancel = pending_free,
	.has = command_has,
};
