/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Idempotency keys. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct store;

/* Strings are borrowed, from the caller or, in a callback, from the statement. NULL when absent. */
struct store_key {
	uid_t peer;
	const char *key;
	uint32_t method;     /* enum journal_method */
	const char *digest;  /* of the call, as text */
	const char *subject; /* what it made or ran in: a sandbox's id, a loop's */
	const char *exec;    /* the row of its command */
	const char *base_sha;
	bool done;
	const char *result; /* what is answered to the same call, as text */
	int64_t created_at_ms;
};

/* -EEXIST: the peer has that key. */
int store_key_insert(struct store *s, const struct store_key *row);
/* Calls FN with the row, if there is one. Returns 1, 0 when there is none, or negative errno. FN
 * must not write to the store. */
typedef void store_key_row(const struct store_key *row, void *userdata);
int store_key_get(struct store *s, uid_t peer, const char *key, store_key_row *fn, void *userdata);
/* It is done, with RESULT or without. -ENOENT: no such key. */
int store_key_done(struct store *s, uid_t peer, const char *key, const char *result);
/* The one whose command is EXEC is done, if METHOD (any: UINT32_MAX) is its method and it was not
 * yet. No such key is fine. */
int store_key_exec_done(struct store *s, const char *exec, uint32_t method, const char *result);
int store_key_delete(struct store *s, uid_t peer, const char *key);
int store_key_delete_exec(struct store *s, const char *exec);
/* Those of METHOD that are not done: where the sandbox that they made was finished they are done,
 * the others are deleted. For the start of a daemon, before it changes any sandbox. */
int store_key_settle_creates(struct store *s, uint32_t method);
/* Those that are done and older than BEFORE_MS. */
int store_key_delete_old(struct store *s, int64_t before_ms);
/* How many there are, or negative errno. */
int64_t store_key_count(struct store *s);
