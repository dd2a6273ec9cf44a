/* SPDX-License-Identifier: Apache-2.0 */
/* All leases are asked for at once; the first that cannot be had ends the others. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/config-secret.h"
#include "sandbox/config.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "secret/value.h"
#include "util/id.h"
#include "util/strings.h"

/* What lease.c says of a parameter of secret.lease is about one of our list. */
static void name_field(const struct exec_secret *s, struct error *e)
{
	const char *own = e->field && !string_equal(e->field, "secret") ? e->field : "name";
	char *field = s->index < 0 ? NULL : string_format("secrets[%d].%s", s->index, own);

	if (!e->field || !field) {
		free(field);
		return;
	}
	free(e->field);
	e->field = field;
}

/* What no variable can hold. */
static int check_text(const struct exec_secret *s, struct error *reterr)
{
	struct bytes text = exec_secret_text(s);
	const char *why;

	if (s->form != EXEC_SECRET_ENV)
		return 0;
	if (memchr(text.data, '\0', text.size))
		why = "has a NUL in it and";
	else if (strlen(s->where) + text.size + sizeof("=") > ENV_STRING_MAX)
		why = "is too long and";
	else
		return 0;
	(void)error_set(reterr, ERROR_INVALID_PARAMS, "env", "stdin or file can take it",
			"the secret %s %s cannot be a variable", s->name, why);
	name_field(s, reterr);
	return -1;
}

/* What no command can be started with, whatever else it has. */
static int check_sum(const struct exec_secrets *b, struct error *reterr)
{
	size_t i, sum = 0;

	for (i = 0; i < b->count; i++)
		if (b->items[i].form == EXEC_SECRET_ENV && b->items[i].value)
			sum += strlen(b->items[i].where) + exec_secret_text(&b->items[i]).size +
			       sizeof("=");
	if (sum <= EXEC_ARGS_BYTES_MAX)
		return 0;
	return error_set(reterr, ERROR_INVALID_PARAMS, "secrets", "stdin or file can take some",
			 "the secrets are together too long to be variables, of which a command "
			 "can have 1 MiB");
}

/* Takes V. */
static int take(struct exec_secret *s, const struct lease *l, struct secret_value *v,
		struct error *reterr)
{
	(void)snprintf(s->lease, sizeof(s->lease), "%s", lease_facts(l)->id);
	s->value = v;
	return check_text(s, reterr) < 0 ? -1 : check_sum(s->of, reterr);
}

static void on_leased(struct lease *l, struct secret_value *v, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct exec_secret *s = userdata;
	struct exec_secrets *b = s->of;

	s->pending = NULL;
	b->waiting--;
	if (!l) {
		error_move(&error, e);
		name_field(s, &error);
	} else if (take(s, l, secret_value_ref(v), &error) == 0) {
		if (b->waiting == 0)
			b->done(b, &error, b->userdata);
		return;
	}
	exec_secrets_cancel(b);
	b->done(b, &error, b->userdata);
}

/* As configured, for this secret. */
static int64_t default_ttl(const struct manager *m, const struct exec_secret *s)
{
	const struct config_secret *c = config_secret_for(m->config, m->uid, s->owner, s->name);
	int64_t ttl_ms = m->config->secrets.default_ttl_ms;

	return c && c->max_ttl_ms > 0 && c->max_ttl_ms < ttl_ms ? c->max_ttl_ms : ttl_ms;
}

static int lease(struct exec_secret *s, const struct exec_secrets_query *q, struct error *reterr)
{
	struct manager *m = s->of->manager;
	const struct lease_request request = {
		.owner = s->owner,
		.pid = q->pid,
		.secret = s->name,
		.ttl_ms = s->ttl_ms > 0 ? s->ttl_ms : default_ttl(m, s),
		.holder = LEASE_HOLDER_EXEC,
		.holder_peer = sandbox_facts(q->sandbox)->peer,
		.holder_id = s->of->exec_id,
		.loop_id = sandbox_facts(q->sandbox)->loop_id,
		.sandbox = sandbox_name(q->sandbox),
		.stage = q->stage,
		.file = s->form == EXEC_SECRET_FILE ? s->where : NULL,
		.renew = s->ttl_ms <= 0,
		.brief = q->brief,
	};
	struct secret_value *v = NULL;
	struct lease *l = NULL;
	int r = lease_acquire(m, &request, on_leased, s, &l, &v, &s->pending, reterr);

	if (r == 0)
		s->of->waiting++;
	else if (r > 0)
		return take(s, l, v, reterr);
	else
		name_field(s, reterr);
	return r;
}

static int make_id(const char *given, char **ret)
{
	char made[ID_SIZE];
	int r = given ? 0 : id_make(made);

	return r == 0 ? string_copy(given ? given : made, ret) : r;
}

int exec_secrets_acquire(struct manager *m, const struct exec_secrets_query *query,
			 struct exec_secrets **ret, struct error *reterr)
{
	CLEANUP(exec_secrets_freep) struct exec_secrets *b = calloc(1, sizeof(*b));
	size_t i;
	int r;

	if (!b)
		return error_set_errno(reterr, -ENOMEM, "the secrets cannot be leased");
	b->manager = m;
	if (exec_secrets_plan(b, query, reterr) < 0)
		return -1;
	r = b->count > 0 ? make_id(query->exec_id, &b->exec_id) : 0;
	if (r < 0)
		return error_set_errno(reterr, r, "the secrets cannot be leased");
	for (i = 0; i < b->count; i++)
		if (lease(&b->items[i], query, reterr) < 0)
			return -1;
	*ret = b->count > 0 ? TAKE_PTR(b) : NULL;
	return 0;
}

bool exec_secrets_ready(const struct exec_secrets *b)
{
	return b->waiting == 0;
}

void exec_secrets_wait(struct exec_secrets *b, exec_secrets_done *done, void *userdata)
{
	b->done = done;
	b->userdata = userdata;
}
