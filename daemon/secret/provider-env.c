/* SPDX-License-Identifier: Apache-2.0 */
/* A variable of the daemon's own environment. It is moved into locked memory when the
 * configuration first names it, and overwritten where it was: neither /proc nor a child has it
 * afterwards. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/provider-env.h"
#include "secret/provider.h"
#include "util/log.h"

struct variable {
	char *name;
	struct secret_value *value;
	LIST_ENTRY(variable) link;
};

struct env_secrets {
	LIST_HEAD(, variable) variables;
};

static void variable_free(struct variable *v)
{
	v->value = secret_value_unref(v->value);
	free(v->name);
	free(v);
}

/* Moves NAME out of the environment. Returns 0 or negative errno; -ENOENT: it is not there. */
static int take(struct env_secrets *s, const char *name, struct variable **ret)
{
	char *text = getenv(name);
	size_t size = text ? strlen(text) : 0;
	struct variable *v;
	uint8_t *data;

	if (!text)
		return -ENOENT;
	if (size > SECRET_VALUE_MAX)
		return -EFBIG;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->name = strdup(name);
	if (!v->name || secret_value_new(size, &v->value, &data) < 0) {
		variable_free(v);
		return -ENOMEM;
	}
	memcpy(data, text, size);
	explicit_bzero(text, size);
	(void)unsetenv(name); /* a good name: it was there */
	LIST_INSERT_HEAD(&s->variables, v, link);
	*ret = v;
	return 0;
}

static int find(struct env_secrets *s, const char *name, struct variable **ret)
{
	LIST_FOREACH (*ret, &s->variables, link)
		if (strcmp((*ret)->name, name) == 0)
			return 0;
	return take(s, name, ret);
}

int env_secrets_new(struct manager *m, struct env_secrets **ret)
{
	struct env_secrets *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	LIST_INIT(&s->variables);
	env_secrets_take(s, m->config);
	*ret = s;
	return 0;
}

void env_secrets_take(struct env_secrets *s, const struct config *config)
{
	const struct config_secret *c;
	struct variable *v;
	int r;

	for (c = config->secrets.list; c; c = c->next) {
		if (c->broken || strcmp(c->provider, provider_env.name) != 0)
			continue;
		r = find(s, c->variable, &v);
		if (r < 0 && r != -ENOENT)
			log_errno(LOG_LEVEL_WARNING, r,
				  "secret %s stays in the environment, it cannot be leased",
				  c->name);
	}
}

void env_secrets_free(struct env_secrets *s)
{
	struct variable *v;

	if (!s)
		return;
	while ((v = LIST_FIRST(&s->variables))) {
		LIST_REMOVE(v, link);
		variable_free(v);
	}
	free(s);
}

static int env_lease(const struct provider_call *call, provider_done *done, void *userdata,
		     struct provider_grant *ret, struct provider_pending **ret_pending,
		     struct error *reterr)
{
	struct variable *v;
	int r = find(call->m->env_secrets, call->config->variable, &v);

	(void)done;
	(void)userdata;
	(void)ret_pending;
	if (r == -ENOENT)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret",
				 "start sandboxd with it, or store the secret: sandboxctl secret "
				 "set",
				 "there is no variable %s in the environment of sandboxd",
				 call->config->variable);
	if (r < 0)
		return error_set_errno(reterr, r, "secret %s cannot be had from the environment",
				       call->name);
	*ret = (struct provider_grant){ .value = secret_value_ref(v->value) };
	return 1;
}

static bool env_has(const struct provider_call *call)
{
	struct variable *v;

	return find(call->m->env_secrets, call->config->variable, &v) == 0;
}

const struct provider provider_env = {
	.name = "env",
	.lease = env_lease,
	.has = env_has,
};
