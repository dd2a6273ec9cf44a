/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in store. */

#include "sandbox/manager.h"
#include "secret/provider.h"
#include "secret/vault.h"

static int store_lease(const struct provider_call *call, provider_done *done, void *userdata,
		       struct provider_grant *ret, struct provider_pending **ret_pending,
		       struct error *reterr)
{
	struct secret_value *v;

	(void)done;
	(void)userdata;
	(void)ret_pending;
	if (vault_get(call->m->vault, call->owner, call->name, &v, reterr) < 0)
		return -1;
	*ret = (struct provider_grant){ .value = v };
	return 1;
}

static int store_replace(const struct provider_call *call, const struct bytes *value,
			 provider_replaced *done, void *userdata, struct error *reterr)
{
	return vault_set(call->m->vault, call->owner, call->name, value, done, userdata, reterr);
}

static bool store_has(const struct provider_call *call)
{
	return vault_has(call->m->vault, call->owner, call->name);
}

const struct provider provider_store = {
	.name = "store",
	.lease = store_lease,
	.replace = store_replace,
	.has = store_has,
};
