/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Memory that is freed at once: what a request's decoded parameters need beyond its JSON. */

#include <stddef.h>

#include "macro.h"

struct arena_chunk;

struct arena { /* zeroed = empty */
	struct arena_chunk *chunks;
};

/* Zeroed, aligned for anything, lives until arena_deinit(). NULL: no memory, or COUNT * SIZE
 * overflows. */
void *arena_alloc(struct arena *a, size_t count, size_t size);
void arena_deinit(struct arena *a); /* overwrites what was in it */
#define CLEANUP_ARENA CLEANUP(arena_deinit)
