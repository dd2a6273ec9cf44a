/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside pool*.c and spare.c. */

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "sandbox/manager.h"
#include "sandbox/pool-target.h"
#include "sandbox/pool.h"
#include "sandbox/spare.h"
#include "util/strings.h"
#include "util/table.h"

struct pool {
	struct pool_table *table;
	char *template_name;
	uid_t owner;
	struct pool_settings settings;
	struct pool_demand demand;
	struct string_list layers; /* of the template as it is now; topmost first */
	bool available;            /* its template is ready, so these are known */
	uint32_t target;
	TAILQ_HEAD(, spare) spares; /* oldest first */
	uint64_t claims_warm;
	uint64_t claims_cold;
	uint64_t failures;
	unsigned failures_in_row;
	int64_t retry_at_ms; /* CLOCK_BOOTTIME; 0: at once */
	char *failure;       /* the last one's sentence; NULL */
	uint64_t stale;
	uint64_t expired;
	TAILQ_ENTRY(pool) link;
};

struct pool_table {
	struct manager *manager;
	struct table by_key; /* "<owner>/<template>" */
	TAILQ_HEAD(, pool) pools;
	size_t spares;      /* all that are in a pool's list */
	bool making;        /* one is being made */
	unsigned boots;     /* creates and starts of clients under way */
	int64_t claimed_ms; /* CLOCK_BOOTTIME: the last claim */
	int64_t checked_ms; /* when spares were asked last */
	int64_t decayed_ms; /* when one that is too many was ended last */
	unsigned cpus;
	struct event refill;
	struct event upkeep;
};

/* How many of P are being made, and how many wait. */
void pool_count(const struct pool *p, uint32_t *ret_starting, uint32_t *ret_ready);
/* How many spares the memory that they may take is enough for. */
uint64_t pool_budget(const struct manager *m);

/* ---- pool-refill.c ---- */
void pool_refill_init(struct pool_table *t);
void pool_refill_soon(struct pool_table *t, int64_t ms);
void pool_upkeep_soon(struct pool_table *t);
/* What its template stands on now, and how many spares it should have. */
void pool_refresh(struct pool *p, int64_t now);

/* ---- told by spare.c ---- */
void pool_remember(struct spare *sp); /* enters it into its pool's list */
void pool_forget(struct spare *sp);   /* takes it out; harmless when it is not there */
void pool_on_ready(struct spare *sp);
/* It is gone. FAILURE: it could not be made, and why; NULL: as was wanted. */
void pool_on_end(struct spare *sp, const char *failure);
void pool_on_failure(struct pool *p, const char *why);
void pool_on_proven(struct pool *p);
