/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How many spares a pool may have: what pool.set said, else the section [pool NAME], else the
 * defaults. */

#include <stdint.h>
#include <sys/types.h>

#include "sandbox/pool.h"

struct pool_settings_table;
struct store_pool;

#define POOL_MAX_DEFAULT 32
#define POOL_MAX_AGE_DEFAULT_MS (60 * 60 * 1000)
#define POOL_MAX_AGE_MIN_MS 1000

enum pool_source {
	POOL_SOURCE_DEFAULT,
	POOL_SOURCE_CONFIGURATION,
	POOL_SOURCE_SET, /* by pool.set */
	POOL_SOURCE_MAX,
};
const char *pool_source_to_string(enum pool_source s);

/* Of OWNER's TEMPLATE_NAME, a name as sandboxes show it. */
struct pool_settings pool_settings_find(const struct manager *m, uid_t owner,
					const char *template_name);
enum pool_source pool_settings_source(const struct manager *m, uid_t owner,
				      const char *template_name);

/* Loads what was set. Returns 0 or negative errno. */
int pool_settings_table_new(struct manager *m, struct pool_settings_table **ret);
void pool_settings_table_free(struct pool_settings_table *t);

/* ---- for pool-set.c; 0 or negative errno ---- */

/* In place of all that was set for TEMPLATE_NAME, which ROW's name means. */
int pool_settings_store(struct manager *m, const struct store_pool *row, const char *template_name);
/* As configured again. */
int pool_settings_reset(struct manager *m, uid_t owner, const char *template_name);
/* Forgets what was set by just this name. */
int pool_settings_forget(struct manager *m, uid_t owner, const char *template_name);
/* All that was set. FN must not set anything. */
void pool_settings_each(struct manager *m,
			void (*fn)(struct manager *m, uid_t owner, const char *name));
