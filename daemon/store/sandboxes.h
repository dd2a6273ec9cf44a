/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sandboxes that exist: a row is committed before the first side effect of a create, and deleted
 * after the last of a remove. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "params.h"

struct store;

/* Strings and blobs are borrowed; NULL when absent. Blobs hold texts, each with its NUL. */
struct store_sandbox {
	const char *id;
	const char *name;
	uid_t peer;
	uid_t owner;
	const char *tool;
	const char *template_name;
	struct bytes layers;
	enum network_mode network;
	struct limits_params limits;
	struct bytes workspaces;
	struct bytes env;
	struct bytes labels;
	const char *state;
	const char *cause;
	bool hidden;
	bool foreign_user;
	int64_t created_at_ms;
	const char *runtime;
	const char *loop_id;
	int64_t ttl_ms;          /* -1: none */
	int64_t idle_timeout_ms; /* -1: none */
	bool remove_on_stop;
	const char *launch_type;
	bool removing;      /* its remove has begun, and is to be finished */
	pid_t pid;          /* of its init, 0: none; */
	uint64_t pid_since; /* and when that began: process.h */
};

int store_sandbox_insert(struct store *s, const struct store_sandbox *row);
/* A spare became a sandbox: its row, found by the id, becomes ROW and the newest. -ENOENT: there is
 * none; -EEXIST: the name is taken. */
int store_sandbox_claim(struct store *s, const struct store_sandbox *row);
/* Writes what can change: state, cause, template, layers, foreign_user, launch_type, removing, pid.
 * -ENOENT: no such row. */
int store_sandbox_update(struct store *s, const struct store_sandbox *row);
int store_sandbox_delete(struct store *s, const char *id);
/* Calls FN for each row in order of creation. Returns 0, FN's first non-zero result, or negative
 * errno. FN must not write to the store. */
typedef int store_sandbox_row(const struct store_sandbox *row, void *userdata);
int store_sandbox_load(struct store *s, store_sandbox_row *fn, void *userdata);
