/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one connection to sandboxd, or none: then what is sent is dropped. Never blocks: what does
 * not fit the socket is queued, and while much is queued no further request is read. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "wire.h"

#define LINK_QUEUE_MAX 256 /* replies waiting before requests are no longer read */

struct queued;

struct link {
	struct loop *loop;
	int fd;
	struct watch watch;
	struct wire_message *in;
	struct wire_message *out;
	struct queued *head;
	struct queued **tail;
	size_t n_queued;
	uint32_t events;
	uint64_t connection; /* how many there were: part of each serial, so that what an earlier
				one asked is not answered to this one */
	bool closed;
	void (*on_request)(void *userdata, struct wire_message *m);
	void (*on_writable)(void *userdata); /* the queue has become empty */
	void (*on_closed)(void *userdata);
	void *userdata;
};

/* Takes the connected socket FD over. */
int link_init(struct link *k, struct loop *loop, int fd);
/* The connection becomes FD, which is taken over; one that is open is closed. Returns 0 or negative
 * errno: then there is none. */
int link_replace(struct link *k, int fd);
void link_deinit(struct link *k);

/* Starts a message; the same buffer each time, until link_send(). */
struct wire_message *link_begin(struct link *k, uint16_t type, uint64_t serial, size_t struct_size);
/* Sends or queues what was begun; its descriptors are taken over. */
void link_send(struct link *k);
/* Whether link_send() would queue: events that can be merged wait instead. */
bool link_busy(const struct link *k);

/* Replies without more than a header, or with one string (at byte AT of the struct). */
void link_reply(struct link *k, uint16_t type, uint64_t serial, int error);
struct link_text {
	size_t struct_size;
	size_t at;
	const char *text;
};
void link_reply_text(struct link *k, uint16_t type, uint64_t serial, int error,
		     struct link_text text);
