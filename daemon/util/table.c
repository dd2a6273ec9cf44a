/* SPDX-License-Identifier: Apache-2.0 */
/* A table is libc's red-black tree (tsearch) of slots, with their keys' copies behind them. */

#include "util/table.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	const char *key; /* text, the value's, or of a probe on the stack */
	void *value;
	char text[];
};

static int compare(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* S may be NULL: there was no memory for it. */
static int add(struct table *t, struct slot *s)
{
	void *const *node = s ? tsearch(s, &t->root, compare) : NULL;

	if (node && *node == s) {
		t->count++;
		return 0;
	}
	free(s);
	return node ? -EEXIST : -ENOMEM;
}

int table_add_own(struct table *t, const char *key, void *value)
{
	struct slot *s = malloc(sizeof(*s));

	if (s)
		*s = (struct slot){ .key = key, .value = value };
	return add(t, s);
}

int table_add(struct table *t, const char *key, void *value)
{
	size_t size = strlen(key) + 1;
	struct slot *s = malloc(sizeof(*s) + size);

	if (s)
		*s = (struct slot){ .key = memcpy(s->text, key, size), .value = value };
	return add(t, s);
}

static struct slot *find(const struct table *t, const char *key)
{
	const struct slot probe = { .key = key };
	void *const *node = tfind(&probe, &t->root, compare);

	return node ? *node : NULL;
}

void *table_find(const struct table *t, const char *key)
{
	const struct slot *s = find(t, key);

	return s ? s->value : NULL;
}

void *table_remove(struct table *t, const char *key)
{
	struct slot *s = find(t, key);
	void *value;

	if (!s)
		return NULL;
	value = s->value;
	(void)tdelete(s, &t->root, compare); /* it is there */
	free(s);
	t->count--;
	return value;
}

struct walk {
	bool (*fn)(void *value, void *userdata);
	void *userdata;
	bool stopped;
};

static void visit(const void *node, VISIT which, void *closure)
{
	struct slot *const *s = node;
	struct walk *w = closure;

	if (!w->stopped && (which == postorder || which == leaf))
		w->stopped = !w->fn((*s)->value, w->userdata);
}

void table_each(const struct table *t, bool (*fn)(void *value, void *userdata), void *userdata)
{
	struct walk w = { .fn = fn, .userdata = userdata };

	twalk_r(t->root, visit, &w);
}

void table_deinit(struct table *t)
{
	tdestroy(t->root, free);
	*t = (struct table){ 0 };
}
