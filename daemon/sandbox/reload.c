/* SPDX-License-Identifier: Apache-2.0 */
/* Nearly all of a configuration is looked up in m->config when it is needed, so that another one
 * needs little more than to be there. What was derived from it is derived again here; what the
 * daemon holds open since its start (places, socket, database, the compiled seccomp profile) stays.
 */

#include <stdio.h>
#include <string.h>

#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/pool-set.h"
#include "sandbox/reload.h"
#include "sandbox/sandbox.h"
#include "secret/provider-env.h"
#include "util/log.h"
#include "util/strings.h"

struct conflict {
	const struct config *old, *new;
	const struct sandbox_facts *found; /* NULL: none */
};

static bool check_runtime(struct sandbox *s, void *userdata)
{
	struct conflict *c = userdata;
	const struct sandbox_facts *f = sandbox_facts(s);
	const struct config_runtime *was = config_runtime(c->old, f->runtime);
	const struct config_runtime *is = config_runtime(c->new, f->runtime);

	/* a spare that does not fit any more goes by itself */
	if (was && (!is || is->type != was->type) && !sandbox_is_spare(s))
		c->found = f;
	return !c->found;
}

bool reload_conflicts(struct manager *m, const struct config *config, char *text, size_t size)
{
	struct conflict c = { .old = m->config, .new = config };

	manager_each_sandbox(m, check_runtime, &c);
	if (c.found)
		(void)snprintf(text, size, "[runtime %s] is what sandbox %s was made with",
			       c.found->runtime, c.found->name); /* cut if longer */
	return c.found != NULL;
}

static size_t add_name(char *text, size_t size, size_t n, const char *name)
{
	int r = snprintf(text + n, size - n, "%s%s", n > 0 ? ", " : "", name);

	return r < 0 || (size_t)r >= size - n ? n : n + (size_t)r;
}

static bool key_differs(const struct secret_key_source *a, const struct secret_key_source *b)
{
	return a->kind != b->kind || !string_equal(a->where, b->where);
}

void reload_list_fixed(const struct config *old, const struct config *new, char *text, size_t size)
{
	const struct {
		const char *name;
		bool differs;
	} keys[] = {
		{ "durable", old->durable != new->durable },
		{ "socket_group", !string_equal(old->socket_group, new->socket_group) },
		{ "libexec_dir", !string_equal(old->libexec_dir, new->libexec_dir) },
		{ "seccomp_profile", !string_equal(old->seccomp_profile, new->seccomp_profile) },
		{ "[secrets] key", key_differs(&old->secrets.key, &new->secrets.key) },
		{ "[secrets] old_key", key_differs(&old->secrets.old_key, &new->secrets.old_key) },
	};
	size_t i, n = 0;

	text[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].differs)
			n = add_name(text, size, n, keys[i].name);
}

void reload_apply(struct manager *m, const struct config *config)
{
	m->config = config;
	log_set_level(config->log_level);
	exec_table_reconfigure(m);
	env_secrets_take(m->env_secrets, config);
	pool_start(m); /* the pools that are new in it; those that exist take its settings */
}
