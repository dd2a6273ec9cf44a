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
struct event_base;
struct vault;

/* What is listed of a secret; never its value. Strings live until the vault changes. */
struct vault_entry {
	uid_t owner;
	const char *name;
	size_t size;           /* bytes of the value */
	int64_t created_at_ms; /* CLOCK_REALTIME */
	int64_t updated_at_ms;
};

/* Opens the one in STATE_FD (a directory, borrowed), or makes an empty one; its key comes from
 * where CONFIG says. Blocks: for the start of the daemon. One that cannot be opened (wrong key,
 * damaged) is left untouched: *RET is made all the same, and each call on it answers why. Returns 0
 * or negative errno. */
int vault_new(struct event_base *base, int state_fd, const struct config *config,
	      struct vault **ret);
/* What is being written is given up: its callbacks get ERROR_CANCELLED. NULL is fine. */
void vault_free(struct vault *v);
DEFINE_CLEANUP(struct vault *, vault_free);
/* Whether something is being written. */
bool vault_is_busy(const struct vault *v);

/* E NULL: it is on disk. */
typedef void vault_done(struct error *e, void *userdata);

/* All return 0, or -1 with *RETERR, which names the field "secret" or "value" where they are at
 * fault. A change is on disk, and is seen, when DONE is called: once, never from inside the call,
 * and only after a 0. VALUE is borrowed for the call. */
int vault_set(struct vault *v, uid_t owner, const char *name, const struct bytes *value,
	      vault_done *done, void *userdata, struct error *reterr);
/* Whether vault_set() would begin, for whom something has to be done before. */
int vault_check_set(struct vault *v, uid_t owner, const char *name, const struct bytes *value,
		    struct error *reterr);
int vault_remove(struct vault *v, uid_t owner, const char *name, vault_done *done, void *userdata,
		 struct error *reterr);
int vault_get(struct vault *v, uid_t owner, const char *name, struct secret_value **ret,
	      struct error *reterr);
bool vault_has(const struct vault *v, uid_t owner, const char *name);
/* Calls FN for each of OWNER, by name, until it returns false. */
int vault_each(struct vault *v, uid_t owner, bool (*fn)(const struct vault_entry *, void *userdata),
	       void *userdata, struct error *reterr);
/* For people: where its key comes from, in the words of the configuration; cut if longer. */
#define VAULT_KEY_TEXT_SIZE 512
void vault_describe_key(const struct vault *v, char *ret, size_t size);
/* There was one before this daemon, and at its start it was gone: it is a new one, still empty. */
bool vault_was_lost(const struct vault *v);
/* 0: it is open. Else -1 with *RETERR, which says why it is not and what would help, and it is
 * tried again. */
int vault_check_open(struct vault *v, struct error *reterr);
/* A key for another purpose, derived from the vault's. CONTEXT is 8 bytes. */
int vault_derive(struct vault *v, const char context[8], uint8_t ret_key[VAULT_KEY_BYTES],
		 struct error *reterr);
