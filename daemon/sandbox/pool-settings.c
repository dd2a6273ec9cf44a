/* SPDX-License-Identifier: Apache-2.0 */
/* A setting is kept by the name that it was given: that of a tool alone means the tool's template
 * at the version that is pinned now, and stays so when an upgrade pins another. A pool has the full
 * name. The one that says the version wins; the last pool.set wins, because it removes the others
 * that mean the same template. */

#include "sandbox/pool-settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "sandbox/template.h"
#include "store/pools.h"
#include "util/strings.h"

/* What pool.set said. */
struct setting {
	uid_t owner;
	char *name; /* as given */
	struct pool_settings settings;
	LIST_ENTRY(setting) link;
};

struct pool_settings_table {
	LIST_HEAD(, setting) settings;
};

static const char *const source_names[] = {
	[POOL_SOURCE_DEFAULT] = "default",
	[POOL_SOURCE_CONFIGURATION] = "configuration",
	[POOL_SOURCE_SET] = "pool.set",
};
_Static_assert(ARRAY_SIZE(source_names) == POOL_SOURCE_MAX, "every source has a name");

const char *pool_source_to_string(enum pool_source s)
{
	return source_names[s];
}

/* ---- finding ---- */

/* 2: NAME is TEMPLATE_NAME; 1: it means that now; 0: another one. */
static int match(const struct config *c, const char *name, const char *template_name)
{
	char full[TEMPLATE_NAME_SIZE];

	if (string_equal(name, template_name))
		return 2;
	template_full_name(c, name, full);
	return string_equal(full, template_name);
}

static struct setting *find_setting(const struct manager *m, uid_t owner, const char *template_name)
{
	struct setting *s, *found = NULL;
	int r, best = 0;

	LIST_FOREACH (s, &m->pool_settings->settings, link) {
		r = s->owner == owner ? match(m->config, s->name, template_name) : 0;
		if (r > best) {
			best = r;
			found = s;
		}
	}
	return found;
}

static const struct config_pool *find_section(const struct config *c, const char *template_name)
{
	const struct config_pool *p, *found = NULL;
	int r, best = 0;

	for (p = c->pools; p; p = p->next) {
		r = match(c, p->name, template_name);
		if (r > best) {
			best = r;
			found = p;
		}
	}
	return found;
}

static struct pool_settings find_configured(const struct manager *m, const char *template_name,
					    enum pool_source *ret)
{
	const struct config_pool *p = find_section(m->config, template_name);

	*ret = p ? POOL_SOURCE_CONFIGURATION : POOL_SOURCE_DEFAULT;
	if (p)
		return (struct pool_settings){ p->min, p->max, p->max_age_ms };
	return (struct pool_settings){ 0, POOL_MAX_DEFAULT, POOL_MAX_AGE_DEFAULT_MS };
}

static struct pool_settings find(const struct manager *m, uid_t owner, const char *template_name,
				 enum pool_source *ret)
{
	const struct setting *s = find_setting(m, owner, template_name);
	uint32_t room = config_pool_room(m->config);
	struct pool_settings found;

	*ret = POOL_SOURCE_SET;
	found = s ? s->settings : find_configured(m, template_name, ret);
	/* pool_memory may have been lowered since, and the default does not look at it */
	found.max = found.max < room ? found.max : room;
	found.min = found.min < found.max ? found.min : found.max;
	return found;
}

struct pool_settings pool_settings_find(const struct manager *m, uid_t owner,
					const char *template_name)
{
	enum pool_source source;

	return find(m, owner, template_name, &source);
}

enum pool_source pool_settings_source(const struct manager *m, uid_t owner,
				      const char *template_name)
{
	enum pool_source source;

	(void)find(m, owner, template_name, &source); /* only its source */
	return source;
}

/* ---- the table ---- */

static void setting_free(struct setting *s)
{
	free(s->name);
	free(s);
}

static int setting_add(struct pool_settings_table *t, const struct store_pool *row,
		       struct setting **ret)
{
	struct setting *s = calloc(1, sizeof(*s));

	if (!s || string_copy(row->template_name, &s->name) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->owner = row->owner;
	s->settings = (struct pool_settings){ row->min, row->max, row->max_age_ms };
	LIST_INSERT_HEAD(&t->settings, s, link);
	*ret = s;
	return 0;
}

static int on_row(const struct store_pool *row, void *userdata)
{
	struct setting *s;

	return setting_add(userdata, row, &s);
}

int pool_settings_table_new(struct manager *m, struct pool_settings_table **ret)
{
	struct pool_settings_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	LIST_INIT(&t->settings);
	r = store_pool_load(m->store, on_row, t);
	if (r < 0) {
		pool_settings_table_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void pool_settings_table_free(struct pool_settings_table *t)
{
	struct setting *s;

	if (!t)
		return;
	while ((s = LIST_FIRST(&t->settings))) {
		LIST_REMOVE(s, link);
		setting_free(s);
	}
	free(t);
}

/* Removes a setting. Returns 0 or negative errno (then it is still there). */
static int drop(struct manager *m, struct setting *s)
{
	int r = store_pool_delete(m->store, s->owner, s->name);

	if (r < 0 && r != -ENOENT)
		return r;
	LIST_REMOVE(s, link);
	setting_free(s);
	return 0;
}

/* Removes all that are about OWNER's TEMPLATE_NAME but KEEP. */
static int drop_others(struct manager *m, uid_t owner, const char *template_name,
		       const struct setting *keep)
{
	struct setting *s, *next;
	int r = 0;

	for (s = LIST_FIRST(&m->pool_settings->settings); r == 0 && s; s = next) {
		next = LIST_NEXT(s, link);
		if (s != keep && s->owner == owner && match(m->config, s->name, template_name))
			r = drop(m, s);
	}
	return r;
}

/* The new one before the old ones go: a crash in between leaves two, and the one that says the
 * version counts. */
int pool_settings_store(struct manager *m, const struct store_pool *row, const char *template_name)
{
	struct setting *s;
	int r = store_pool_set(m->store, row);

	if (r < 0)
		return r;
	LIST_FOREACH (s, &m->pool_settings->settings, link)
		if (s->owner == row->owner && string_equal(s->name, row->template_name))
			break;
	if (!s)
		r = setting_add(m->pool_settings, row, &s);
	if (r < 0)
		return r;
	s->settings = (struct pool_settings){ row->min, row->max, row->max_age_ms };
	return drop_others(m, row->owner, template_name, s);
}

int pool_settings_reset(struct manager *m, uid_t owner, const char *template_name)
{
	return drop_others(m, owner, template_name, NULL);
}

int pool_settings_forget(struct manager *m, uid_t owner, const char *template_name)
{
	struct setting *s = find_setting(m, owner, template_name);

	/* that of a tool alone is about the next layer, too */
	return s && string_equal(s->name, template_name) ? drop(m, s) : 0;
}

void pool_settings_each(struct manager *m,
			void (*fn)(struct manager *m, uid_t owner, const char *name))
{
	const struct setting *s;

	LIST_FOREACH (s, &m->pool_settings->settings, link)
		fn(m, s->owner, s->name);
}
