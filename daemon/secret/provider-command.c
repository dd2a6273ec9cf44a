/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose standard output is the value. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/config-secret.h"
#include "secret/json-text.h"
#include "secret/provider.h"
#include "secret/run.h"
#include "util/path.h"
#include "util/strings.h"

#define HINT "run the command of its [secret] section by hand"

struct provider_pending {
	char *name;
	provider_done *done;
	void *userdata;
	struct run *run;
};

static void pending_free(struct provider_pending *p)
{
	if (!p)
		return;
	run_cancel(p->run);
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

static int refuse_end(const char *name, const struct run_end *end, struct error *reterr)
{
	if (end->late)
		return error_set(reterr, ERROR_TIMEOUT, NULL, HINT,
				 "the command of secret %s did not end within %d s", name,
				 PROVIDER_TIMEOUT_MS / 1000);
	if (end->trouble == -EFBIG)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
				 "the command of secret %s wrote more than %d bytes", name,
				 SECRET_VALUE_MAX);
	if (end->trouble < 0)
		return error_set_errno(reterr, end->trouble,
				       "the output of secret %s's command cannot be read", name);
	if (!end->exited)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
				 "the command of secret %s was ended by signal %d", name,
				 end->status);
	return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
			 "the command of secret %s failed with status %d", name, end->status);
}

static int judge(const char *name, const struct run_end *end, struct provider_grant *ret,
		 struct error *reterr)
{
	char *text;
	size_t size;

	if (end->late || end->trouble < 0 || !end->exited || end->status != 0)
		return refuse_end(name, end, reterr);
	size = value_size(end->gather);
	text = (char *)end->gather->data;
	if (size == 0 || strspn(text, " \t\r\n") >= size)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, HINT,
				 "the command of secret %s printed nothing", name);
	if (is_answer(text, size))
		return error_set(reterr, ERROR_UNAVAILABLE, NULL,
				 "let it print the bare value, as secrets lease NAME --raw does",
				 "the command of secret %s printed a JSON answer instead of a "
				 "value",
				 name);
	if (gather_take(end->gather, size, &ret->value) < 0)
		return error_set_errno(reterr, -ENOMEM, "no memory for secret %s", name);
	return 0;
}

static void on_ended(const struct run_end *end, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p = userdata;
	struct provider_grant grant = { 0 };
	provider_done *done = p->done;
	void *done_userdata = p->userdata;
	int r = judge(p->name, end, &grant, &e);

	p->run = NULL; /* it goes by itself */
	pending_free(p);
	done(r < 0 ? NULL : &grant, r < 0 ? &e : NULL, done_userdata);
}

/* ---- its start ---- */

static int start(struct manager *m, struct provider_pending *p, const struct string_list *command)
{
	const char **argv = calloc(command->count + 1, sizeof(*argv));
	const struct run_config config = {
		.m = m, .argv = argv, .input = -1, .ended = on_ended, .userdata = p
	};
	char found[256];
	int r;

	if (!argv)
		return -ENOMEM;
	memcpy(argv, command->items, command->count * sizeof(*argv));
	if (!strchr(argv[0], '/') && path_find_program(argv[0], found, sizeof(found)))
		argv[0] = found;
	r = strchr(argv[0], '/') ? run_start(&config, &p->run) : -ENOENT;
	free(argv);
	return r;
}

static int command_lease(const struct provider_call *call, provider_done *done, void *userdata,
			 struct provider_grant *ret, struct provider_pending **ret_pending,
			 struct error *reterr)
{
	CLEANUP(pending_freep) struct provider_pending *p = calloc(1, sizeof(*p));
	int r = -ENOMEM;

	(void)ret; /* never at once */
	if (p) {
		p->done = done;
		p->userdata = userdata;
		p->name = strdup(call->name);
		if (p->name)
			r = start(call->m, p, &call->config->command);
	}
	if (r == -ENOBUFS)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "lease fewer at once",
				 "%d commands of secrets run already", PROVIDER_COMMANDS_MAX);
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
