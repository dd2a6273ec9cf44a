/* SPDX-License-Identifier: Apache-2.0 */
#include "util/pairs.h"

#include <stdint.h>
#include <string.h>

#include "util/strings.h"

static void free_const(const void *p)
{
	free((void *)(uintptr_t)p); /* const for readers only */
}

void pairs_deinit(struct pairs *p)
{
	size_t i;

	for (i = 0; i < p->count; i++) {
		free_const(p->items[i].key);
		free_const(p->items[i].value);
	}
	free_const(p->items);
	*p = (struct pairs){ 0 };
}

int pairs_copy(struct pairs *to, const struct pairs *from)
{
	struct pair *items = calloc(from->count + 1, sizeof(*items));
	size_t i;

	if (!items)
		return -ENOMEM;
	*to = (struct pairs){ items, from->count };
	for (i = 0; i < from->count; i++) {
		items[i].key = strdup(from->items[i].key);
		items[i].value = strdup(from->items[i].value);
		if (!items[i].key || !items[i].value)
			return -ENOMEM;
	}
	return 0;
}

static const char *value_of(const struct pairs *p, const char *key)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		if (strcmp(p->items[i].key, key) == 0)
			return p->items[i].value;
	return NULL;
}

bool pairs_include(const struct pairs *p, const struct pairs *wanted)
{
	size_t i;

	for (i = 0; i < wanted->count; i++)
		if (!string_equal(wanted->items[i].value, value_of(p, wanted->items[i].key)))
			return false;
	return true;
}

bool pairs_equal(const struct pairs *a, const struct pairs *b)
{
	return a->count == b->count && pairs_include(b, a);
}

int pairs_pack(const struct pairs *p, char **ret, size_t *ret_size)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < p->count; i++) {
		r = string_list_add(&l, p->items[i].key);
		if (r == 0)
			r = string_list_add(&l, p->items[i].value);
	}
	return r < 0 ? r : strings_pack((const char *const *)l.items, l.count, ret, ret_size);
}

int pairs_unpack(struct bytes block, struct pairs *ret)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	struct pairs view = { 0 };
	struct pair *items;
	size_t i;
	int r = strings_unpack(block.data, block.size, &l);

	if (r < 0)
		return r;
	items = calloc(l.count / 2 + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (i = 0; i + 1 < l.count; i += 2)
		items[i / 2] = (struct pair){ l.items[i], l.items[i + 1] };
	view = (struct pairs){ items, l.count / 2 };
	r = pairs_copy(ret, &view);
	free(items);
	return r;
}
