/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Loops: a row is committed before the first sandbox of a loop is made, and deleted when its
 * receipt need not be known any more. */

#include <stdint.h>
#include <sys/types.h>

#include "params.h"

struct store;

/* Strings and blobs are borrowed; NULL when absent. Blobs hold texts, each with its NUL. */
struct store_loop {
	uid_t peer;
	const char *loop_id;
	const char *state;
	struct bytes work_dir; /* one text */
	struct bytes tools;
	const char *template_name;
	const char *runtime;
	enum network_mode network;
	struct limits_params limits;
	struct bytes env;
	struct bytes labels;
	int64_t ttl_ms; /* -1: none */
	int64_t created_at_ms;
	int64_t ended_at_ms; /* 0: active */
	const char *reason;
	const char *head_sha;
	struct bytes stages;  /* empty: none were given */
	struct bytes receipt; /* empty: not destroyed */
};

int store_loop_insert(struct store *s, const struct store_loop *row);
/* Writes what can change: state, tools, ended_at_ms, reason, head_sha, receipt. -ENOENT: no such
 * row. */
int store_loop_update(struct store *s, const struct store_loop *row);
int store_loop_delete(struct store *s, uid_t peer, const char *loop_id);
/* What is kept of a loop beside its row: each is one block, replaced as a whole, and goes when the
 * row is deleted. */
enum store_kept {
	STORE_KEPT_BEGINNING = 1, /* where its repository was when it was made */
	STORE_KEPT_ARTIFACTS,
	STORE_KEPT_LOG,
	STORE_KEPT_STDOUT,
	STORE_KEPT_STDERR,
	STORE_KEPT_REFS, /* those that changed */
};
int store_loop_keep(struct store *s, uid_t peer, const char *loop_id, enum store_kept kind,
		    struct bytes data);
/* Of all blocks but BEGINNING the oldest go, so that MAX_BYTES stay at most. */
int store_loop_kept_trim(struct store *s, int64_t max_bytes);
/* Returns 0 and a copy that the caller frees in *RET, -ENOENT, or as a writer. */
int store_loop_kept(struct store *s, uid_t peer, const char *loop_id, enum store_kept kind,
		    char **ret, size_t *ret_size);
/* Calls FN for each row in order of creation. Returns 0, FN's first non-zero result, or negative
 * errno. FN must not write to the store. */
typedef int store_loop_row(const struct store_loop *row, void *userdata);
int store_loop_load(struct store *s, store_loop_row *fn, void *userdata);
