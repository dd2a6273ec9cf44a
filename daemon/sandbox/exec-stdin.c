/* SPDX-License-Identifier: Apache-2.0 */
/* A list of chunks and one descriptor. At most EXEC_STDIN_PENDING_MAX bytes wait; who writes is
 * answered when no more than PENDING_LOW wait, so that a client that sends one write after the
 * other goes at the command's pace. EPIPE (EIO of a terminal) is no error of ours: a command need
 * not read its stdin.
 *
 * The end of a pipe stays, the EOF character of a terminal is read once: by whoever reads then, or
 * by nobody when the terminal changes its mode in between (a shell with line editing does so around
 * each command, and finds a NUL or a ^D in its input). So it is written again, less and less often,
 * until the command ends: then the input is freed. */

#include "sandbox/exec-stdin.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <termios.h>
#include <unistd.h>

#include "bounds.h"

#define PENDING_LOW (256u * 1024)
#define EOF_CHARACTER 4 /* ^D, where the terminal does not say */
#define EOF_AGAIN_MS 250
#define EOF_AGAIN_MAX_MS 4000 /* it doubles until here */

struct chunk {
	STAILQ_ENTRY(chunk) entry;
	size_t size;
	size_t sent;
	uint8_t data[];
};

struct stdin_waiter {
	TAILQ_ENTRY(stdin_waiter) entry;
	struct exec_stdin *owner;
	stdin_written *done;
	void *userdata;
};

struct exec_stdin {
	struct event_base *base;
	struct event *event;
	int fd;
	bool terminal;
	bool closing;      /* end of file comes behind what waits */
	bool broken;       /* nobody reads it any more */
	bool in_line;      /* what was sent last did not end a line */
	unsigned again_ms; /* until the EOF character is written again */
	size_t pending;
	STAILQ_HEAD(, chunk) chunks;
	TAILQ_HEAD(, stdin_waiter) waiters;
};

/* What a command reads may be a secret. */
static void chunk_free(struct chunk *c)
{
	explicit_bzero(c->data, c->size);
	free(c);
}

static void drop_chunks(struct exec_stdin *s)
{
	struct chunk *c;

	while ((c = STAILQ_FIRST(&s->chunks))) {
		STAILQ_REMOVE_HEAD(&s->chunks, entry);
		chunk_free(c);
	}
	s->pending = 0;
}

static void detach(struct exec_stdin *s)
{
	if (s->event)
		event_free(s->event);
	s->event = NULL;
	s->fd = close_fd(s->fd);
}

static void tell_waiters(struct exec_stdin *s, int error)
{
	struct stdin_waiter *w;

	while ((w = TAILQ_FIRST(&s->waiters))) {
		TAILQ_REMOVE(&s->waiters, w, entry);
		w->done(error, w->userdata);
		free(w);
	}
}

static void break_off(struct exec_stdin *s)
{
	s->broken = true;
	drop_chunks(s);
	detach(s);
}

/* The descriptor takes what it can. Returns 0, -EAGAIN, or -EPIPE whatever else was wrong. */
static int send_bytes(struct exec_stdin *s, const uint8_t *data, size_t size, size_t *ret_sent)
{
	ssize_t n;

	*ret_sent = 0;
	while (*ret_sent < size) {
		n = write(s->fd, data + *ret_sent, size - *ret_sent);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -EAGAIN : -EPIPE;
		*ret_sent += (size_t)n;
		s->in_line = data[*ret_sent - 1] != '\n';
	}
	return 0;
}

static void send_eof_later(struct exec_stdin *s)
{
	const struct timeval tv = { .tv_sec = s->again_ms / 1000,
				    .tv_usec = (suseconds_t)(s->again_ms % 1000) * 1000 };

	if (!s->event || event_add(s->event, &tv) < 0)
		detach(s); /* no memory to wait with */
	else if (s->again_ms < EOF_AGAIN_MAX_MS)
		s->again_ms *= 2;
}

/* Within a line the first EOF character ends no more than the line. */
static void send_eof(struct exec_stdin *s)
{
	uint8_t eof[2] = { EOF_CHARACTER, EOF_CHARACTER };
	struct termios t;
	size_t sent;

	if (tcgetattr(s->fd, &t) == 0 && t.c_cc[VEOF] != _POSIX_VDISABLE)
		eof[0] = eof[1] = t.c_cc[VEOF];
	if (send_bytes(s, eof, s->in_line ? 2 : 1, &sent) == -EPIPE) {
		break_off(s);
		return;
	}
	s->in_line = false;
	send_eof_later(s); /* also when it is full: who reads it may find the end missing */
}

static void on_eof_again(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	send_eof(userdata);
}

static void finish(struct exec_stdin *s)
{
	if (!s->terminal) {
		detach(s);
		return;
	}
	if (s->event)
		event_free(s->event);
	s->event = evtimer_new(s->base, on_eof_again, s);
	s->again_ms = EOF_AGAIN_MS;
	send_eof(s);
}

/* Sends what waits. Returns as send_bytes(). */
static int flush(struct exec_stdin *s)
{
	struct chunk *c;
	size_t sent;
	int r;

	while ((c = STAILQ_FIRST(&s->chunks))) {
		r = send_bytes(s, c->data + c->sent, c->size - c->sent, &sent);
		c->sent += sent;
		s->pending -= sent;
		if (r < 0)
			return r;
		STAILQ_REMOVE_HEAD(&s->chunks, entry);
		chunk_free(c);
	}
	if (s->closing)
		finish(s);
	return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *userdata)
{
	struct exec_stdin *s = userdata;
	int r;

	(void)fd;
	(void)what;
	r = flush(s);
	if (r == -EAGAIN && event_add(s->event, NULL) < 0)
		r = -EPIPE; /* no memory to wait with */
	if (r == -EPIPE) {
		break_off(s);
		tell_waiters(s, -EPIPE);
	} else if (s->pending <= PENDING_LOW) {
		tell_waiters(s, 0);
	}
}

int exec_stdin_new(struct exec_stdin **ret, struct event_base *base)
{
	struct exec_stdin *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->base = base;
	s->fd = -1;
	STAILQ_INIT(&s->chunks);
	TAILQ_INIT(&s->waiters);
	*ret = s;
	return 0;
}

struct exec_stdin *exec_stdin_free(struct exec_stdin *s)
{
	if (!s)
		return NULL;
	break_off(s);
	tell_waiters(s, -EPIPE);
	free(s);
	return NULL;
}

int exec_stdin_attach(struct exec_stdin *s, int fd, bool terminal)
{
	s->fd = fd;
	s->terminal = terminal;
	s->event = event_new(s->base, fd, EV_WRITE, on_writable, s);
	if (!s->event || event_add(s->event, NULL) < 0) {
		break_off(s);
		return -ENOMEM;
	}
	return 0;
}

static int keep(struct exec_stdin *s, const uint8_t *data, size_t size)
{
	struct chunk *c = malloc(sizeof(*c) + size);

	if (!c)
		return -ENOMEM;
	c->size = size;
	c->sent = 0;
	memcpy(c->data, data, size);
	STAILQ_INSERT_TAIL(&s->chunks, c, entry);
	s->pending += size;
	return 0;
}

static int wait_for(struct exec_stdin *s, stdin_written *done, void *userdata,
		    struct stdin_waiter **ret)
{
	struct stdin_waiter *w;

	if (!done)
		return 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->owner = s;
	w->done = done;
	w->userdata = userdata;
	TAILQ_INSERT_TAIL(&s->waiters, w, entry);
	*ret = w;
	return 0;
}

int exec_stdin_write(struct exec_stdin *s, const void *data, size_t size, stdin_written *done,
		     void *userdata, struct stdin_waiter **ret)
{
	const uint8_t *bytes = data;
	size_t sent = 0;
	int r = 0;

	if (s->broken || s->closing)
		return -EPIPE;
	if (size > EXEC_STDIN_PENDING_MAX - s->pending)
		return -ENOBUFS;
	if (s->fd >= 0 && STAILQ_EMPTY(&s->chunks))
		r = send_bytes(s, bytes, size, &sent);
	if (r == -EPIPE) {
		break_off(s);
		return -EPIPE;
	}
	if (sent == size)
		return 1;
	r = keep(s, bytes + sent, size - sent);
	if (r == 0 && s->event)
		r = event_add(s->event, NULL) < 0 ? -ENOMEM : 0;
	if (r < 0)
		return r;
	if (s->pending <= PENDING_LOW)
		return 1;
	return wait_for(s, done, userdata, ret);
}

void exec_stdin_forget(struct stdin_waiter *w)
{
	TAILQ_REMOVE(&w->owner->waiters, w, entry);
	free(w);
}

void exec_stdin_close(struct exec_stdin *s)
{
	if (s->closing || s->broken)
		return;
	s->closing = true;
	if (s->fd >= 0 && STAILQ_EMPTY(&s->chunks))
		finish(s);
}

bool exec_stdin_is_closing(const struct exec_stdin *s)
{
	return s->closing || s->broken;
}

size_t exec_stdin_pending(const struct exec_stdin *s)
{
	return s->pending;
}

bool exec_stdin_is_attached(const struct exec_stdin *s)
{
	return s->fd >= 0;
}

int exec_stdin_copy(const struct exec_stdin *s)
{
	return s->fd < 0 ? -1 : fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
}
