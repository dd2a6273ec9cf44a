/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The built-in store of secrets: one encrypted file in the state directory. Each uid sees its own
 * alone. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "params.h"
#include "secret/value.h"

#define VAULT_KEY_BYTES 32

struct config;
struct vault;

/* What is listed of a secret; never its value. Strings live until the vault changes. */
struct vault_entry {
	uid_t owner;
	const char *name;
	size_t size;           /* bytes of the value */
	int64_t created_at_ms; /* CLOCK_REALTIME */
	int64_t updated_at_ms;
};

/* Opens the one in STATE_FD (a directory), or makes an empty one; its key comes from where CONFIG
 * says. One that cannot be opened (wrong key, damaged) is left untouched: *RET is made all the
 * same, and each call on it answers why. Returns 0 or negative errno. */
int vault_new(int state_fd, const struct config *config, struct vault **ret);
void vault_free(struct vault *v); /* NULL is fine */
DEFINE_CLEANUP(struct vault *, vault_free);

/* All return 0, or -1 with *RETERR, which names the field "secret" or "value" where they are at
 * fault. */
int vault_set(struct vault *v, uid_t owner, const char *name, const struct bytes *value,
	      struct error *reterr);
int vault_get(struct vault *v, uid_t owner, const char *name, struct secret_value **ret,
	      struct error *reterr);
int vault_remove(struct vault *v, uid_t owner, const char *name, struct error *reterr);
bool vault_has(const struct vault *v, uid_t owner, const char *name);
/* Calls FN for each of OWNER, by name, until it returns false. */
int vault_each(struct vault *v, uid_t owner, bool (*fn)(const struct vault_entry *, void *userdata),
	       void *userdata, struct error *reterr);
/* A key for another purpose, derived from the vault's. CONTEXT is 8 bytes. */
int vault_derive(struct vault *v, const char context[8], uint8_t ret_key[VAULT_KEY_BYTES],
		 struct error *reterr);
