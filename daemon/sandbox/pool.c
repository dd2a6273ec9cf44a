/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and claims. A pool comes into being with the first sandbox of its template, or with its
 * settings, and stays; pool-refill.c makes and ends its spares.
 *
 * A claim compares the layers, the runtime's program and the owner of a spare with what is wanted
 * at this moment. So a spare whose template was built anew, or whose runtime was upgraded, cannot
 * be claimed even before it is drained, and nothing of one owner goes to another. */

#include "sandbox/pool.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/config.h"
#include "sandbox/keeper-client.h"
#include "sandbox/pool-internal.h"
#include "sandbox/pool-settings.h"
#include "sandbox/sandbox-internal.h"
#include "util/log.h"
#include "util/time.h"

#define KEY_SIZE 320

static void make_key(char key[static KEY_SIZE], uid_t owner, const char *template_name)
{
	(void)snprintf(key, KEY_SIZE, "%u/%s", (unsigned)owner, template_name);
}

static struct pool *find_pool(const struct manager *m, uid_t owner, const char *template_name)
{
	char key[KEY_SIZE];

	make_key(key, owner, template_name);
	return table_find(&m->pools->by_key, key);
}

static void pool_free(struct pool *p)
{
	free(p->template_name);
	free(p->failure);
	string_list_deinit(&p->layers);
	free(p);
}

int pool_get(struct manager *m, uid_t owner, const char *template_name, struct pool **ret)
{
	struct pool_table *t = m->pools;
	struct pool *p = find_pool(m, owner, template_name);
	char key[KEY_SIZE];
	int r;

	if (p) {
		*ret = p;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	TAILQ_INIT(&p->spares);
	p->table = t;
	p->owner = owner;
	make_key(key, owner, template_name);
	r = string_copy(template_name, &p->template_name);
	if (r == 0)
		r = table_add(&t->by_key, key, p);
	if (r < 0) {
		pool_free(p);
		return r;
	}
	p->settings = pool_settings_find(m, owner, template_name);
	TAILQ_INSERT_TAIL(&t->pools, p, link);
	pool_upkeep_soon(t);
	*ret = p;
	return 0;
}

void pool_settings_changed(struct manager *m)
{
	struct pool *p;

	TAILQ_FOREACH (p, &m->pools->pools, link) {
		p->settings = pool_settings_find(m, p->owner, p->template_name);
		pool_refresh(p, time_boottime_ms());
	}
	pool_upkeep_soon(m->pools);
}

void pool_template_changed(struct manager *m)
{
	if (m->pools)
		pool_upkeep_soon(m->pools);
}

/* ---- what is shown ---- */

const char *pool_unavailable(const struct manager *m)
{
	const struct config_runtime *r = config_runtime(m->config, m->config->runtime);

	if (pool_budget(m) == 0)
		return "[limits] pool_memory leaves no room for a spare";
	if (!r || !runtime_can(r->type, RUNTIME_CAN_CLAIM))
		return "sandboxes of the default runtime cannot be claimed";
	return NULL;
}

uint64_t pool_budget(const struct manager *m)
{
	return config_pool_room(m->config);
}

void pool_count(const struct pool *p, uint32_t *ret_starting, uint32_t *ret_ready)
{
	const struct spare *sp;

	*ret_starting = *ret_ready = 0;
	TAILQ_FOREACH (sp, &p->spares, link) {
		*ret_starting += sp->state == SPARE_STATE_STARTING;
		*ret_ready += sp->state == SPARE_STATE_READY;
	}
}

/* Why P makes no spare although it should. */
static const char *reason(const struct pool *p, int64_t now)
{
	const struct manager *m = p->table->manager;
	const char *why = pool_unavailable(m);

	if (why)
		return why;
	if (!p->available)
		return "the template is not ready";
	if (p->retry_at_ms > now)
		return p->failure;
	if (p->table->spares >= pool_budget(m))
		return "all pools together have as many spares as [limits] pool_memory allows";
	return NULL;
}

void pool_get_facts(const struct pool *p, struct pool_facts *ret)
{
	int64_t now = time_boottime_ms();

	*ret = (struct pool_facts){
		.template_name = p->template_name,
		.owner = p->owner,
		.settings = p->settings,
		.target = p->target,
		.claims_warm = p->claims_warm,
		.claims_cold = p->claims_cold,
		.failures = p->failures,
		.failures_in_row = p->failures_in_row,
		.stale = p->stale,
		.expired = p->expired,
	};
	pool_count(p, &ret->starting, &ret->ready);
	if (p->retry_at_ms > now)
		ret->retry_at_ms = time_realtime_ms() + p->retry_at_ms - now;
	if (ret->ready + ret->starting < ret->target || ret->target == 0)
		ret->reason = reason(p, now);
}

void pool_each(struct manager *m, uid_t peer,
	       bool (*fn)(const struct pool_facts *p, void *userdata), void *userdata)
{
	struct pool_facts facts;
	struct pool *p;

	TAILQ_FOREACH (p, &m->pools->pools, link) {
		if (peer != 0 && p->owner != peer)
			continue;
		pool_get_facts(p, &facts);
		if (!fn(&facts, userdata))
			return;
	}
}

size_t pool_spare_count(const struct manager *m)
{
	return m->pools->spares;
}

/* ---- claims ---- */

bool pool_can_serve(const struct sandbox *s)
{
	return sandbox_runtime(s) < RUNTIME_TYPE_MAX &&
	       runtime_can(sandbox_runtime(s), RUNTIME_CAN_CLAIM) &&
	       s->facts.network == NETWORK_NONE &&
	       strcmp(s->facts.runtime, s->manager->config->runtime) == 0;
}

static bool same_layers(const struct string_list *a, const struct string_list *b)
{
	size_t i;

	for (i = 0; a->count == b->count && i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return a->count == b->count;
}

static bool same_program(const struct spare_program *a, const struct spare_program *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->mtime_ns == b->mtime_ns;
}

/* What the keeper said it can do is asked of S as in a boot. */
static bool has_controllers(const struct sandbox *s, const struct keeper_client *k)
{
	uint32_t controllers = keeper_client_controllers(k);

	return (s->facts.limits.memory_bytes == 0 || (controllers & KEEPER_CONTROLLER_MEMORY)) &&
	       (s->facts.limits.cpu_milli == 0 || (controllers & KEEPER_CONTROLLER_CPU));
}

static bool fits(const struct spare *sp, const struct sandbox *s, const struct string_list *layers,
		 const struct spare_program *program)
{
	const struct sandbox *have = sp->sandbox;

	return sp->state == SPARE_STATE_READY && !have->ops && have->keeper && have->init &&
	       have->facts.owner == s->facts.owner && same_layers(&have->layers, layers) &&
	       same_program(&sp->program, program) && has_controllers(s, have->keeper);
}

struct sandbox *pool_take(struct sandbox *s, const char *template_name,
			  const struct string_list *layers)
{
	struct pool *p = find_pool(s->manager, s->facts.owner, template_name);
	struct spare_program program;
	struct spare *sp;

	if (!p || TAILQ_EMPTY(&p->spares) ||
	    spare_program_now(s->manager, s->facts.runtime, &program) < 0)
		return NULL;
	TAILQ_FOREACH (sp, &p->spares, link)
		if (fits(sp, s, layers, &program))
			break;
	if (!sp)
		return NULL;
	pool_forget(sp);
	sp->state = SPARE_STATE_TAKEN;
	return sp->sandbox;
}

void pool_give_back(struct sandbox *s)
{
	s->spare->state = SPARE_STATE_READY;
	pool_remember(s->spare);
}

static void note_claim(struct pool *p)
{
	struct pool_table *t = p->table;
	int64_t now = time_boottime_ms();

	pool_demand_note(&p->demand, now);
	t->claimed_ms = now;
	pool_refresh(p, now);
	pool_refill_soon(t, POOL_PAUSE_MS);
	pool_upkeep_soon(t);
}

void pool_note_warm(struct spare *sp)
{
	sp->pool->claims_warm++;
	note_claim(sp->pool);
}

void pool_note_cold(const struct sandbox *s)
{
	struct manager *m = s->manager;
	struct pool *p;

	if (!pool_can_serve(s) || pool_unavailable(m) ||
	    pool_get(m, s->facts.owner, s->facts.template_name, &p) < 0)
		return;
	pool_refresh(p, time_boottime_ms());
	if (!p->available || !same_layers(&p->layers, &s->layers))
		return; /* a mix of template and tool: no spare is made of that */
	p->claims_cold++;
	note_claim(p);
}

void pool_boot_begins(struct manager *m)
{
	m->pools->boots++;
}

void pool_boot_ended(struct manager *m)
{
	struct pool_table *t = m->pools;

	if (--t->boots == 0 && !TAILQ_EMPTY(&t->pools))
		pool_refill_soon(t, POOL_PAUSE_MS);
}

/* ---- the lists ---- */

void pool_remember(struct spare *sp)
{
	TAILQ_INSERT_TAIL(&sp->pool->spares, sp, link);
	sp->pool->table->spares++;
}

void pool_forget(struct spare *sp)
{
	if (sp->state == SPARE_STATE_TAKEN)
		return;
	TAILQ_REMOVE(&sp->pool->spares, sp, link);
	sp->pool->table->spares--;
}

/* ---- the table ---- */

int pool_table_new(struct manager *m, struct pool_table **ret)
{
	struct pool_table *t = calloc(1, sizeof(*t));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!t)
		return -ENOMEM;
	TAILQ_INIT(&t->pools);
	t->manager = m;
	t->cpus = cpus > 0 ? (unsigned)cpus : 1;
	pool_refill_init(t);
	*ret = t;
	return 0;
}

void pool_table_stop(struct manager *m)
{
	struct pool_table *t = m->pools;
	struct spare *sp;
	struct pool *p;

	(void)event_del(&t->refill);
	(void)event_del(&t->upkeep);
	TAILQ_FOREACH (p, &t->pools, link)
		TAILQ_FOREACH (sp, &p->spares, link)
			spare_end(sp); /* goes on from the loop */
}

void pool_table_free(struct pool_table *t)
{
	struct pool *p;

	if (!t)
		return;
	(void)event_del(&t->refill);
	(void)event_del(&t->upkeep);
	while ((p = TAILQ_FIRST(&t->pools))) {
		TAILQ_REMOVE(&t->pools, p, link);
		pool_free(p);
	}
	table_deinit(&t->by_key);
	free(t);
}
