/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The pool: for each owner and template a few spares (spare.h), so that most sandboxes need not be
 * set up while somebody waits. Knows no JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "macro.h"
#include "params.h"

struct manager;
struct pool;
struct pool_table;
struct sandbox;
struct spare;
struct string_list;

/* What an idle spare is taken to cost of the machine's memory, the kernel's part included: what
 * `bench spare-memory` finds where thousands have been mounted before, and a little. Nearly half is
 * the kernel's for a network namespace. */
#define SPARE_MEMORY_BYTES (576u * 1024)

/* How many there may be: pool-settings.h says where these come from. */
struct pool_settings {
	uint32_t min;
	uint32_t max;
	int64_t max_age_ms; /* a spare that is older is replaced; -1: never */
};

/* docs/rpc.md, Pool. Strings are borrowed and live until the event loop is entered again. */
struct pool_facts {
	const char *template_name;
	uid_t owner;
	struct pool_settings settings;
	uint32_t target;
	uint32_t ready;
	uint32_t starting;
	uint64_t claims_warm; /* creates that a spare would have fitted: those that got one, */
	uint64_t claims_cold; /* and those that did not */
	uint64_t failures;
	unsigned failures_in_row;
	int64_t retry_at_ms; /* CLOCK_REALTIME: no attempt before; 0: none is waited for */
	const char *reason;  /* why it makes none now; NULL */
	uint64_t stale;      /* spares that were given up because their template changed */
	uint64_t expired;    /* the same because of their age */
};

/* Every pool that PEER may see (root: all), until FN returns false. */
void pool_each(struct manager *m, uid_t peer,
	       bool (*fn)(const struct pool_facts *p, void *userdata), void *userdata);
/* The pool of OWNER's TEMPLATE_NAME (as sandboxes show it: "host", "claude@2.1.42"), made when
 * there is none. Returns 0 or -ENOMEM. */
int pool_get(struct manager *m, uid_t owner, const char *template_name, struct pool **ret);
void pool_get_facts(const struct pool *p, struct pool_facts *ret);
/* Settings have changed: takes them from pool-settings.h again, and adapts soon. */
void pool_settings_changed(struct manager *m);
/* Why no sandbox of OWNER can be claimed at all: a sentence, or NULL. */
const char *pool_unavailable(const struct manager *m);

/* Spares of all pools that exist, those that are being made included. */
size_t pool_spare_count(const struct manager *m);

/* A template has come, gone or changed: spares of it that are stale go, soon. */
void pool_template_changed(struct manager *m);

/* ---- for sandbox*.c ---- */
/* Whether spares could ever serve what S was asked for. */
bool pool_can_serve(const struct sandbox *s);
/* A ready spare of S's owner that stands on LAYERS, and fits in everything else; it is in no pool
 * any more. Or NULL. */
struct sandbox *pool_take(struct sandbox *s, const char *template_name,
			  const struct string_list *layers);
void pool_give_back(struct sandbox *s); /* after all; nothing was done to it */
void pool_note_warm(struct spare *sp);  /* it was claimed */
/* S runs, and was not made from a spare. */
void pool_note_cold(const struct sandbox *s);
/* A client waits for a sandbox to run, or does not any more. */
void pool_boot_begins(struct manager *m);
void pool_boot_ended(struct manager *m);
/* A clean stop: no more spares. */
void pool_table_stop(struct manager *m);

int pool_table_new(struct manager *m, struct pool_table **ret);
void pool_table_free(struct pool_table *t);
