/* SPDX-License-Identifier: Apache-2.0 */
/* The messages to and from a keeper.
 *
 * Calls are answered from the event loop only: a message that cannot be sent marks the keeper dead
 * through the wake event instead of calling back at once. A keeper that leaves a request unanswered
 * beyond its time is hung: it is killed, and another one takes its sandboxes over. */

#include <event2/event.h>
#include <string.h>

#include "bounds.h"
#include "sandbox/exec.h"
#include "sandbox/keeper-internal.h"
#include "sandbox/sandbox-internal.h"
#include "util/log.h"
#include "util/time.h"

#define KEEPER_LAYER_TIMEOUT_MS (15 * 60 * 1000)
#define KEEPER_OUTGOING_MAX 4096 /* messages that wait for a keeper which does not read */
#define KEEPER_CLOSING_MS 500

/* ---- sending ---- */

static void flush(struct keeper_client *k)
{
	struct keeper_outgoing *o;
	int r;

	while ((o = k->outgoing)) {
		r = wire_send(k->socket, o->message);
		if (r == -EAGAIN) {
			(void)event_add(&k->write_event, NULL); /* ENOMEM: the timer ends it */
			return;
		}
		if (r < 0) {
			keeper_die(k);
			return;
		}
		k->outgoing = o->next;
		wire_message_done(o->message);
		free(o->message);
		free(o);
	}
}

static void on_writable(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	flush(userdata);
}

/* Keeps a copy of REQUEST, whose fds go to the copy, at the end of the queue. */
static int enqueue(struct keeper_client *k, struct wire_message *request)
{
	size_t size = offsetof(struct wire_message, data) + request->size;
	struct keeper_outgoing *o = calloc(1, sizeof(*o)), **end;
	size_t n = 0;

	if (o)
		o->message = malloc(size);
	if (!o || !o->message) {
		free(o);
		return -ENOMEM;
	}
	for (end = &k->outgoing; *end; end = &(*end)->next)
		n++;
	if (n >= KEEPER_OUTGOING_MAX) {
		free(o->message);
		free(o);
		return -ENOBUFS;
	}
	memcpy(o->message, request, size);
	request->n_fds = 0;
	*end = o;
	(void)event_add(&k->write_event, NULL); /* ENOMEM: the timer ends it */
	return 0;
}

static int send_or_queue(struct keeper_client *k, struct wire_message *request)
{
	int r;

	if (k->state == KEEPER_STATE_CLOSING)
		r = -EPIPE; /* who wants something does not wait for its end */
	else
		r = k->outgoing ? -EAGAIN : wire_send(k->socket, request);
	if (r == -EAGAIN)
		return enqueue(k, request);
	wire_message_done(request);
	if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN) {
		keeper_die(k); /* answered -ECONNRESET with the rest */
		return 0;
	}
	return r;
}

static int64_t timeout_of(const struct wire_message *request)
{
	const struct wire_header *h = (const void *)request->data;
	const struct keeper_spool_finish *finish = (const void *)request->data;
	const struct keeper_create *create = (const void *)request->data;

	switch (h->type) {
	case KEEPER_LAYER_SAVE:
	case KEEPER_LAYER_REMOVE:
	case KEEPER_LAYER_COPY:
		return KEEPER_LAYER_TIMEOUT_MS;
	case KEEPER_ROOT_BUILD:
		return KEEPER_ROOT_BUILD_MS + (int64_t)2 * KEEPER_SLACK_MS;
	case KEEPER_STATS:
		return KEEPER_STATS_MAX_MS + KEEPER_SLACK_MS;
	case KEEPER_SPOOL_FINISH:
		return (int64_t)finish->wait_ms + KEEPER_CREATE_TIMEOUT_MS + KEEPER_SLACK_MS;
	case KEEPER_CREATE: /* the keeper takes one slack for a worker that hangs */
		return create->timeout_ms + (int64_t)2 * KEEPER_SLACK_MS;
	default:
		return KEEPER_CREATE_TIMEOUT_MS + KEEPER_SLACK_MS;
	}
}

static void set_timer(struct keeper_client *k)
{
	const struct keeper_pending *p;
	int64_t first = INT64_MAX, left;
	struct timeval delay;

	for (p = k->pending; p; p = p->next)
		if (p->deadline_ms < first)
			first = p->deadline_ms;
	if (first == INT64_MAX) {
		(void)event_del(&k->timer);
		return;
	}
	left = first - time_monotonic_ms();
	if (left < 0)
		left = 0;
	delay.tv_sec = left / 1000;
	delay.tv_usec = left % 1000 * 1000;
	(void)event_add(&k->timer, &delay); /* ENOMEM: a hung keeper is then noticed by nobody */
}

int keeper_client_call(struct keeper_client *k, struct wire_message *request, keeper_reply *done,
		       void *userdata)
{
	struct keeper_pending *p, **end;
	int r;

	if (k->state == KEEPER_STATE_DEAD) {
		wire_message_done(request);
		return -ECONNRESET;
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		wire_message_done(request);
		return -ENOMEM;
	}
	p->serial = ++k->last_serial;
	p->deadline_ms = time_monotonic_ms() + timeout_of(request);
	p->done = done;
	p->userdata = userdata;
	wire_head(request)->serial = p->serial;
	wire_head(request)->version = KEEPER_WIRE_VERSION;
	r = send_or_queue(k, request);
	if (r < 0) {
		wire_message_done(request);
		free(p);
		return r;
	}
	for (end = &k->pending; *end; end = &(*end)->next)
		;
	*end = p;
	if (k->state != KEEPER_STATE_DEAD && !evtimer_pending(&k->timer, NULL))
		set_timer(k);
	return 0;
}

static void on_timer(evutil_socket_t fd, short events, void *userdata)
{
	struct keeper_client *k = userdata;
	const struct keeper_pending *p;
	int64_t now = time_monotonic_ms();

	(void)fd;
	(void)events;
	if (k->state == KEEPER_STATE_CLOSING) {
		keeper_die(k);
		return;
	}
	for (p = k->pending; p; p = p->next) {
		if (p->deadline_ms > now)
			continue;
		log_error("the keeper of uid %u does not answer, killing it",
			  (unsigned)k->owner.uid);
		k->timed_out = true;
		keeper_die(k);
		return;
	}
	set_timer(k);
}

/* ---- receiving ---- */

static void take_reply(struct keeper_client *k, struct wire_message *m)
{
	struct keeper_pending **link, *p;
	int error = wire_head(m)->error;

	for (link = &k->pending; (p = *link); link = &p->next)
		if (p->serial == wire_head(m)->serial)
			break;
	if (!p) {
		log_warning("the keeper of uid %u answers what nobody asked, ignoring it",
			    (unsigned)k->owner.uid);
		return;
	}
	*link = p->next;
	p->done(k, error > 0 ? -EBADMSG : error, m, p->userdata);
	free(p);
}

static void take_event(struct keeper_client *k, struct wire_message *m)
{
	const struct keeper_spool_data *data = (const void *)m->data;
	const struct keeper_ended *ended = (const void *)m->data;
	const char *name;
	bool bad = false;

	if (wire_head(m)->type == KEEPER_SPOOL_DATA && m->size >= sizeof(*data)) {
		name = wire_string(m, data->exec, &bad);
		if (name)
			exec_on_spool_data(k->manager, name, data->streams);
	} else if (wire_head(m)->type == KEEPER_ENDED && m->size >= sizeof(*ended)) {
		name = wire_string(m, ended->id, &bad);
		if (name)
			sandbox_on_ended(k->manager, k, name, ended);
	}
}

/* It is tidying up and will end by itself; if not, the timer ends it. */
static void keeper_close(struct keeper_client *k)
{
	struct timeval delay = { .tv_usec = KEEPER_CLOSING_MS * 1000 };

	k->state = KEEPER_STATE_CLOSING;
	(void)event_del(&k->read_event);
	(void)event_del(&k->write_event);
	if (!k->child || event_add(&k->timer, &delay) < 0)
		keeper_die(k);
}

static void on_readable(evutil_socket_t fd, short events, void *userdata)
{
	struct keeper_client *k = userdata;
	struct wire_message *m = k->manager->keepers->incoming;
	unsigned budget = 64; /* others want their turn */
	int r;

	(void)events;
	while ((k->state == KEEPER_STATE_READY || k->state == KEEPER_STATE_STARTING) &&
	       budget-- > 0) {
		r = wire_receive(fd, m);
		if (r == -EAGAIN)
			return;
		if (r == -EMFILE)
			r = 1; /* our shortage: who waits for descriptors finds none */
		if (r <= 0 || wire_head(m)->version != KEEPER_WIRE_VERSION) {
			if (r > 0 && wire_head(m)->version != KEEPER_WIRE_VERSION)
				log_error("the keeper of uid %u speaks version %u, this sandboxd "
					  "version %d: another keeper takes its sandboxes over",
					  (unsigned)k->owner.uid, wire_head(m)->version,
					  KEEPER_WIRE_VERSION);
			else if (r != 0 && r != -ECONNRESET)
				log_warning("the keeper of uid %u sends nonsense, killing it",
					    (unsigned)k->owner.uid);
			if (r > 0)
				wire_message_done(m);
			keeper_close(k);
			return;
		}
		if (wire_head(m)->serial == 0)
			take_event(k, m);
		else
			take_reply(k, m);
		wire_message_done(m);
	}
}

/* ---- the connection ---- */

void keeper_calls_init(struct keeper_client *k)
{
	struct event_base *base = k->manager->base;

	event_assign(&k->read_event, base, -1, 0, on_readable, k);
	event_assign(&k->write_event, base, -1, 0, on_writable, k);
	evtimer_assign(&k->timer, base, on_timer, k);
}

int keeper_calls_watch(struct keeper_client *k)
{
	struct event_base *base = k->manager->base;

	if (event_assign(&k->read_event, base, k->socket, EV_READ | EV_PERSIST, on_readable, k) <
		    0 ||
	    event_assign(&k->write_event, base, k->socket, EV_WRITE, on_writable, k) < 0 ||
	    event_add(&k->read_event, NULL) < 0)
		return -ENOMEM;
	return 0;
}

void keeper_calls_stop(struct keeper_client *k)
{
	(void)event_del(&k->read_event);
	(void)event_del(&k->write_event);
	(void)event_del(&k->timer);
}

void keeper_calls_fail(struct keeper_client *k)
{
	struct keeper_pending *p;

	while ((p = k->pending)) {
		k->pending = p->next;
		p->done(k, k->timed_out ? -ETIMEDOUT : -ECONNRESET, NULL, p->userdata);
		free(p);
	}
}

void keeper_calls_free(struct keeper_client *k)
{
	struct keeper_outgoing *o;
	struct keeper_pending *p;

	while ((o = k->outgoing)) {
		k->outgoing = o->next;
		wire_message_done(o->message);
		free(o->message);
		free(o);
	}
	while ((p = k->pending)) {
		k->pending = p->next;
		free(p);
	}
	keeper_calls_stop(k);
	k->socket = close_fd(k->socket);
}
