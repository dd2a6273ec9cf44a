/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The body of an init's client, for init-client.c and init-send.c only. */

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "sandbox/init-client.h"

#define INIT_WATCH_BUCKETS 8 /* a power of two */

struct watch {
	LIST_ENTRY(watch) entry;
	uint64_t exec;
	int64_t sent_ms; /* CLOCK_MONOTONIC */
	const struct init_exec_watch *watch;
	void *userdata;
	bool started;
	bool exited;
	bool stranger;  /* of an earlier daemon, and nobody's: nobody is told */
	unsigned kills; /* INIT_KILL without GONE */
};

/* What an init knew before it was ours, until somebody takes it over. */
struct init_known {
	uint64_t exec;
	int32_t pid;
	bool exited;
	struct init_exited end;
};

LIST_HEAD(watch_list, watch);

/* MESSAGE is allocated only as long as its data. */
struct queued {
	STAILQ_ENTRY(queued) entry;
	struct wire_message *message;
};

struct init_client {
	struct event_base *base;
	int fd;
	struct event on_readable;
	struct event on_writable;
	struct event on_late;
	struct event on_broken; /* a send failed: told from the loop, not from inside the call */
	const struct init_client_watch *watch;
	void *userdata;
	struct watch_list watches[INIT_WATCH_BUCKETS];
	STAILQ_HEAD(, queued) queue;
	size_t queue_length;
	uint64_t next_exec;
	uint64_t next_serial;
	int64_t held_ms;      /* CLOCK_MONOTONIC: since when requests wait; 0: they do not */
	uint64_t stop_serial; /* of the STOP_ALL or CONT_ALL under way; 0: none */
	init_client_stopped *on_stopped;
	void *stop_userdata;
	init_client_answered *on_answered; /* a HELLO that asks whether it is there; NULL: none */
	void *ping_userdata;
	unsigned pings; /* without an answer */
	struct init_known *known;
	size_t n_known;
	bool answered; /* HELLO was: what it knows follows */
	bool ready;
	bool busy; /* a callback of the loop is running */
	bool dead; /* lost or freed: nothing is sent or told any more */
	bool freed;
};

/* ---- init-client.c ---- */
/* Watches EXEC, which has started. NULL: no memory. */
struct watch *init_watch_new(struct init_client *c, uint64_t exec);

/* ---- init-adopt.c ---- */
/* Notes what it knows. Returns 0 or negative errno. */
int init_known_running(struct init_client *c, const struct init_running *r);
int init_known_exited(struct init_client *c, const struct init_exited *e);

/* ---- init-send.c ---- */
/* Sends or queues M; its descriptors are closed or kept with the queue, whatever happens. -ENOBUFS:
 * too much waits and it MAY_REFUSE. */
int init_post(struct init_client *c, struct wire_message *m, bool may_refuse);
/* A request without descriptors: a fixed struct, sent without the big message unless it must
 * wait. */
int init_post_small(struct init_client *c, struct wire_header *h, uint16_t type, size_t size,
		    bool may_refuse);
void init_begin_small(struct init_client *c, struct wire_header *h, uint16_t type, size_t size);
/* Past the queue. */
int init_send_small(struct init_client *c, const struct wire_header *h);
void init_on_writable(evutil_socket_t fd, short what, void *userdata);
void init_drop_queue(struct init_client *c);
