/* SPDX-License-Identifier: Apache-2.0 */
/* Which secrets a command gets: those that its call names, the caller's own; and, if it is the
 * agent of its sandbox's tool, those of the tool, which are the user's who made the sandbox. Of the
 * tool's only what there is, and nothing that the command has already. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "methods.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "sandbox/secret-file.h"
#include "sandbox/tool.h"
#include "secret/provider.h"
#include "secret/value.h"
#include "util/strings.h"

struct plan {
	struct exec_secrets *bundle;
	const struct exec_secrets_query *query;
	const struct tool_profile *profile; /* of the sandbox; NULL: it has none */
};

static int refuse(size_t i, const char *key, const char *hint, const char *why,
		  struct error *reterr)
{
	char field[48];

	(void)snprintf(field, sizeof(field), "secrets[%zu]%s%s", i, key[0] ? "." : "", key);
	return error_set(reterr, ERROR_INVALID_PARAMS, field, hint, "%s", why);
}

/* ---- what is there already ---- */

static bool has_pair(const struct pairs *pairs, const char *key)
{
	size_t i;

	for (i = 0; pairs && i < pairs->count; i++)
		if (string_equal(pairs->items[i].key, key))
			return true;
	return false;
}

static bool has_variable(const struct string_list *env, const char *key)
{
	size_t i, length = strlen(key);

	for (i = 0; i < env->count; i++)
		if (string_starts(env->items[i], key) && env->items[i][length] == '=')
			return true;
	return false;
}

static bool is_planned(const struct exec_secrets *b, enum exec_secret_form form, const char *where)
{
	size_t i;

	for (i = 0; i < b->count; i++)
		if (b->items[i].form == form && string_equal(b->items[i].where, where))
			return true;
	return false;
}

/* ---- adding ---- */

/* Takes WHERE. */
static int add(struct plan *p, const struct exec_secret *what, char *where, struct error *reterr)
{
	struct exec_secrets *b = p->bundle;
	struct exec_secret *s = &b->items[b->count]; /* make_room() counted */

	*s = *what;
	s->of = b;
	s->where = where;
	s->name = strdup(what->name);
	b->count++; /* from here on it is freed with the others */
	return s->name ? 0 : error_set_errno(reterr, -ENOMEM, "a secret cannot be leased");
}

/* CLAUDE_SETUP_TOKEN */
static char *variable_of(const char *name)
{
	char *c, *text = strdup(name);

	for (c = text; c && *c; c++)
		*c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
	return text;
}

/* ---- the call's ---- */

static int check_form(const struct plan *p, size_t i, struct error *reterr)
{
	const struct secret_use_params *u = &p->query->uses->items[i];

	if (!secret_name_is_good(u->name))
		return refuse(i, "name", "at most 64 of A-Z a-z 0-9 _ . -, the first not a dot",
			      "no secret can be called so", reterr);
	if ((u->env != NULL) + (u->file != NULL) + u->in > 1)
		return refuse(i, "", "one of env, file and stdin", "a secret has one form", reterr);
	if (u->env && strchr(u->env, '='))
		return refuse(i, "env", "a name without \"=\"", "no variable can be called so",
			      reterr);
	if (u->in && p->query->has_stdin)
		return refuse(i, "stdin", "leave out one of them",
			      "the command reads something else already", reterr);
	return 0;
}

/* Fills form and *RET_WHERE. Returns 0, or -1 with *RETERR. */
static int choose_form(const struct plan *p, size_t i, struct exec_secret *s, char **ret_where,
		       struct error *reterr)
{
	const struct secret_use_params *u = &p->query->uses->items[i];
	const bool open = !u->env && !u->file && !u->in;
	const struct tool_secret *t =
		open && p->profile ? tool_secrets_find(&p->profile->secrets, u->name) : NULL;
	const char *file = t ? t->file : u->file ? tool_below_home(u->file) : NULL;
	const char *env = t ? t->env : u->env;

	if (u->file && !(file && strchr(file, '/')))
		return refuse(i, "file", "~/DIRECTORY/NAME",
			      "a secret's file is in a directory of the agent's home", reterr);
	if (file && secret_file_check(p->query->sandbox, file, reterr) < 0)
		return -1;
	s->form = u->in ? EXEC_SECRET_STDIN : file ? EXEC_SECRET_FILE : EXEC_SECRET_ENV;
	if (u->in)
		*ret_where = NULL;
	else if (file || env)
		*ret_where = strdup(file ? file : env);
	else
		*ret_where = variable_of(u->name);
	return u->in || *ret_where ? 0 : error_set_errno(reterr, -ENOMEM, "no memory");
}

static int add_use(struct plan *p, size_t i, struct error *reterr)
{
	const struct secret_use_params *u = &p->query->uses->items[i];
	struct exec_secret s = { .name = (char *)(uintptr_t)u->name,
				 .owner = p->query->peer,
				 .index = (int)i,
				 .ttl_ms = u->ttl_ms };
	CLEANUP_STR char *where = NULL;

	if (check_form(p, i, reterr) < 0 || choose_form(p, i, &s, &where, reterr) < 0)
		return -1;
	if (is_planned(p->bundle, s.form, where))
		return refuse(i, s.form == EXEC_SECRET_STDIN ? "stdin" : "", NULL,
			      "another secret has the same place", reterr);
	if (s.form == EXEC_SECRET_ENV && has_pair(p->query->env, where))
		return refuse(i, "env", "leave it out of env", "the variable is in env, too",
			      reterr);
	return add(p, &s, TAKE_PTR(where), reterr);
}

/* ---- the tool's ---- */

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Whether the command is the agent of the sandbox's tool, not just one that works for it. */
static bool is_agent(const struct plan *p)
{
	const struct tool_profile *t = p->profile;
	const char *program, *of_prompt, *of_run;

	if (!t || p->query->command.count == 0)
		return false;
	program = last_part(p->query->command.items[0]);
	of_prompt = t->prompt.count > 0 ? last_part(t->prompt.items[0]) : NULL;
	of_run = tool_run_word(t, 0);
	return string_equal(program, of_prompt) || string_equal(program, last_part(of_run));
}

/* The call may have it in another form. */
static bool is_used(const struct plan *p, const struct tool_secret *t)
{
	const struct exec_secrets *b = p->bundle;
	size_t i, j;

	for (i = 0; i < b->count; i++)
		for (j = 0; j < t->names.count; j++)
			if (string_equal(b->items[i].name, t->names.items[j]))
				return true;
	return is_planned(b, t->env ? EXEC_SECRET_ENV : EXEC_SECRET_FILE,
			  t->env ? t->env : t->file);
}

static bool is_had(const struct plan *p, const struct tool_secret *t)
{
	const struct sandbox_facts *f = sandbox_facts(p->query->sandbox);

	return t->env && (has_pair(p->query->env, t->env) || has_pair(&f->env, t->env) ||
			  has_variable(&p->profile->env, t->env));
}

static int add_tool_secret(struct plan *p, const struct tool_secret *t, struct error *reterr)
{
	struct exec_secret s = { .form = t->env ? EXEC_SECRET_ENV : EXEC_SECRET_FILE,
				 .owner = sandbox_facts(p->query->sandbox)->peer,
				 .index = -1,
				 .ttl_ms = -1 };
	char *where;
	size_t i;

	if (is_used(p, t) || is_had(p, t) ||
	    (t->file && secret_file_check(p->query->sandbox, t->file, NULL) < 0))
		return 0;
	for (i = 0; i < t->names.count && !s.name; i++)
		if (provider_has(p->bundle->manager, s.owner, t->names.items[i]))
			s.name = t->names.items[i];
	if (!s.name)
		return 0;
	where = strdup(t->env ? t->env : t->file);
	return where ? add(p, &s, where, reterr) : error_set_errno(reterr, -ENOMEM, "no memory");
}

/* ---- all ---- */

static int make_room(struct plan *p)
{
	const struct tool_secret *t = p->profile ? p->profile->secrets.first : NULL;
	size_t count = p->query->uses->count;

	for (; t; t = t->next)
		count++;
	p->bundle->items = calloc(count + 1, sizeof(*p->bundle->items));
	return p->bundle->items ? 0 : -ENOMEM;
}

int exec_secrets_plan(struct exec_secrets *b, const struct exec_secrets_query *query,
		      struct error *reterr)
{
	struct plan p = { .bundle = b, .query = query };
	const struct tool_secret *t;
	size_t i;

	p.profile = tool_find(b->manager->config, sandbox_facts(query->sandbox)->tool);
	if (make_room(&p) < 0)
		return error_set_errno(reterr, -ENOMEM, "the secrets cannot be leased");
	for (i = 0; i < query->uses->count; i++)
		if (add_use(&p, i, reterr) < 0)
			return -1;
	for (t = is_agent(&p) ? p.profile->secrets.first : NULL; t; t = t->next)
		if (add_tool_secret(&p, t, reterr) < 0)
			return -1;
	return 0;
}
