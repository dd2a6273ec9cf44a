/* SPDX-License-Identifier: Apache-2.0 */
/* A name means what its [secret NAME] section says, for whom that is; else it is one of the user's
 * own in the store. What a section describes belongs to the daemon's own user, whoever leases it.
 */

#include "secret/provider.h"

#include <string.h>

#include "methods.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"

static const struct provider *const providers[] = {
	&provider_agent_secrets, &provider_command, &provider_env,
	&provider_file,          &provider_store,   &provider_systemd,
};

static const struct provider *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(providers); i++)
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	return NULL;
}

const struct provider *provider_of(struct manager *m, uid_t peer, const char *name,
				   struct provider_call *ret, struct error *reterr)
{
	const struct config_secret *c;
	const struct provider *p;

	if (!secret_name_is_good(name)) {
		(void)error_set(reterr, ERROR_INVALID_PARAMS, "secret",
				"letters, digits, \"_\", \".\" and \"-\", 64 at most",
				"this cannot be the name of a secret");
		return NULL;
	}
	c = config_secret_for(m->config, m->uid, peer, name);
	if (c && c->broken) {
		(void)error_set(reterr, ERROR_UNAVAILABLE, "secret", "mend its section and reload",
				"the configuration of secret %s %s", name, c->broken);
		error_set_resource(reterr, "secret %s", name);
		return NULL;
	}
	*ret = (struct provider_call){
		.m = m, .config = c, .owner = c ? m->uid : peer, .name = name
	};
	p = find(c ? c->provider : "store");
	if (!p)
		(void)error_set(reterr, ERROR_UNAVAILABLE, "secret", UNAVAILABLE_HINT,
				"the provider of secret %s is not there", name);
	return p;
}

bool provider_has(struct manager *m, uid_t peer, const char *name)
{
	struct provider_call call;
	const struct provider *p = provider_of(m, peer, name, &call, NULL);

	return p && p->has(&call);
}
