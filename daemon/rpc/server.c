/* SPDX-License-Identifier: Apache-2.0 */
/* The listener and what all connections share.
 *
 * The server owns its connections until they are reaped. The reap is a timer of zero of the
 * server's: no connection is taken apart below one of its own callbacks. A listener that runs out
 * of descriptors stays readable and would spin (measured: 300 000 callbacks in 200 ms), so it
 * pauses. */

#include "rpc/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds.h"
#include "codec.h"
#include "macro.h"
#include "rpc/conn.h"
#include "rpc/internal.h"
#include "util/dispose.h"
#include "util/log.h"

#define ACCEPTS_PER_TURN 32

/* ---- reaping ---- */

void server_reap_later(struct server *s, struct conn *c)
{
	static const struct timeval now = { 0, 0 };

	if (c->to_reap)
		return;
	c->to_reap = true;
	LIST_INSERT_HEAD(&s->to_reap, c, reap_link);
	if (!evtimer_pending(s->reap, NULL))
		(void)evtimer_add(s->reap, &now); /* fails only without memory for a slot */
}

static void on_reap(evutil_socket_t fd, short what, void *userdata)
{
	struct server *s = userdata;
	struct conn *c;

	(void)fd;
	(void)what;
	while ((c = LIST_FIRST(&s->to_reap))) {
		LIST_REMOVE(c, reap_link);
		c->to_reap = false;
		conn_reap(c, false);
	}
}

/* ---- accepting ---- */

/* One line to a peer that does not become a connection. */
static void turn_away(int fd, const struct error *e)
{
	CLEANUP_BUFFER struct buffer line = { 0 };

	if (codec_add_error(&line, NULL, e) == 0 && buffer_add(&line, "\n", 1) == 0)
		(void)send(fd, buffer_data(&line), buffer_size(&line),
			   MSG_DONTWAIT | MSG_NOSIGNAL); /* it may not listen: its loss */
	(void)dispose_connection(fd);
}

static size_t connections_of(const struct server *s, uid_t uid)
{
	struct conn *c;
	size_t n = 0;

	LIST_FOREACH (c, &s->conns, link) {
		n += !conn_is_dead(c) && conn_uid(c) == uid;
	}
	return n;
}

bool server_is_overfull(const struct server *s, const struct conn *c)
{
	const struct conn *other;
	size_t n = 0;

	if (c->uid == 0)
		return false;
	LIST_FOREACH (other, &s->conns, link) {
		if (other->uid == c->uid)
			n += buffer_size(&other->in) + buffer_size(&other->out);
	}
	return n > RPC_BUFFERED_PER_UID_MAX;
}

static int check_peer(const struct server *s, const struct ucred *peer, struct error *reterr)
{
	if (s->config.admit && !s->config.admit(peer->uid, peer->pid, s->config.userdata))
		return error_set(reterr, ERROR_DENIED, NULL, NULL,
				 "this process may not use this socket");
	if (s->connections >= RPC_CONNECTIONS_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, NULL,
				 "the daemon has %d connections already", RPC_CONNECTIONS_MAX);
	if (peer->uid != 0 && connections_of(s, peer->uid) >= RPC_CONNECTIONS_PER_UID_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, NULL,
				 "user %u has %d connections already", (unsigned)peer->uid,
				 RPC_CONNECTIONS_PER_UID_MAX);
	return 0;
}

static void welcome(struct server *s, int fd)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	struct conn *c;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		(void)log_errno(LOG_LEVEL_WARNING, -errno, "asking who connects, ignoring them");
		close_fd(fd);
		return;
	}
	if (check_peer(s, &peer, &e) < 0) {
		turn_away(fd, &e);
		return;
	}
	r = conn_new(&c, s, fd, &peer);
	if (r < 0)
		(void)log_errno(LOG_LEVEL_WARNING, r, "making a connection, ignoring it");
}

static void pause_accepting(struct server *s, int error_number)
{
	static const struct timeval pause = { 0, RPC_ACCEPT_RETRY_MS * 1000 };

	if (log_ratelimit())
		(void)log_errno(LOG_LEVEL_WARNING, -error_number,
				"accepting, trying again in %d ms", RPC_ACCEPT_RETRY_MS);
	(void)event_del(s->accept);
	(void)evtimer_add(s->retry, &pause);
}

static void on_retry(evutil_socket_t fd, short what, void *userdata)
{
	struct server *s = userdata;

	(void)fd;
	(void)what;
	if (s->accept)
		(void)event_add(s->accept, NULL);
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *userdata)
{
	struct server *s = userdata;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4((int)listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		int error_number = errno;

		if (fd >= 0) {
			welcome(s, fd);
			continue;
		}
		if (error_number == EINTR || error_number == ECONNABORTED)
			continue;
		if (error_number != EAGAIN)
			pause_accepting(s, error_number);
		return;
	}
}

/* ---- life ---- */

int server_new(struct server **ret, const struct server_config *config)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		close_fd(config->listen_fd);
		return -ENOMEM;
	}
	s->config = *config;
	s->read_buffer = malloc(SERVER_READ_SIZE);
	s->accept =
		event_new(config->base, config->listen_fd, EV_READ | EV_PERSIST, on_acceptable, s);
	s->retry = evtimer_new(config->base, on_retry, s);
	s->reap = evtimer_new(config->base, on_reap, s);
	if (!s->read_buffer || !s->accept || !s->retry || !s->reap || codec_new(&s->codec) < 0 ||
	    event_add(s->accept, NULL) < 0) {
		server_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

static void free_event(struct event **e)
{
	if (*e)
		event_free(*e);
	*e = NULL;
}

void server_stop_accepting(struct server *s)
{
	free_event(&s->accept);
	if (s->retry)
		(void)event_del(s->retry);
	s->config.listen_fd = close_fd(s->config.listen_fd);
}

void server_free(struct server *s)
{
	struct conn *c;

	if (!s)
		return;
	server_stop_accepting(s);
	while ((c = LIST_FIRST(&s->conns))) {
		conn_kill(c);
		conn_reap(c, true);
	}
	free_event(&s->retry);
	free_event(&s->reap);
	codec_free(s->codec);
	free(s->discover);
	free(s->read_buffer);
	free(s);
}

/* ---- facts ---- */

size_t server_connection_count(const struct server *s)
{
	return s->connections;
}

size_t server_requests_in_flight(const struct server *s)
{
	return s->in_flight;
}

bool server_is_flushed(const struct server *s)
{
	struct conn *c;

	LIST_FOREACH (c, &s->conns, link) {
		if (!conn_is_dead(c) && !conn_is_flushed(c))
			return false;
	}
	return true;
}
