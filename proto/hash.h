/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where an object is found by its id in a table that does not grow: of as many objects as there may
 * be a few are in each bucket. */

#include <stddef.h>
#include <stdint.h>

/* FNV-1a: ids are random, but those that clients choose. Returns less than N_BUCKETS. */
static inline size_t hash_id(const char *id, size_t n_buckets)
{
	uint32_t hash = 2166136261u;

	for (; *id != '\0'; id++)
		hash = (hash ^ (uint8_t)*id) * 16777619u;
	return hash % n_buckets;
}
