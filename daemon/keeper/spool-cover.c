/* SPDX-License-Identifier: Apache-2.0 */
#include "spool-cover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "mask.h"

struct spool_cover *spool_cover_find(const struct spool_covers *all, const char *sandbox)
{
	struct spool_cover *c;

	LIST_FOREACH (c, &all->by_sandbox[hash_id(sandbox, SPOOL_COVER_BUCKETS)], entry)
		if (strcmp(c->sandbox, sandbox) == 0)
			return c;
	return NULL;
}

static struct spool_cover *cover_new(struct spool_covers *all, const char *sandbox)
{
	struct spool_cover *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	(void)snprintf(c->sandbox, sizeof(c->sandbox), "%s", sandbox);
	LIST_INSERT_HEAD(&all->by_sandbox[hash_id(c->sandbox, SPOOL_COVER_BUCKETS)], c, entry);
	return c;
}

int spool_cover_add(struct spool_covers *all, const char *sandbox, int fd, struct spool_cover **ret)
{
	struct masks *masks = NULL;
	int r = masks_new(fd, &masks);

	if (r < 0)
		return r;
	*ret = spool_cover_find(all, sandbox);
	if (*ret) {
		masks_add((*ret)->masks, masks);
		return 0;
	}
	*ret = cover_new(all, sandbox);
	if (!*ret) {
		masks_free(masks);
		return -ENOMEM;
	}
	(*ret)->masks = masks;
	return 1;
}

static void cover_free(struct spool_cover *c)
{
	LIST_REMOVE(c, entry);
	masks_free(c->masks);
	free(c);
}

void spool_cover_end(struct spool_covers *all, const char *sandbox)
{
	struct spool_cover *c = spool_cover_find(all, sandbox);

	if (!c)
		return;
	c->stays = false;
	if (c->spools == 0)
		cover_free(c);
}

struct spool_cover *spool_cover_use(struct spool_cover *c)
{
	if (c)
		c->spools++;
	return c;
}

void spool_cover_leave(struct spool_cover *c)
{
	if (c && --c->spools == 0 && !c->stays)
		cover_free(c);
}

void spool_covers_deinit(struct spool_covers *all)
{
	size_t i;

	for (i = 0; i < SPOOL_COVER_BUCKETS; i++)
		while (!LIST_EMPTY(&all->by_sandbox[i]))
			cover_free(LIST_FIRST(&all->by_sandbox[i]));
}
