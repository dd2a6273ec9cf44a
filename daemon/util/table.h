/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Objects by text key, O(log n). Keys are copied, or their value's own; values are the caller's. */

#include <stdbool.h>
#include <stddef.h>

struct table {
	void *root;
	size_t count;
};

/* Returns 0, -EEXIST or -ENOMEM. */
int table_add(struct table *t, const char *key, void *value);
/* The same for a KEY that lives as long as it is in the table. */
int table_add_own(struct table *t, const char *key, void *value);
void *table_find(const struct table *t, const char *key); /* NULL: not there */
void *table_remove(struct table *t, const char *key);     /* what was there, or NULL */
/* In key order until FN returns false; FN must not change the table. */
void table_each(const struct table *t, bool (*fn)(void *value, void *userdata), void *userdata);
/* Forgets every key; values are untouched. */
void table_deinit(struct table *t);
