/* SPDX-License-Identifier: Apache-2.0 */
/* A keeper that dies while a runtime sets a sandbox up leaves a process that nobody knows the pid
 * of and the next keeper, in a user namespace of its own, may not kill: a runtime that goes on, or
 * an init that waits for us. Both have init's socket, so we connect and ask it to end. The
 * connection waits until an init takes it, and ends when that does, or when the last who had the
 * socket is gone. */

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "init-wire.h"
#include "sandbox/sandbox-internal.h"
#include "util/fd.h"
#include "util/log.h"

#define ORPHAN_PATIENCE_S 30 /* a runtime that hangs: init gives up by itself about then */

struct sandbox_orphan {
	struct sandbox *sandbox;
	void (*then)(struct sandbox *s);
	int fd;
	struct event readable; /* or the time is over */
};

struct sandbox_orphan *sandbox_orphan_free(struct sandbox_orphan *o)
{
	if (!o)
		return NULL;
	(void)event_del(&o->readable);
	(void)close_fd(o->fd);
	free(o);
	return NULL;
}

/* True when the connection has ended; what init says does not matter. */
static bool has_ended(int fd)
{
	char buffer[256];
	ssize_t n;

	do
		n = recv(fd, buffer, sizeof(buffer), 0);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 || errno != EAGAIN;
}

static void on_event(evutil_socket_t fd, short events, void *userdata)
{
	struct sandbox_orphan *o = userdata;
	struct sandbox *s = o->sandbox;
	void (*then)(struct sandbox *) = o->then;

	if ((events & EV_READ) != 0 && !has_ended(fd))
		return;
	if ((events & EV_READ) == 0)
		log_warning("sandbox %s: what its keeper left does not end", s->facts.name);
	s->orphan = sandbox_orphan_free(o);
	then(s);
}

/* Both fit into a socket that nothing was sent to. A connection that has ended shows that. */
static void ask_to_end(int fd)
{
	static const uint16_t types[] = { INIT_HELLO, INIT_SHUTDOWN };
	struct wire_header h = { .version = INIT_WIRE_VERSION, .size = sizeof(h) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		h.type = types[i];
		h.serial = i + 1;
		(void)send(fd, &h, sizeof(h), MSG_NOSIGNAL);
	}
}

bool sandbox_orphan_end(struct sandbox *s, const char *path, void (*then)(struct sandbox *s))
{
	const struct timeval patience = { .tv_sec = ORPHAN_PATIENCE_S };
	struct sandbox_orphan *o = calloc(1, sizeof(*o));

	if (!o)
		return false;
	o->sandbox = s;
	o->then = then;
	o->fd = fd_connect_unix(path, SOCK_SEQPACKET);
	if (o->fd < 0 || fd_set_nonblock(o->fd) < 0 ||
	    event_assign(&o->readable, s->manager->base, o->fd, EV_READ | EV_PERSIST, on_event, o) <
		    0 ||
	    event_add(&o->readable, &patience) < 0) {
		(void)close_fd(o->fd); /* mostly ECONNREFUSED: there is nobody */
		free(o);
		return false;
	}
	ask_to_end(o->fd);
	s->orphan = o;
	return true;
}
