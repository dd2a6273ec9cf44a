/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who did what with which secret: an append-only log, each entry chained to the one before by an
 * HMAC under a key of the vault's. Its head is in the store and the journal, too: a cut tail
 * shows. Never a value. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "macro.h"

struct audit;
struct manager;

/* Strings are borrowed for the call; NULL: does not apply. */
struct audit_entry {
	const char *action; /* "set", "remove", "lease", "renew", "release", "expire", "revoke",
			     * "refresh" */
	const char *result; /* "ok", or an error's kind */
	uid_t uid;
	pid_t pid; /* of the peer; 0: the daemon itself. Its executable is looked up */
	const char *secret;
	const char *lease;
	const char *provider;
	const char *loop_id;
	const char *sandbox;
	const char *exec_id;
	const char *stage;
};

/* Appends it. 0, or -1 with *RETERR: it could not be written, so what it tells of must not happen.
 */
int audit_write(struct manager *m, const struct audit_entry *e, struct error *reterr);

int audit_new(struct manager *m, struct audit **ret);
void audit_free(struct audit *a); /* NULL is fine */
