/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a secret comes from. One vtable, one file per provider; [secret NAME] in the configuration
 * says which one a secret has, `store` (the vault) is the default. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "params.h"
#include "secret/value.h"

#define PROVIDER_TIMEOUT_MS 10000 /* one that does not answer is cut off then */
#define PROVIDER_REMOTE_ID_MAX 256
#define PROVIDER_COMMANDS_MAX 256 /* that run at once */

struct config_secret; /* config-secret.h: a [secret NAME] section */
struct manager;
struct provider_pending; /* an answer that is waited for; each provider defines what is in it */

struct provider_call {
	struct manager *m;
	const struct config_secret *config; /* NULL: no section, the store */
	uid_t owner;                        /* whose secret */
	const char *name;
	int64_t ttl_ms;
};

/* What a provider gives. The value is a reference of the callee's. */
struct provider_grant {
	struct secret_value *value;
	char remote_id[PROVIDER_REMOTE_ID_MAX]; /* the provider's own lease; "": it has none */
	int64_t expires_at_ms;                  /* CLOCK_REALTIME; 0: it does not say */
};

/* G NULL: E says why, without a value in it. Never called from inside lease(). */
typedef void provider_done(struct provider_grant *g, struct error *e, void *userdata);

/* E NULL: it is in its place, and on disk. */
typedef void provider_replaced(struct error *e, void *userdata);

struct provider {
	const char *name; /* in the configuration */
	/* CALL and what is in it are good during the call only. Returns 1: *RET is filled, DONE is
	 * not called; 0: DONE comes later, unless *RET_PENDING is given to cancel() first; -1 with
	 * *RETERR. Blocks nobody. */
	int (*lease)(const struct provider_call *call, provider_done *done, void *userdata,
		     struct provider_grant *ret, struct provider_pending **ret_pending,
		     struct error *reterr);
	void (*cancel)(struct provider_pending *p);
	/* The provider's own lease is not needed any more: told once, not waited for. NULL: nothing
	 * to tell. */
	void (*revoke)(const struct provider_call *call, const char *remote_id);
	/* Replaces the value at its place, atomically. Returns 0, and DONE is called once when it
	 * is on disk or cannot be, never from inside; or -1 with *RETERR. NULL: it cannot. */
	int (*replace)(const struct provider_call *call, const struct bytes *value,
		       provider_replaced *done, void *userdata, struct error *reterr);
	/* Whether lease() would probably find it, without asking anybody else. */
	bool (*has)(const struct provider_call *call);
};

extern const struct provider provider_store;
extern const struct provider provider_env;
extern const struct provider provider_file;
extern const struct provider provider_systemd;
extern const struct provider provider_command;
extern const struct provider provider_agent_secrets;

/* Who has what PEER knows as NAME; fills *RET but for ttl_ms. *RET is good until the configuration
 * is read again: not kept. NULL with *RETERR: no name, or its section is broken. */
const struct provider *provider_of(struct manager *m, uid_t peer, const char *name,
				   struct provider_call *ret, struct error *reterr);
/* Whether PEER could probably lease NAME, without asking anybody else. */
bool provider_has(struct manager *m, uid_t peer, const char *name);
