/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Templates that were built and can be used again. The embedded `host` has no row. */

#include <stdint.h>
#include <sys/types.h>

#include "params.h"

struct store;

/* Strings are borrowed, NULL when absent. (owner, name) is unique. */
struct store_template {
	const char *name;
	uid_t owner; /* in whose templates directory the layer is */
	uid_t peer;  /* who had it made */
	const char *digest;
	const char *base; /* name of the template below */
	const char *tool;
	const char *version;
	const char *layer; /* directory in <state>/owners/<owner>/templates */
	uint64_t size_bytes;
	int64_t created_at_ms; /* CLOCK_REALTIME */
	const char *state;     /* "ready", "building", "failed", "removed" */
	struct bytes lowers;   /* layers below it, topmost first, as strings_pack() makes them */
};

int store_template_insert(struct store *s, const struct store_template *row);
/* By (owner, name); -ENOENT: no such row. */
int store_template_update(struct store *s, const struct store_template *row);
int store_template_delete(struct store *s, uid_t owner, const char *name);
/* Calls FN for each row in order of creation. Returns 0, FN's first non-zero result, or negative
 * errno. FN must not write to the store. */
typedef int store_template_row(const struct store_template *row, void *userdata);
int store_template_list(struct store *s, store_template_row *fn, void *userdata);
