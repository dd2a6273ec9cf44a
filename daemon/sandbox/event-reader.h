/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Somebody's place in the event log: what he may see and asked for, from his cursor on, as fast as
 * he takes it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "params.h"

struct event_reader;
struct manager;

#define EVENT_CURSOR_SIZE 32

/* One event; borrowed. NULL: absent. */
struct event_seen {
	const char *cursor; /* behind it */
	int64_t at_ms;      /* CLOCK_REALTIME */
	const char *type;
	const char *loop_id;
	const char *sandbox;
	const char *exec_id;
	struct bytes facts; /* event_fact_next() */
};

struct event_sink {
	bool (*wants)(void *userdata); /* false: no more now */
	void (*on_event)(const struct event_seen *e, void *userdata);
	/* first and last that he will never see */
	void (*on_gap)(const char *from, const char *to, void *userdata);
};

/* What PEER subscribes to: P is copied. Returns 0, or -1 with *RETERR: a cursor from before what is
 * kept is INVALID_STATE with its oldest set. */
int event_reader_new(struct event_reader **ret, struct manager *m, uid_t peer,
		     const struct events_subscribe_params *p, struct error *reterr);
void event_reader_free(struct event_reader *r); /* accepts NULL */

/* Where it stands. */
void event_reader_cursor(const struct event_reader *r, char cursor[static EVENT_CURSOR_SIZE]);

/* Hands over a piece of what there is. Returns whether there may be more at once. */
bool event_reader_read(struct event_reader *r, const struct event_sink *sink, void *userdata);
