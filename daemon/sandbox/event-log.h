/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What happened, numbered, kept for a while, and read by who subscribed (event-reader.h). Who emits
 * one says it through event.h. Knows no JSON: what an event says beyond its subject are facts. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "params.h"

struct event_log;
struct manager;

#define EVENT_PEER_EVERYBODY (-1)
#define EVENT_FACTS_MAX 16
#define EVENT_TYPE_LOST "events.lost" /* of the log itself; readers hear of a gap */

enum event_fact_kind { EVENT_FACT_TEXT, EVENT_FACT_NUMBER, EVENT_FACT_TIME };

/* One more thing about an event: {KEY: value}. */
struct event_fact {
	const char *key;
	enum event_fact_kind kind;
	const char *text; /* NULL: null */
	int64_t number;   /* TIME: CLOCK_REALTIME, milliseconds */
};

/* All of it is borrowed; NULL: absent. */
struct event_note {
	const char *type; /* "exec.started" */
	int64_t peer;     /* whose it is, or EVENT_PEER_EVERYBODY */
	const char *loop_id;
	const char *sandbox;
	const char *sandbox_id;
	const char *exec_id;
	const char *tool;
	const char *state;          /* what filter.state is compared with */
	const struct pairs *labels; /* and filter.labels */
	struct event_fact facts[EVENT_FACTS_MAX];
	size_t n_facts;
};

/* Adds one; beyond EVENT_FACTS_MAX it is left out. */
void event_note_text(struct event_note *n, const char *key, const char *text);
void event_note_number(struct event_note *n, const char *key, int64_t number);
void event_note_time(struct event_note *n, const char *key, int64_t realtime_ms);

/* It has happened. Nobody is told before it is on disk, which is a little later. Without memory or,
 * for long, disk space it is lost, and readers hear of a gap. */
void event_log_add(struct manager *m, const struct event_note *n);

/* Around writes to the store that belong to what was just added: both are on disk, or neither. The
 * end returns 0 or negative errno: then nothing of it is stored. Inside another batch they do
 * nothing, and the events follow by themselves. */
void event_log_batch_begin(struct manager *m);
int event_log_batch_end(struct manager *m);
/* Called before events are written from the timer: rows that belong to them go first. */
void event_log_set_writer(struct manager *m, void (*fn)(void *userdata), void *userdata);

/* Facts as they are stored. Takes the first of *REST; false: there is none. */
bool event_fact_next(struct bytes *rest, struct event_fact *ret);

/* ---- for event-reader.c ---- */
const char *event_log_id(const struct manager *m);
int64_t event_log_last(const struct manager *m); /* the newest that is on disk; 0: none */
int64_t event_log_floor(const struct manager *m,
			uid_t peer); /* the newest that PEER cannot see any more */

struct event_listener {
	void (*on_events)(void *userdata); /* there are more; must not add or remove listeners */
	void *userdata;
	LIST_ENTRY(event_listener) link;
};
void event_log_listen(struct manager *m, struct event_listener *l);
void event_log_unlisten(struct event_listener *l);

int event_log_new(struct manager *m, struct event_log **ret);
void event_log_free(struct event_log *l); /* writes what is left; accepts NULL */
