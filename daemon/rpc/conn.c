/* SPDX-License-Identifier: Apache-2.0 */
/* One client.
 *
 * Ownership. The server holds the first reference, until the reap; each request in flight holds
 * one. So a connection outlives its socket for as long as somebody may still answer it. conn_kill()
 * only marks and disables; the reap runs in an event of the server's, never below a callback of the
 * connection, and tells the requests, closes the descriptors and drops the server's reference.
 *
 * Input. A read goes to the server's buffer and lines are understood there, without a copy; only an
 * incomplete line moves to `in`. Reading stops while more than RPC_OUTPUT_HIGH bytes are unsent or
 * RPC_IN_FLIGHT_MAX requests are unanswered; lines that were read already wait in `in` (`backlog`).
 *
 * Output. Lines are appended to `out` and leave together: at the end of the event that made them,
 * or in the `work` event when they were made elsewhere. EV_WRITE is armed only when the socket is
 * full.
 *
 * Channels (channel.h) hold a reference each, too, and are told by the reap.
 *
 * `work` is a timer of zero, not an active event: the loop looks at the other descriptors before it
 * runs, so that two busy clients cannot starve the rest. */

#include "rpc/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds.h"
#include "codec.h"
#include "macro.h"
#include "rpc/internal.h"
#include "util/dispose.h"

/* The kernel sends at most SCM_MAX_FD with one message. */
#define RPC_OVERFULL_FROM (512u * 1024) /* a connection with less is none of those to blame */
#define CONTROL_SIZE CMSG_SPACE(253 * sizeof(int))

static void schedule(struct conn *c)
{
	static const struct timeval now = { 0, 0 };

	if (c->work && !evtimer_pending(c->work, NULL))
		(void)evtimer_add(c->work, &now); /* fails only without memory for a timer slot */
}

void conn_kill(struct conn *c)
{
	if (c->dead)
		return;
	c->dead = true;
	(void)event_del(c->read);
	(void)event_del(c->write);
	(void)evtimer_del(c->work);
	if (c->hangup)
		(void)event_del(c->hangup);
	c->server->connections--;
	server_reap_later(c->server, c);
}

/* ---- requests ---- */

void conn_add_request(struct conn *c, struct request *r)
{
	LIST_INSERT_HEAD(&c->requests, r, link);
	c->in_flight++;
	if (c->server)
		c->server->in_flight++;
}

void conn_remove_request(struct conn *c, struct request *r)
{
	LIST_REMOVE(r, link);
	if (c->server)
		c->server->in_flight--;
	/* Either we paused for this, or the client has hung up half and waits for the last. */
	if (c->in_flight-- == RPC_IN_FLIGHT_MAX || c->end)
		if (!c->dead)
			schedule(c);
}

struct request *conn_find_request(const struct conn *c, struct json_object *id)
{
	struct request *r;

	LIST_FOREACH (r, &c->requests, link) {
		if (r->id && codec_id_equal(r->id, id))
			return r;
	}
	return NULL;
}

/* Calls FN for each request. FN may end any of them: those still to be visited wait in a list of
 * their own, from which they can vanish like from the other. */
static void each_request(struct conn *c, void (*fn)(struct request *r))
{
	struct request_list waiting = c->requests;
	struct request *r;

	if (LIST_EMPTY(&waiting))
		return;
	LIST_FIRST(&waiting)->link.le_prev = &waiting.lh_first;
	LIST_INIT(&c->requests);
	while ((r = LIST_FIRST(&waiting))) {
		LIST_REMOVE(r, link);
		LIST_INSERT_HEAD(&c->requests, r, link);
		fn(r);
	}
}

void conn_tell_later(struct conn *c)
{
	if (c->server)
		server_reap_later(c->server, c);
}

/* ---- output ---- */

static void flush(struct conn *c)
{
	while (!c->dead && buffer_size(&c->out) > 0) {
		ssize_t n = send(c->fd, buffer_data(&c->out), buffer_size(&c->out),
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (event_add(c->write, NULL) < 0)
				conn_kill(c);
			return;
		}
		if (n < 0) {
			conn_kill(c); /* EPIPE, ECONNRESET: the client is gone */
			return;
		}
		buffer_consume(&c->out, (size_t)n);
	}
	if (conn_is_flushed(c))
		c->out.wipes = false;
}

struct buffer *conn_begin_line(struct conn *c)
{
	return c->dead ? NULL : &c->out;
}

void conn_commit_line(struct conn *c, int r)
{
	if (c->dead)
		return;
	if (r == 0)
		r = buffer_add(&c->out, "\n", 1);
	/* An answer that cannot be kept must not be missed in silence. */
	if (r < 0 || buffer_size(&c->out) > RPC_OUTPUT_MAX ||
	    (buffer_size(&c->out) > RPC_OVERFULL_FROM && c->server &&
	     server_is_overfull(c->server, c))) {
		conn_kill(c);
		return;
	}
	if (buffer_size(&c->out) > RPC_OUTPUT_HIGH)
		c->congested = true;
	schedule(c);
}

static void refuse(struct conn *c, const struct error *e)
{
	struct buffer *out = conn_begin_line(c);

	if (out)
		conn_commit_line(c, codec_add_error(out, NULL, e));
}

/* The client's descriptors cannot be told apart any more. */
static void end_with(struct conn *c, const struct error *e)
{
	fd_queue_close(&c->fds);
	refuse(c, e);
	flush(c);
	conn_kill(c);
}

void conn_refuse_line(struct conn *c, const struct error *e)
{
	if (c->fds.count > 0)
		end_with(c, e);
	else
		refuse(c, e);
}

/* ---- input ---- */

static bool is_paused(const struct conn *c)
{
	return c->congested || c->in_flight >= RPC_IN_FLIGHT_MAX;
}

static void refuse_long_line(struct conn *c)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_INVALID_REQUEST, NULL, "system.info.limits has the limits",
			"the line is longer than %u bytes", RPC_LINE_MAX);
	conn_refuse_line(c, &e);
}

static void take_line(struct conn *c, const char *line, size_t size)
{
	if (c->skipping || size > RPC_LINE_MAX) {
		c->skipping = false;
		refuse_long_line(c);
	} else {
		dispatch_line(c, line, size);
	}
}

/* Understands whole lines of DATA until it must pause. Returns how many bytes are done with. */
static size_t take_lines(struct conn *c, const char *data, size_t size)
{
	size_t at = 0;

	c->backlog = false;
	while (!c->dead && at < size) {
		const char *end;

		if (is_paused(c)) {
			c->backlog = true;
			return at;
		}
		end = memchr(data + at + c->scanned, '\n', size - at - c->scanned);
		if (!end) {
			c->scanned = size - at;
			break;
		}
		c->scanned = 0;
		take_line(c, data + at, (size_t)(end - data) - at);
		at = (size_t)(end - data) + 1;
	}
	if (c->skipping || c->scanned > RPC_LINE_MAX) {
		c->skipping = true;
		c->scanned = 0;
		at = size;
	}
	return at;
}

static void refuse_more(struct conn *c)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_LIMIT_REACHED, NULL, "end some of them, or send less at a time",
			"the connections of user %u hold more than %u bytes", (unsigned)c->uid,
			RPC_BUFFERED_PER_UID_MAX);
	end_with(c, &e);
}

static void take_input(struct conn *c, const char *data, size_t size)
{
	size_t done = 0;
	int r;

	if (buffer_size(&c->in) == 0) {
		done = take_lines(c, data, size);
		r = buffer_add(&c->in, data + done, size - done);
	} else {
		r = buffer_add(&c->in, data, size);
		if (r == 0) {
			done = take_lines(c, buffer_data(&c->in), buffer_size(&c->in));
			buffer_consume(&c->in, done);
		}
	}
	if (r < 0)
		conn_kill(c);
	else if (buffer_size(&c->in) > RPC_OVERFULL_FROM && server_is_overfull(c->server, c))
		refuse_more(c);
}

static void take_backlog(struct conn *c)
{
	size_t done;

	if (!c->backlog || c->dead)
		return;
	done = take_lines(c, buffer_data(&c->in), buffer_size(&c->in));
	buffer_consume(&c->in, done);
}

/* End of file: the client has closed, or has only shut its sending side down and still reads
 * (`… | nc -NU`). */
static void on_end(struct conn *c)
{
	struct pollfd p = { .fd = c->fd };

	c->end = true;
	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		conn_kill(c);
}

static void receive(struct conn *c)
{
	_Alignas(struct cmsghdr) char control[CONTROL_SIZE];
	struct iovec iov = { c->server->read_buffer, SERVER_READ_SIZE };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	CLEANUP_ERROR struct error e = { 0 };

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		conn_kill(c);
		return;
	}
	if (m.msg_controllen > 0 && fd_queue_receive(&c->fds, &m) < 0) {
		(void)error_set(&e, ERROR_INVALID_REQUEST, "fds", NULL,
				"more than %d descriptors are waiting", RPC_FDS_MAX);
		end_with(c, &e);
		return;
	}
	if (n == 0)
		on_end(c);
	else
		take_input(c, c->server->read_buffer, (size_t)n);
	if (n > 0)
		explicit_bzero(c->server->read_buffer, (size_t)n); /* it may be a secret */
}

/* ---- events ---- */

static void on_hangup(evutil_socket_t fd, short what, void *userdata)
{
	struct conn *c = userdata;
	struct pollfd p = { .fd = (int)fd };

	(void)what;
	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR))
		conn_kill(c);
}

/* While we do not read, only this tells that the client is gone. Edge-triggered, because half a
 * hangup stays true for ever; and on a duplicate, because libevent cannot have both triggers on one
 * descriptor. Without a spare descriptor the end is noticed when reading or writing goes on. */
static void watch_hangup(struct conn *c, bool on)
{
	if (!on) {
		if (c->hangup)
			(void)event_del(c->hangup);
		return;
	}
	if (!c->hangup) {
		c->hangup_fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
		if (c->hangup_fd >= 0)
			c->hangup = event_new(c->server->config.base, c->hangup_fd,
					      EV_CLOSED | EV_ET | EV_PERSIST, on_hangup, c);
	}
	if (c->hangup && !event_pending(c->hangup, EV_CLOSED, NULL))
		(void)event_add(c->hangup, NULL);
}

/* Fewer bytes wait than RPC_OUTPUT_LOW: whoever was told to stop may go on. */
static void relieve(struct conn *c)
{
	if (!c->congested || buffer_size(&c->out) >= RPC_OUTPUT_LOW)
		return;
	c->congested = false;
	each_request(c, request_tell_drain);
	channels_tell_drain(c);
	if (c->backlog)
		schedule(c);
}

/* The end of every event: sends what was made, then decides what to wait for. */
static void settle(struct conn *c)
{
	bool reading;

	if (!c->dead && !event_pending(c->write, EV_WRITE, NULL))
		flush(c);
	if (!c->dead)
		relieve(c);
	if (c->dead)
		return;
	reading = !c->end && !is_paused(c);
	if (!reading)
		(void)event_del(c->read);
	else if (!event_pending(c->read, EV_READ, NULL) && event_add(c->read, NULL) < 0)
		conn_kill(c);
	watch_hangup(c, !reading);
	if (c->backlog && !is_paused(c))
		schedule(c);
	if (c->end && !c->backlog && c->in_flight == 0 && LIST_EMPTY(&c->channels) &&
	    conn_is_flushed(c))
		conn_kill(c);
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct conn *c = userdata;

	(void)fd;
	(void)what;
	receive(c);
	settle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *userdata)
{
	struct conn *c = userdata;

	(void)fd;
	(void)what;
	settle(c);
}

static void on_work(evutil_socket_t fd, short what, void *userdata)
{
	struct conn *c = userdata;

	(void)fd;
	(void)what;
	take_backlog(c);
	settle(c);
}

/* ---- life ---- */

static void free_events(struct conn *c)
{
	struct event **events[] = { &c->read, &c->write, &c->hangup, &c->work };

	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (*events[i])
			event_free(*events[i]);
		*events[i] = NULL;
	}
}

static void close_all(struct conn *c)
{
	free_events(c);
	fd_queue_close(&c->fds);
	c->hangup_fd = close_fd(c->hangup_fd);
	c->fd = dispose_connection(c->fd);
	buffer_deinit(&c->in);
	buffer_deinit(&c->out);
}

int conn_new(struct conn **ret, struct server *s, int fd, const struct ucred *peer)
{
	struct event_base *base = s->config.base;
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close_fd(fd);
		return -ENOMEM;
	}
	c->refs = 1;
	c->fd = fd;
	c->hangup_fd = -1;
	c->in.wipes = true;
	c->uid = peer->uid;
	c->pid = peer->pid;
	c->read = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->write = event_new(base, fd, EV_WRITE, on_writable, c);
	c->work = evtimer_new(base, on_work, c);
	if (!c->read || !c->write || !c->work || event_add(c->read, NULL) < 0) {
		close_all(c);
		free(c);
		return -ENOMEM;
	}
	c->server = s;
	LIST_INSERT_HEAD(&s->conns, c, link);
	s->connections++;
	*ret = c;
	return 0;
}

struct conn *conn_ref(struct conn *c)
{
	c->refs++;
	return c;
}

struct conn *conn_unref(struct conn *c)
{
	if (--c->refs > 0)
		return NULL;
	if (c->server) {
		LIST_REMOVE(c, link);
		if (c->to_reap)
			LIST_REMOVE(c, reap_link);
	}
	close_all(c);
	free(c);
	return NULL;
}

void conn_reap(struct conn *c, bool last)
{
	conn_ref(c);
	each_request(c, request_tell_disconnect);
	channels_tell_closed(c);
	if (!c->reaped) {
		c->reaped = true;
		close_all(c);
		conn_unref(c);
	}
	if (last) {
		LIST_REMOVE(c, link);
		if (c->to_reap)
			LIST_REMOVE(c, reap_link);
		c->server = NULL;
	}
	conn_unref(c);
}

/* ---- facts ---- */

struct server *conn_server(const struct conn *c)
{
	return c->server;
}

uid_t conn_uid(const struct conn *c)
{
	return c->uid;
}

pid_t conn_pid(const struct conn *c)
{
	return c->pid;
}

bool conn_is_dead(const struct conn *c)
{
	return c->dead;
}

bool conn_is_congested(const struct conn *c)
{
	return c->congested;
}

bool conn_is_flushed(const struct conn *c)
{
	return buffer_size(&c->out) == 0;
}

int conn_take_fds(struct conn *c, int *fds, size_t n)
{
	return fd_queue_take(&c->fds, fds, n);
}
