/* SPDX-License-Identifier: Apache-2.0 */
/* [pool NAME]. NAME is a template's, which need not exist yet: pool-settings.c finds out whose a
 * section is. A section whose numbers cannot be is as if it were not there. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/config-keys.h"
#include "sandbox/config.h"
#include "sandbox/pool-settings.h"
#include "util/quantity.h"

/* "1h"; 0 or "never": however long it waits. */
static int set_max_age(const char *value, void *field)
{
	int64_t ms, *age = field;
	int r;

	if (strcmp(value, "never") == 0) {
		*age = -1;
		return 0;
	}
	r = quantity_duration(value, &ms);
	if (r < 0)
		return r;
	if (ms != 0 && (ms < POOL_MAX_AGE_MIN_MS || ms > SANDBOX_LIFE_MAX_MS))
		return -ERANGE;
	*age = ms > 0 ? ms : -1;
	return 0;
}

static const struct config_key keys[] = {
	CONFIG_KEY("min", config_set_count, config_pool, min),
	CONFIG_KEY("max", config_set_count, config_pool, max),
	CONFIG_KEY("max_age", set_max_age, config_pool, max_age_ms),
};

static void pool_free(struct config_pool *p)
{
	free(p->name);
	free(p->file);
	free(p);
}

static int append(struct config *c, const char *name, struct config_pool **ret)
{
	struct config_pool **at, *p = calloc(1, sizeof(*p));
	int r = p ? config_set_template(name, &p->name) : -ENOMEM;

	if (r < 0) {
		if (p)
			pool_free(p);
		return r;
	}
	p->max = POOL_MAX_DEFAULT;
	p->max_age_ms = POOL_MAX_AGE_DEFAULT_MS;
	for (at = &c->pools; *at; at = &(*at)->next)
		;
	*at = p;
	*ret = p;
	return 0;
}

static int make(struct config *c, const char *name, const struct config_place *place, void **ret)
{
	struct config_pool *p;
	char *file;
	int r;

	for (p = c->pools; p && strcmp(p->name, name) != 0; p = p->next)
		;
	r = p ? 0 : append(c, name, &p);
	if (r < 0)
		return r;
	file = strdup(place->path);
	if (!file)
		return -ENOMEM;
	free(p->file);
	p->file = file;
	p->line = place->line;
	*ret = p;
	return 0;
}

/* Returns whether P can stay. */
static bool check(struct config *c, struct config_pool *p)
{
	const struct config_place place = { p->file, p->line };
	uint32_t room = config_pool_room(c);

	if (p->min > p->max)
		config_problem(c, &place, "pool %s: min = %u is more than max = %u", p->name,
			       p->min, p->max);
	else if (p->min > room || (p->max > room && p->max != POOL_MAX_DEFAULT))
		config_problem(c, &place,
			       "pool %s: %u spares do not fit into [limits] pool_memory, which is "
			       "for %u",
			       p->name, p->min > room ? p->min : p->max, room);
	else
		return true;
	return false;
}

static void finish(struct config *c)
{
	struct config_pool **at = &c->pools, *p;

	while ((p = *at)) {
		if (check(c, p)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		pool_free(p);
	}
}

static void release(struct config *c)
{
	struct config_pool *p;

	while ((p = c->pools)) {
		c->pools = p->next;
		pool_free(p);
	}
}

const struct config_section config_section_pool = {
	.name = "pool",
	.keys = keys,
	.n_keys = ARRAY_SIZE(keys),
	.make = make,
	.finish = finish,
	.release = release,
};

uint32_t config_pool_room(const struct config *c)
{
	uint64_t room = c->pool_memory_bytes / SPARE_MEMORY_BYTES;

	return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}
