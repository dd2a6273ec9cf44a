/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may ask of a pool. A pool is made when it is set, and at the daemon's start when it
 * was; pool.c does the rest. */

#include "sandbox/pool-set.h"

#include <errno.h>
#include <string.h>

#include "sandbox/config.h"
#include "sandbox/event.h"
#include "sandbox/manager.h"
#include "sandbox/pool-settings.h"
#include "sandbox/template-debian.h"
#include "sandbox/template.h"
#include "sandbox/tool.h"
#include "store/pools.h"
#include "util/log.h"
#include "util/strings.h"

const char *pool_note(const struct manager *m)
{
	if (m->config->network_default != NETWORK_HOST)
		return NULL;
	return "[network] default = host: only who asks for the network none gets a spare";
}

/* Whose pool it is. */
static int choose_owner(const struct manager *m, uid_t peer, const struct pool_set_params *p,
			uid_t *ret, struct error *reterr)
{
	uid_t owner = p->owner >= 0 ? (uid_t)p->owner : m->is_root ? peer : m->uid;

	if (peer != 0 && owner != peer)
		return error_set(reterr, ERROR_DENIED, "owner", "leave it out",
				 "only root can set the pool of uid %u", (unsigned)owner);
	if (!m->is_root && owner != m->uid)
		return error_set(reterr, ERROR_DENIED, "owner", "use the system daemon",
				 "this daemon works for uid %u only", (unsigned)m->uid);
	*ret = owner;
	return 0;
}

static bool is_owners(const struct template_facts *t, uid_t owner, const char *name)
{
	return string_equal(t->name, name) && (string_equal(name, "host") || t->owner == owner);
}

/* A setting outlives the layer of its tool, and can be reset then. */
static int check_template(struct manager *m, uid_t owner, const struct pool_set_params *p,
			  const char *full, struct error *reterr)
{
	const char *name = p->template_name;
	CLEANUP_STR char *hint = NULL;
	struct template_facts facts;

	if (p->reset && pool_settings_source(m, owner, full) == POOL_SOURCE_SET)
		return 0;
	if (template_get(m, owner, full, &facts, NULL) == 0 && is_owners(&facts, owner, full))
		return 0;
	if (tool_find(m->config, name))
		hint = string_format("sandboxctl template build %s", name);
	error_set(reterr, ERROR_NOT_FOUND, "template", hint ? hint : "sandboxctl template ls",
		  "there is no template %s%s", name, hint ? " yet" : "");
	error_set_resource(reterr, "template %s", name);
	return -1;
}

static int check_given(const struct pool_set_params *p, struct error *reterr)
{
	bool numbers = p->min >= 0 || p->max >= 0 || p->max_age_ms >= 0;

	if (p->reset && numbers)
		return error_set(reterr, ERROR_INVALID_PARAMS, "reset", "two calls",
				 "a pool is reset, or set to something");
	if (!p->reset && !numbers)
		return error_set(reterr, ERROR_INVALID_PARAMS, "min",
				 "min, max, maxAgeMs, or reset",
				 "it is not said what to change in the pool");
	if (p->max_age_ms > 0 && p->max_age_ms < POOL_MAX_AGE_MIN_MS)
		return error_set(reterr, ERROR_INVALID_PARAMS, "maxAgeMs",
				 "0 (never), or at least 1000",
				 "a spare cannot be replaced every %lld ms",
				 (long long)p->max_age_ms);
	return 0;
}

static int check_room(const struct manager *m, uint32_t max, struct error *reterr)
{
	CLEANUP_STR char *hint = NULL;
	uint32_t room = config_pool_room(m->config);

	if (max <= room)
		return 0;
	hint = string_format("at most %u; raise [limits] pool_memory in sandboxd.conf", room);
	return error_set(reterr, ERROR_LIMIT_REACHED, "max", hint,
			 "%u spares do not fit into the %llu KiB that all pools may have", max,
			 (unsigned long long)(m->config->pool_memory_bytes / 1024));
}

/* The settings in force, changed as P says. */
static int change(const struct manager *m, const struct pool_set_params *p,
		  struct pool_settings *settings, struct error *reterr)
{
	CLEANUP_STR char *hint = NULL;
	const char *why;

	if (p->min >= 0)
		settings->min = (uint32_t)p->min;
	if (p->max >= 0)
		settings->max = (uint32_t)p->max;
	if (p->max_age_ms >= 0)
		settings->max_age_ms = p->max_age_ms > 0 ? p->max_age_ms : -1;
	if (check_room(m, settings->max, reterr) < 0)
		return -1;
	if (settings->min > settings->max) {
		hint = string_format("a min of at most %u, or a larger max", settings->max);
		return error_set(reterr, ERROR_INVALID_PARAMS, p->min >= 0 ? "min" : "max", hint,
				 "min %u is more than max %u", settings->min, settings->max);
	}
	why = settings->max > 0 ? pool_unavailable(m) : NULL;
	if (why)
		return error_set(reterr, ERROR_UNAVAILABLE, "template",
				 "[daemon] runtime = crun in sandboxd.conf, or max 0",
				 "sandboxes cannot be claimed here: %s", why);
	return 0;
}

static int store(struct manager *m, uid_t owner, const struct pool_set_params *p, const char *full,
		 struct error *reterr)
{
	struct pool_settings settings = pool_settings_find(m, owner, full);
	int r;

	if (p->reset) {
		r = pool_settings_reset(m, owner, full);
	} else if (change(m, p, &settings, reterr) < 0) {
		return -1;
	} else {
		const struct store_pool row = { owner, p->template_name, settings.min, settings.max,
						settings.max_age_ms };

		r = pool_settings_store(m, &row, full);
	}
	return r < 0 ? error_set_errno(reterr, r, "the pool of %s cannot be set", full) : 0;
}

int pool_set(struct manager *m, uid_t peer, const struct pool_set_params *p, struct pool_facts *ret,
	     struct error *reterr)
{
	char full[TEMPLATE_NAME_SIZE];
	struct pool *pool;
	uid_t owner = peer;
	int r;

	template_full_name(m->config, p->template_name, full);
	if (choose_owner(m, peer, p, &owner, reterr) < 0 || check_given(p, reterr) < 0 ||
	    check_template(m, owner, p, full, reterr) < 0 || store(m, owner, p, full, reterr) < 0)
		return -1;
	r = pool_get(m, owner, full, &pool);
	if (r < 0)
		return error_set_errno(reterr, r, "the pool of %s cannot be made", full);
	pool_settings_changed(m);
	event_pool_set(pool);
	pool_get_facts(pool, ret);
	return 0;
}

void pool_template_gone(struct manager *m, uid_t owner, const char *template_name)
{
	int r = pool_settings_forget(m, owner, template_name);

	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "pool of %s: its settings stay behind",
			  template_name);
	pool_settings_changed(m);
}

/* ---- start ---- */

static bool is_known(struct manager *m, const char *full)
{
	struct template_facts facts;

	return tool_find(m->config, full) || debian_suite(full) ||
	       template_get(m, 0, full, &facts, NULL) == 0;
}

static void begin(struct manager *m, uid_t owner, const char *name)
{
	char full[TEMPLATE_NAME_SIZE];
	struct pool *pool;
	int r;

	template_full_name(m->config, name, full);
	r = pool_get(m, owner, full, &pool);
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "pool of %s: it begins with its first sandbox",
			  full);
}

void pool_start(struct manager *m)
{
	const struct config_pool *p;
	char full[TEMPLATE_NAME_SIZE];

	pool_settings_each(m, begin);
	for (p = m->config->pools; p; p = p->next) {
		template_full_name(m->config, p->name, full);
		if (is_known(m, full))
			begin(m, m->uid, p->name);
		else
			log_notice("%s:%u: there is no template %s yet, its pool waits for it",
				   p->file, p->line, p->name);
	}
	pool_settings_changed(m);
}
