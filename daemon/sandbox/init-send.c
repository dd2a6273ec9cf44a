/* SPDX-License-Identifier: Apache-2.0 */
/* What init is told goes out at once; while the socket is full it waits in a queue. What a client
 * can provoke without end (signals) is refused when INIT_QUEUE_MAX of them wait; kills and
 * acknowledgements are bounded by the number of execs. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "macro.h"
#include "sandbox/init-internal.h"

#define INIT_QUEUE_MAX 1024 /* requests waiting because init does not read */

static void queued_free(struct queued *q)
{
	wire_message_done(q->message);
	explicit_bzero(q->message->data, q->message->size); /* there may be secrets in it */
	free(q->message);
	free(q);
}

void init_drop_queue(struct init_client *c)
{
	struct queued *q;

	while ((q = STAILQ_FIRST(&c->queue))) {
		STAILQ_REMOVE_HEAD(&c->queue, entry);
		queued_free(q);
	}
	c->queue_length = 0;
}

static int enqueue(struct init_client *c, struct wire_message *m)
{
	struct queued *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->message = malloc(offsetof(struct wire_message, data) + m->size);
	if (!q->message) {
		free(q);
		return -ENOMEM;
	}
	q->message->size = m->size;
	q->message->n_fds = m->n_fds;
	memcpy(q->message->fds, m->fds, sizeof(m->fds));
	memcpy(q->message->data, m->data, m->size);
	m->n_fds = 0;
	STAILQ_INSERT_TAIL(&c->queue, q, entry);
	c->queue_length++;
	if (c->held_ms == 0)
		(void)event_add(&c->on_writable, NULL); /* no memory: init's next word wakes us */
	return 0;
}

void init_on_writable(evutil_socket_t fd, short what, void *userdata)
{
	struct init_client *c = userdata;
	struct queued *q;
	int r;

	(void)fd;
	(void)what;
	while (c->held_ms == 0 && (q = STAILQ_FIRST(&c->queue))) {
		r = wire_send(c->fd, q->message);
		if (r == -EAGAIN) {
			(void)event_add(&c->on_writable, NULL); /* as in enqueue() */
			return;
		}
		if (r < 0) {
			event_active(&c->on_broken, 0, 0);
			return;
		}
		STAILQ_REMOVE_HEAD(&c->queue, entry);
		c->queue_length--;
		queued_free(q);
	}
}

/* Whether a request may go out at once. */
static bool is_clear(const struct init_client *c)
{
	return c->held_ms == 0 && STAILQ_EMPTY(&c->queue);
}

int init_post(struct init_client *c, struct wire_message *m, bool may_refuse)
{
	int r;

	if (c->dead) {
		wire_message_done(m);
		return -ECONNRESET;
	}
	wire_head(m)->serial = ++c->next_serial;
	r = is_clear(c) ? wire_send(c->fd, m) : -EAGAIN;
	if (r == -EAGAIN) {
		if (may_refuse && c->queue_length >= INIT_QUEUE_MAX)
			r = -ENOBUFS;
		else
			r = enqueue(c, m);
	} else if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN) {
		event_active(&c->on_broken, 0, 0);
	}
	wire_message_done(m);
	return r;
}

void init_begin_small(struct init_client *c, struct wire_header *h, uint16_t type, size_t size)
{
	h->version = INIT_WIRE_VERSION;
	h->type = type;
	h->size = (uint32_t)size;
	h->serial = ++c->next_serial;
}

int init_send_small(struct init_client *c, const struct wire_header *h)
{
	ssize_t n;
	int r;

	do
		n = send(c->fd, h, h->size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	r = n < 0 ? -errno : 0;
	if (r < 0 && r != -EAGAIN)
		event_active(&c->on_broken, 0, 0);
	return r;
}

int init_post_small(struct init_client *c, struct wire_header *h, uint16_t type, size_t size,
		    bool may_refuse)
{
	struct wire_message *m;
	int r;

	if (c->dead)
		return -ECONNRESET;
	init_begin_small(c, h, type, size);
	if (is_clear(c)) {
		r = init_send_small(c, h);
		if (r != -EAGAIN)
			return r;
	}
	if (may_refuse && c->queue_length >= INIT_QUEUE_MAX)
		return -ENOBUFS;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	memcpy(m->data, h, size);
	m->size = size;
	m->n_fds = 0;
	r = enqueue(c, m);
	free(m);
	return r;
}

int init_client_put_file(struct init_client *c, const struct init_put_file *request, int data)
{
	struct wire_message *m = malloc(sizeof(*m));
	int r;

	if (!m) {
		(void)close_fd(data);
		return -ENOMEM;
	}
	m->size = sizeof(*request);
	m->n_fds = 0;
	memcpy(m->data, request, sizeof(*request));
	wire_head(m)->version = INIT_WIRE_VERSION;
	wire_head(m)->type = INIT_PUT_FILE;
	if (data >= 0)
		(void)wire_add_fd(m, data); /* the first one fits */
	r = init_post(c, m, true);
	free(m);
	return r;
}

int init_client_drop_file(struct init_client *c, const struct init_drop_file *request)
{
	struct init_drop_file m = *request;

	return init_post_small(c, &m.header, INIT_DROP_FILE, sizeof(m), false);
}
