/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What pool.set said of pools. Pools that nobody has set have no row. */

#include <stdint.h>
#include <sys/types.h>

struct store;

/* The string is borrowed. (owner, template_name) is unique. */
struct store_pool {
	uid_t owner;
	const char *template_name;
	uint32_t min;
	uint32_t max;
	int64_t max_age_ms; /* -1: never */
};

/* Replaces a row of the same owner and template. */
int store_pool_set(struct store *s, const struct store_pool *row);
/* -ENOENT: no such row. */
int store_pool_delete(struct store *s, uid_t owner, const char *template_name);
/* Calls FN for each row. Returns 0, FN's first non-zero result, or negative errno. FN must not
 * write to the store. */
typedef int store_pool_row(const struct store_pool *row, void *userdata);
int store_pool_load(struct store *s, store_pool_row *fn, void *userdata);
