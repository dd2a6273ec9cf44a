/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Leases of secrets, without their values. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct store;

/* Strings are borrowed; those that may be NULL say so. */
struct store_lease {
	const char *id;
	uid_t owner; /* whose secret */
	const char *secret;
	const char *holder; /* "client", "exec", "sandbox", "loop" */
	uid_t holder_peer;
	const char *holder_id; /* "": none */
	const char *loop_id;   /* NULL: none; so are the next four */
	const char *sandbox;
	const char *stage;
	const char *file;      /* that an exec has it as, below the agent's home */
	const char *remote_id; /* the provider's own */
	int64_t ttl_ms;        /* of each renewal */
	bool renew;
	int64_t created_at_ms; /* CLOCK_REALTIME */
	int64_t expires_at_ms;
};

int store_lease_insert(struct store *s, const struct store_lease *row);
/* Its times and remote_id. */
int store_lease_update(struct store *s, const struct store_lease *row);
/* -ENOENT: no such row. */
int store_lease_delete(struct store *s, const char *id);
/* Calls FN for each row. Returns 0, FN's first non-zero result, or negative errno. FN must not
 * write to the store. */
typedef int store_lease_row(const struct store_lease *row, void *userdata);
int store_lease_load(struct store *s, store_lease_row *fn, void *userdata);
