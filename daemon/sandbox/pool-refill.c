/* SPDX-License-Identifier: Apache-2.0 */
/* Making and ending spares. One is made at a time, never while a client waits for a sandbox, a
 * little after the last claim, and later the busier the machine is. All pools share one budget of
 * memory, and what is being made counts, so that two owners do not overfill it.
 *
 * Upkeep looks at all pools: once a second while something changes, seldom otherwise, and not at
 * all where there is no spare and no demand. */

#include <event2/event.h>
#include <fcntl.h>
#include <string.h>

#include "sandbox/config.h"
#include "sandbox/disk-floor.h"
#include "sandbox/event.h"
#include "sandbox/pool-internal.h"
#include "sandbox/sandbox-internal.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define UPKEEP_MS 1000
#define UPKEEP_IDLE_MS 15000
#define CHECK_MS 15000 /* every spare is asked so often whether it is there */
#define LOADAVG "/proc/loadavg"
#define LOADAVG_MAX 128

static void arm(struct event *timer, int64_t ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (event_add(timer, &delay) < 0)
		log_error(
			"no memory for the pool's timer, no spares are made until the next claim");
}

void pool_refill_soon(struct pool_table *t, int64_t ms)
{
	if (!t->manager->stopping)
		arm(&t->refill, ms);
}

void pool_upkeep_soon(struct pool_table *t)
{
	if (!t->manager->stopping)
		arm(&t->upkeep, 0);
}

/* ---- what should be ---- */

/* Of the template as it is now. */
static void refresh_layers(struct pool *p)
{
	CLEANUP_STRINGS struct string_list layers = { 0 };
	const struct template_query query = { .peer = p->owner,
					      .owner = p->owner,
					      .template_name = p->template_name };
	CLEANUP_STR char *name = NULL;

	p->available = template_peek(p->table->manager, &query, &name, &layers) &&
		       string_equal(name, p->template_name);
	string_list_deinit(&p->layers);
	if (p->available) {
		p->layers = layers;
		layers = (struct string_list){ 0 };
	}
}

void pool_refresh(struct pool *p, int64_t now)
{
	const struct manager *m = p->table->manager;

	refresh_layers(p);
	p->target = 0;
	if (p->available && !pool_unavailable(m))
		p->target = pool_target(&p->settings, pool_demand_sum(&p->demand, now),
					pool_demand_recent(&p->demand, now));
}

/* ---- making ---- */

/* Thousandths of a cpu that processes would like to have. */
static uint64_t load_milli(void)
{
	CLEANUP_STR char *text = NULL;
	unsigned whole = 0, hundredths = 0;

	if (fd_read_file(AT_FDCWD, LOADAVG, LOADAVG_MAX, &text, NULL) < 0 ||
	    sscanf(text, "%u.%2u", &whole, &hundredths) != 2)
		return 0;
	return (uint64_t)whole * 1000 + hundredths * 10;
}

/* The pool that has the fewest ready, of those that want one now. *RET_WAIT: until one that failed
 * is tried again. */
static struct pool *neediest(struct pool_table *t, int64_t now, int64_t *ret_wait)
{
	uint32_t starting, ready, fewest = UINT32_MAX;
	struct pool *p, *best = NULL;

	*ret_wait = INT64_MAX;
	TAILQ_FOREACH (p, &t->pools, link) {
		pool_count(p, &starting, &ready);
		if (ready + starting >= p->target)
			continue;
		if (p->retry_at_ms > now) {
			if (p->retry_at_ms - now < *ret_wait)
				*ret_wait = p->retry_at_ms - now;
		} else if (ready < fewest) {
			fewest = ready;
			best = p;
		}
	}
	return best;
}

static void make_one(struct pool *p)
{
	const struct spare_query query = { .manager = p->table->manager,
					   .pool = p,
					   .owner = p->owner,
					   .template_name = p->template_name,
					   .layers = &p->layers };
	CLEANUP_ERROR struct error e = { 0 };
	struct spare *sp;

	if (disk_floor_check(p->table->manager, &e) == 0 && spare_new(&sp, &query, &e) == 0)
		p->table->making = true;
	else
		pool_on_failure(p, e.message ? e.message : "cannot be made");
}

static void on_refill(evutil_socket_t fd, short events, void *userdata)
{
	struct pool_table *t = userdata;
	int64_t now = time_boottime_ms(), wait;
	struct pool *p;

	(void)fd;
	(void)events;
	if (t->manager->stopping || t->making || t->boots > 0)
		return; /* whoever is under way calls again */
	if (now - t->claimed_ms < POOL_PAUSE_MS) {
		arm(&t->refill, POOL_PAUSE_MS);
		return;
	}
	p = neediest(t, now, &wait);
	if (p)
		refresh_layers(p);
	if (p && p->available && t->spares < pool_budget(t->manager))
		make_one(p);
	else if (!p && wait < INT64_MAX)
		arm(&t->refill, wait);
}

void pool_on_ready(struct spare *sp)
{
	struct pool_table *t = sp->pool->table;

	t->making = false;
	event_pool_ready(sp->pool);
	pool_refill_soon(t, pool_pause_ms(load_milli(), t->cpus));
}

void pool_on_end(struct spare *sp, const char *failure)
{
	struct pool_table *t = sp->pool->table;

	if (sp->state == SPARE_STATE_STARTING)
		t->making = false;
	if (failure)
		pool_on_failure(sp->pool, failure);
	else
		pool_refill_soon(t, POOL_PAUSE_MS);
}

void pool_on_failure(struct pool *p, const char *why)
{
	int64_t ms = pool_backoff_ms(++p->failures_in_row);
	char *copy = NULL;

	p->failures++;
	p->retry_at_ms = time_boottime_ms() + ms;
	if (string_copy(why, &copy) == 0) {
		free(p->failure);
		p->failure = copy;
	}
	if (p->failures_in_row >= POOL_FAILURES_MAX)
		log_warning("spares of template %s for uid %u failed %u times in a row (%s), "
			    "trying again in %lld s",
			    p->template_name, (unsigned)p->owner, p->failures_in_row, why,
			    (long long)ms / 1000);
	event_pool_failed(p);
	pool_refill_soon(p->table, POOL_RETRY_MS);
}

void pool_on_proven(struct pool *p)
{
	p->failures_in_row = 0;
	p->retry_at_ms = 0;
}

/* ---- upkeep ---- */

static bool is_stale(const struct spare *sp, const struct spare_program *program)
{
	const struct pool *p = sp->pool;
	const struct string_list *have = &sp->sandbox->layers;
	size_t i;

	if (!p->available || have->count != p->layers.count ||
	    memcmp(&sp->program, program, sizeof(*program)) != 0)
		return true;
	for (i = 0; i < have->count; i++)
		if (strcmp(have->items[i], p->layers.items[i]) != 0)
			return true;
	return false;
}

/* Spares that are not what a claim would want, or too old. What remains of them after SURPLUS. */
static void drain(struct pool *p, int64_t now)
{
	const int64_t max_age = p->settings.max_age_ms;
	struct spare_program program = { 0 };
	struct spare *sp, *next;

	(void)spare_program_now(p->table->manager, p->table->manager->config->runtime,
				&program); /* uninstalled: all are stale */
	for (sp = TAILQ_FIRST(&p->spares); sp; sp = next) {
		next = TAILQ_NEXT(sp, link);
		if (sp->state == SPARE_STATE_STUCK) {
			spare_end(sp);
		} else if (sp->state != SPARE_STATE_READY &&
			   (sp->state != SPARE_STATE_STARTING || sp->unwanted)) {
			continue;
		} else if (is_stale(sp, &program)) {
			p->stale++;
			spare_end(sp);
		} else if (sp->state == SPARE_STATE_READY && max_age >= 0 &&
			   now - sp->ready_ms >= max_age) {
			p->expired++;
			spare_end(sp);
		}
	}
}

/* One that is too many: the oldest. */
static void decay(struct pool *p)
{
	uint32_t starting, ready;
	struct spare *sp;

	pool_count(p, &starting, &ready);
	if (ready == 0 || ready + starting <= p->target)
		return;
	TAILQ_FOREACH (sp, &p->spares, link)
		if (sp->state == SPARE_STATE_READY)
			break;
	spare_end(sp);
}

static void check(const struct pool *p)
{
	struct spare *sp, *next;

	for (sp = TAILQ_FIRST(&p->spares); sp; sp = next) {
		next = TAILQ_NEXT(sp, link);
		if (sp->state == SPARE_STATE_READY)
			spare_check(sp);
	}
}

/* Whether P has to be looked at again soon, or (RET_ANY) at all. */
static bool is_moving(struct pool *p, int64_t now, bool *ret_any)
{
	uint32_t starting, ready;

	pool_count(p, &starting, &ready);
	if (ready > 0)
		sandbox_home_keep(p->table->manager, p->owner);
	*ret_any |= !TAILQ_EMPTY(&p->spares) || p->target > 0;
	return pool_demand_sum(&p->demand, now) > 0 || ready + starting > p->target ||
	       (p->settings.max_age_ms >= 0 && p->settings.max_age_ms < UPKEEP_IDLE_MS);
}

static void on_upkeep(evutil_socket_t fd, short events, void *userdata)
{
	struct pool_table *t = userdata;
	int64_t now = time_boottime_ms();
	bool due = now - t->checked_ms >= CHECK_MS, moving = false, any = false;
	struct pool *p;

	(void)fd;
	(void)events;
	if (t->manager->stopping)
		return;
	TAILQ_FOREACH (p, &t->pools, link) {
		pool_refresh(p, now);
		drain(p, now);
		if (now - t->decayed_ms >= UPKEEP_MS)
			decay(p);
		if (due)
			check(p);
		moving |= is_moving(p, now, &any);
	}
	if (due)
		t->checked_ms = now;
	if (now - t->decayed_ms >= UPKEEP_MS)
		t->decayed_ms = now;
	if (any || moving)
		arm(&t->upkeep, moving ? UPKEEP_MS : UPKEEP_IDLE_MS);
	if (!evtimer_pending(&t->refill, NULL))
		arm(&t->refill, POOL_PAUSE_MS);
}

void pool_refill_init(struct pool_table *t)
{
	evtimer_assign(&t->refill, t->manager->base, on_refill, t);
	evtimer_assign(&t->upkeep, t->manager->base, on_upkeep, t);
}
