/* SPDX-License-Identifier: Apache-2.0 */
/* Two long-lived message buffers, since a wire_message is too large for a stack. */

#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "keeper-wire.h"
#include "macro.h"

#define CONNECTIONS_MAX 0xffff /* then they begin again at 1 */

struct queued {
	struct queued *next;
	size_t size;
	size_t n_fds;
	int fds[WIRE_FDS_MAX];
	uint8_t data[];
};

static void pop(struct link *k)
{
	struct queued *q = k->head;
	size_t i;

	k->head = q->next;
	if (!k->head)
		k->tail = &k->head;
	for (i = 0; i < q->n_fds; i++)
		(void)close_fd(q->fds[i]);
	free(q);
	k->n_queued--;
}

static void disconnect(struct link *k)
{
	k->closed = true;
	loop_forget(k->loop, &k->watch);
	while (k->head)
		pop(k);
	k->fd = close_fd(k->fd);
}

static void close_link(struct link *k)
{
	if (k->closed)
		return;
	disconnect(k);
	k->on_closed(k->userdata);
}

static void update_events(struct link *k)
{
	uint32_t events = (k->n_queued < LINK_QUEUE_MAX ? (uint32_t)EPOLLIN : 0) |
			  (k->head ? (uint32_t)EPOLLOUT : 0);

	if (k->closed || events == k->events)
		return;
	k->events = events;
	(void)loop_change(k->loop, &k->watch, events); /* it is registered */
}

static int send_queued(struct link *k)
{
	int r;

	while (k->head) {
		k->out->size = k->head->size;
		k->out->n_fds = k->head->n_fds;
		memcpy(k->out->data, k->head->data, k->head->size);
		memcpy(k->out->fds, k->head->fds, sizeof(k->head->fds));
		r = wire_send(k->fd, k->out);
		k->out->n_fds = 0; /* the queue owns them */
		if (r < 0)
			return r;
		pop(k);
	}
	return 0;
}

static void on_ready(void *userdata, uint32_t events)
{
	struct link *k = userdata;
	int r;

	if (events & EPOLLOUT) {
		r = send_queued(k);
		if (r < 0 && r != -EAGAIN) {
			close_link(k);
			return;
		}
		update_events(k);
		if (!k->head)
			k->on_writable(k->userdata);
	}
	if ((events & ~(uint32_t)EPOLLOUT) == 0)
		return;
	r = wire_receive(k->fd, k->in);
	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		close_link(k);
		return;
	}
	wire_head(k->in)->serial =
		wire_head(k->in)->serial % KEEPER_SERIAL_END + k->connection * KEEPER_SERIAL_END;
	k->on_request(k->userdata, k->in);
	wire_message_done(k->in);
}

static int watch(struct link *k, int fd)
{
	k->fd = fd;
	k->watch = (struct watch){ .fd = fd, .on_ready = on_ready, .userdata = k };
	k->events = EPOLLIN;
	k->connection = k->connection % CONNECTIONS_MAX + 1;
	return loop_watch(k->loop, &k->watch, k->events);
}

int link_init(struct link *k, struct loop *loop, int fd)
{
	k->loop = loop;
	k->tail = &k->head;
	k->in = calloc(1, sizeof(*k->in));
	k->out = calloc(1, sizeof(*k->out));
	k->fd = fd;
	if (!k->in || !k->out)
		return -ENOMEM;
	return watch(k, fd);
}

int link_replace(struct link *k, int fd)
{
	int r;

	if (!k->closed)
		disconnect(k);
	r = watch(k, fd);
	if (r < 0)
		k->fd = close_fd(fd);
	else
		k->closed = false;
	return r;
}

void link_deinit(struct link *k)
{
	while (k->head)
		pop(k);
	free(k->in);
	free(k->out);
	k->in = k->out = NULL;
	k->fd = close_fd(k->fd);
}

struct wire_message *link_begin(struct link *k, uint16_t type, uint64_t serial, size_t struct_size)
{
	wire_begin(k->out, KEEPER_WIRE_VERSION, type, serial, struct_size);
	return k->out;
}

/* Copies the message being built to the end of the queue. */
static int enqueue(struct link *k)
{
	struct wire_message *m = k->out;
	struct queued *q = malloc(sizeof(*q) + m->size);

	if (!q)
		return -ENOMEM;
	q->next = NULL;
	q->size = m->size;
	q->n_fds = m->n_fds;
	memcpy(q->fds, m->fds, sizeof(q->fds));
	memcpy(q->data, m->data, m->size);
	m->n_fds = 0;
	*k->tail = q;
	k->tail = &q->next;
	k->n_queued++;
	return 0;
}

/* Events have serial 0. What an earlier connection asked is not for this one. */
static bool is_for_this_connection(struct link *k)
{
	const uint64_t serial = wire_head(k->out)->serial;

	wire_head(k->out)->serial = serial % KEEPER_SERIAL_END;
	return serial == 0 || serial / KEEPER_SERIAL_END == k->connection;
}

void link_send(struct link *k)
{
	int r = -EPIPE;

	if (!k->closed && is_for_this_connection(k))
		r = k->head ? -EAGAIN : wire_send(k->fd, k->out);
	/* any other error is seen as the end of the connection when it is read */
	if (r == -EAGAIN && enqueue(k) == 0)
		update_events(k);
	wire_message_done(k->out);
}

bool link_busy(const struct link *k)
{
	return k->closed || k->head;
}

void link_reply(struct link *k, uint16_t type, uint64_t serial, int error)
{
	struct wire_message *m = link_begin(k, type, serial, sizeof(struct wire_header));

	wire_head(m)->error = error;
	link_send(k);
}

void link_reply_text(struct link *k, uint16_t type, uint64_t serial, int error,
		     struct link_text text)
{
	struct wire_message *m = link_begin(k, type, serial, text.struct_size);

	wire_head(m)->error = error;
	if (text.text && text.text[0] != '\0')
		(void)wire_add_string(m, text.at, text.text); /* it is short */
	link_send(k);
}
