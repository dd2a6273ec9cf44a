/* SPDX-License-Identifier: Apache-2.0 */
/* One seqpacket connection to the init of one sandbox.
 *
 * init runs beside the agent, so it is listened to as to a stranger: only the five messages below
 * with exactly their size are taken; an exec number that nobody watches, a second STARTED or EXITED
 * and an unasked GONE are ignored; anything malformed ends the connection, and the sandbox is lost.
 *
 * An init that does not start an exec in time is held up, for instance by an agent that stops what
 * it starts: its owner hears of it each INIT_SLOW_MS, and in the end it is lost, too.
 *
 * Callbacks come from the event loop only. One may free the client (the sandbox does when it is
 * lost): `busy` keeps the memory until the callback that reads has returned. */

#include "sandbox/init-client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/init-internal.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define INIT_READ_BUDGET 64 /* messages taken before others get their turn */
#define EVENT_FDS_MAX 2     /* no event has more than one; room to see that */

/* Whatever init can say: all are fixed and small. */
struct init_event {
	union {
		struct wire_header header;
		struct init_started started;
		struct init_exited exited;
		struct init_gone gone;
		struct init_hello_reply hello;
		struct init_running running;
		uint8_t data[128];
	} u;
	size_t size;
	int fd;
};

static struct watch_list *bucket(struct init_client *c, uint64_t exec)
{
	return &c->watches[exec % INIT_WATCH_BUCKETS];
}

static struct watch *find_watch(struct init_client *c, uint64_t exec)
{
	struct watch *w;

	LIST_FOREACH (w, bucket(c, exec), entry)
		if (w->exec == exec)
			return w;
	return NULL;
}

/* Closes the connection; the object stays. */
static void disconnect(struct init_client *c)
{
	c->dead = true;
	(void)event_del(&c->on_readable);
	(void)event_del(&c->on_writable);
	(void)event_del(&c->on_late);
	(void)event_del(&c->on_broken);
	c->fd = close_fd(c->fd);
	init_drop_queue(c);
}

static void drop_watches(struct init_client *c)
{
	struct watch *w;
	size_t i;

	for (i = 0; i < INIT_WATCH_BUCKETS; i++) {
		while ((w = LIST_FIRST(&c->watches[i]))) {
			LIST_REMOVE(w, entry);
			free(w);
		}
	}
}

static void destroy(struct init_client *c)
{
	drop_watches(c);
	free(c->known);
	free(c);
}

struct watch *init_watch_new(struct init_client *c, uint64_t exec)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->exec = exec;
	w->started = true;
	LIST_INSERT_HEAD(bucket(c, exec), w, entry);
	return w;
}

static void answer_ping(struct init_client *c, int error)
{
	init_client_answered *done = c->on_answered;

	c->on_answered = NULL;
	if (done)
		done(error, c->ping_userdata);
}

static void answer_stop(struct init_client *c, int error)
{
	init_client_stopped *done = TAKE_PTR(c->on_stopped);

	c->stop_serial = 0;
	if (done)
		done(error, c->stop_userdata);
}

/* Tells every exec, then the sandbox. A callback may forget any exec, so the lists are read anew
 * each time. */
static void lose(struct init_client *c)
{
	const struct init_exec_watch *watch;
	struct watch *w;
	void *userdata;
	bool stranger;
	size_t i;

	if (c->dead)
		return;
	disconnect(c);
	answer_stop(c, -ECONNRESET);
	answer_ping(c, -ECONNRESET);
	for (i = 0; i < INIT_WATCH_BUCKETS; i++) {
		while ((w = LIST_FIRST(&c->watches[i]))) {
			watch = w->watch;
			userdata = w->userdata;
			stranger = w->stranger;
			LIST_REMOVE(w, entry);
			free(w);
			if (!stranger)
				watch->on_lost(userdata);
		}
	}
	if (c->freed)
		return;
	if (!c->ready)
		c->watch->on_ready(c, -ECONNRESET, c->userdata);
	else
		c->watch->on_lost(c, c->userdata);
}

/* ---- what init says ---- */

static void take_event_fds(struct init_event *e, struct msghdr *msg, uint32_t *ret_count)
{
	struct cmsghdr *c;
	size_t i, count;
	int fds[EVENT_FDS_MAX];

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (count > EVENT_FDS_MAX)
			count = EVENT_FDS_MAX; /* the buffer holds no more */
		memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		for (i = 0; i < count; i++) {
			(void)close_fd(e->fd);
			e->fd = fds[i];
		}
		*ret_count += (uint32_t)count;
	}
}

/* One of another sandboxd than ours, which we cannot lead on. */
static bool is_other_version(const struct init_event *e)
{
	if (e->size < sizeof(e->u.header) || e->u.header.version == INIT_WIRE_VERSION)
		return false;
	log_error("a sandbox's init speaks version %u, this sandboxd version %d: its sandbox is "
		  "lost, a start brings it back with its files",
		  e->u.header.version, INIT_WIRE_VERSION);
	return true;
}

/* As wire_receive(), without its 192 KB. Returns 1, 0 at the end, negative errno. */
static int receive_event(int fd, struct init_event *e)
{
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(int) * EVENT_FDS_MAX)];
	} control;
	struct iovec iov = { &e->u, sizeof(e->u) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	uint32_t count = 0;
	ssize_t n;

	e->fd = -1;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_event_fds(e, &msg, &count);
	if (n == 0 && count == 0)
		return 0;
	e->size = (size_t)n;
	/* our shortage of descriptors, not init's fault: who waits for one finds none */
	if ((msg.msg_flags & MSG_CTRUNC) != 0 && count == 0 && e->size >= sizeof(e->u.header) &&
	    e->u.header.n_fds == 1) {
		msg.msg_flags &= ~MSG_CTRUNC;
		count = 1;
	}
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || e->size < sizeof(e->u.header) ||
	    e->u.header.size != e->size || count > 1 || e->u.header.n_fds != count ||
	    is_other_version(e)) {
		e->fd = close_fd(e->fd);
		return -EBADMSG;
	}
	return 1;
}

/* To the first HELLO: what it knows follows, and INIT_LISTED. */
static int dispatch_first_hello(struct init_client *c, const struct init_hello_reply *reply)
{
	if (c->answered)
		return -EBADMSG;
	c->answered = true;
	if (reply->next_exec > c->next_exec)
		c->next_exec = reply->next_exec; /* the clock was set back */
	return 0;
}

static int dispatch_hello(struct init_client *c, const struct init_event *e)
{
	if (e->u.header.error != 0)
		return -EPROTO;
	if (e->size == sizeof(e->u.hello))
		return dispatch_first_hello(c, &e->u.hello);
	if (e->size != sizeof(struct wire_header) || c->pings == 0)
		return -EBADMSG;
	c->pings--;
	answer_ping(c, 0);
	return 0;
}

static int dispatch_listed(struct init_client *c, const struct init_event *e)
{
	if (e->size != sizeof(struct wire_header) || !c->answered || c->ready)
		return -EBADMSG;
	c->ready = true;
	c->watch->on_ready(c, 0, c->userdata);
	return 0;
}

static int dispatch_running(struct init_client *c, const struct init_event *e)
{
	if (e->size != sizeof(e->u.running) || !c->answered || c->ready)
		return -EBADMSG;
	return init_known_running(c, &e->u.running);
}

static int dispatch_started(struct init_client *c, struct init_event *e)
{
	struct watch *w;

	if (e->size != sizeof(e->u.started))
		return -EBADMSG;
	w = find_watch(c, e->u.started.exec);
	if (!w || w->started)
		return 0;
	w->started = true;
	if (e->u.started.start_error != INIT_START_OK)
		w->exited = true; /* it has forgotten it, there is no end to come */
	w->watch->on_started(w->userdata, &e->u.started, TAKE_FD(e->fd));
	return 0;
}

static int dispatch_exited(struct init_client *c, const struct init_event *e)
{
	struct watch *w;

	if (e->size != sizeof(e->u.exited))
		return -EBADMSG;
	if (!c->ready)
		return c->answered ? init_known_exited(c, &e->u.exited) : 0;
	w = find_watch(c, e->u.exited.exec);
	if (!w || !w->started || w->exited)
		return 0;
	w->exited = true;
	if (!w->stranger)
		w->watch->on_exited(w->userdata, &e->u.exited);
	return 0;
}

static int dispatch_gone(struct init_client *c, const struct init_event *e)
{
	struct watch *w;

	if (e->size != sizeof(e->u.gone))
		return -EBADMSG;
	w = find_watch(c, e->u.gone.exec);
	if (!w || w->kills == 0)
		return 0;
	w->kills--;
	if (w->stranger)
		init_client_forget(c, w->exec);
	else
		w->watch->on_gone(w->userdata, e->u.gone.killed);
	return 0;
}

static int dispatch(struct init_client *c, struct init_event *e)
{
	switch (e->u.header.type) {
	case INIT_HELLO:
		return dispatch_hello(c, e);
	case INIT_STARTED:
		return dispatch_started(c, e);
	case INIT_DONE: /* of a signal: that it came too late is no news to anybody */
		if (e->size != sizeof(struct wire_header))
			return -EBADMSG;
		if (e->u.header.serial == c->stop_serial && c->stop_serial != 0)
			answer_stop(c, e->u.header.error > 0 ? -EPROTO : e->u.header.error);
		return 0;
	case INIT_EXITED:
		return dispatch_exited(c, e);
	case INIT_GONE:
		return dispatch_gone(c, e);
	case INIT_RUNNING:
		return dispatch_running(c, e);
	case INIT_LISTED:
		return dispatch_listed(c, e);
	default:
		return -EBADMSG;
	}
}

static void read_events(struct init_client *c)
{
	struct init_event e;
	unsigned budget;
	int r;

	for (budget = INIT_READ_BUDGET; budget > 0; budget--) {
		r = receive_event(c->fd, &e);
		if (r == -EAGAIN)
			return;
		if (r > 0) {
			r = dispatch(c, &e);
			e.fd = close_fd(e.fd);
			if (c->dead)
				return;
		} else if (r == 0) {
			r = -ECONNRESET;
		}
		if (r < 0) {
			if (r != -ECONNRESET && log_ratelimit())
				(void)log_errno(LOG_LEVEL_WARNING, r,
						"a sandbox's init talks nonsense, giving it up");
			lose(c);
			return;
		}
	}
}

static void on_readable(evutil_socket_t fd, short what, void *userdata)
{
	struct init_client *c = userdata;

	(void)fd;
	(void)what;
	c->busy = true;
	read_events(c);
	c->busy = false;
	if (c->freed)
		destroy(c);
}

static void on_broken(evutil_socket_t fd, short what, void *userdata)
{
	struct init_client *c = userdata;

	(void)fd;
	(void)what;
	c->busy = true;
	lose(c);
	c->busy = false;
	if (c->freed)
		destroy(c);
}

/* ---- an init that hangs ---- */

static int64_t start_ms(const struct init_client *c)
{
	return c->watch->start_ms > 0 ? c->watch->start_ms : INIT_START_MS;
}

/* In MS, or sooner to say that it is slow. */
static void arm_late(struct init_client *c, int64_t ms)
{
	const int64_t next = c->watch->on_slow && ms > INIT_SLOW_MS ? INIT_SLOW_MS : ms;
	const struct timeval delay = { next / 1000, (suseconds_t)(next % 1000) * 1000 };

	(void)event_add(&c->on_late, &delay); /* no memory: armed with the next exec */
}

/* When the oldest exec that has not started was sent; INT64_MAX: there is none. */
static int64_t oldest_start(const struct init_client *c)
{
	const struct watch *w;
	int64_t oldest = INT64_MAX;
	size_t i;

	for (i = 0; i < INIT_WATCH_BUCKETS; i++)
		LIST_FOREACH (w, &c->watches[i], entry)
			if (!w->started && w->sent_ms < oldest)
				oldest = w->sent_ms;
	return oldest;
}

static void on_late(evutil_socket_t fd, short what, void *userdata)
{
	struct init_client *c = userdata;
	int64_t oldest = oldest_start(c), left;

	(void)fd;
	(void)what;
	if (oldest == INT64_MAX || c->held_ms != 0)
		return;
	left = oldest + start_ms(c) - time_monotonic_ms();
	if (left > 0) {
		if (c->watch->on_slow && start_ms(c) - left >= INIT_SLOW_MS)
			c->watch->on_slow(c->userdata);
		arm_late(c, left);
		return;
	}
	if (log_ratelimit())
		log_warning("a sandbox's init does not start a command, giving the sandbox up");
	c->busy = true;
	lose(c);
	c->busy = false;
	if (c->freed)
		destroy(c);
}

/* ---- what init is told ---- */

uint64_t init_client_number(struct init_client *c)
{
	return c->next_exec++;
}

int init_client_exec(struct init_client *c, struct wire_message *m,
		     const struct init_exec_watch *watch, void *userdata, uint64_t exec)
{
	struct init_exec *request = (struct init_exec *)(void *)m->data;
	struct watch *w;
	int r;

	w = calloc(1, sizeof(*w));
	if (!w) {
		wire_message_done(m);
		return -ENOMEM;
	}
	w->exec = exec;
	w->watch = watch;
	w->userdata = userdata;
	w->sent_ms = time_monotonic_ms();
	request->exec = w->exec;
	r = init_post(c, m, true);
	if (r < 0) {
		free(w);
		return r;
	}
	LIST_INSERT_HEAD(bucket(c, w->exec), w, entry);
	if (!c->dead && c->held_ms == 0 && !event_pending(&c->on_late, EV_TIMEOUT, NULL))
		arm_late(c, start_ms(c));
	return 0;
}

int init_client_signal(struct init_client *c, uint64_t exec, int signal,
		       enum init_signal_target target)
{
	struct init_signal request = { .exec = exec, .signal = signal, .target = target };

	return init_post_small(c, &request.header, INIT_SIGNAL, sizeof(request), true);
}

int init_client_kill(struct init_client *c, uint64_t exec)
{
	struct init_exec_ref request = { .exec = exec };
	struct watch *w = find_watch(c, exec);
	int r;

	if (!w)
		return -ESRCH;
	r = init_post_small(c, &request.header, INIT_KILL, sizeof(request), false);
	if (r == 0)
		w->kills++;
	return r;
}

void init_client_abandon(struct init_client *c, uint64_t exec)
{
	struct watch *w = find_watch(c, exec);

	if (!w)
		return;
	LIST_REMOVE(w, entry);
	free(w);
}

void init_client_forget(struct init_client *c, uint64_t exec)
{
	struct init_exec_ref request = { .exec = exec };

	if (!find_watch(c, exec))
		return;
	init_client_abandon(c, exec);
	/* if it cannot be sent, init is being lost and remembers nothing */
	(void)init_post_small(c, &request.header, INIT_ACK, sizeof(request), false);
}

void init_client_shutdown(struct init_client *c)
{
	struct wire_header h = { 0 };

	(void)init_post_small(c, &h, INIT_SHUTDOWN, sizeof(h), false); /* else it is gone already */
}

void init_client_hold(struct init_client *c, bool held)
{
	int64_t now = time_monotonic_ms();
	struct watch *w;
	size_t i;

	if (c->dead || held == (c->held_ms != 0))
		return;
	if (held) {
		c->held_ms = now;
		(void)event_del(&c->on_late);
		(void)event_del(&c->on_writable);
		return;
	}
	for (i = 0; i < INIT_WATCH_BUCKETS; i++)
		LIST_FOREACH (w, &c->watches[i], entry)
			w->sent_ms += now - (w->sent_ms > c->held_ms ? w->sent_ms : c->held_ms);
	c->held_ms = 0;
	if (!STAILQ_EMPTY(&c->queue))
		(void)event_add(&c->on_writable, NULL); /* as in enqueue() */
	if (oldest_start(c) != INT64_MAX)
		arm_late(c, start_ms(c));
}

int init_client_stop_all(struct init_client *c, bool stop, init_client_stopped *done,
			 void *userdata)
{
	struct wire_header h = { 0 };
	int r;

	if (c->dead)
		return -ECONNRESET;
	/* past the queue: what waits there is for when they go on */
	init_begin_small(c, &h, stop ? INIT_STOP_ALL : INIT_CONT_ALL, sizeof(h));
	r = init_send_small(c, &h);
	if (r < 0)
		return r;
	c->stop_serial = h.serial;
	c->on_stopped = done;
	c->stop_userdata = userdata;
	return 0;
}

int init_client_ping(struct init_client *c, init_client_answered *done, void *userdata)
{
	struct wire_header hello = { 0 };
	int r = init_post_small(c, &hello, INIT_HELLO, sizeof(hello), false);

	if (r < 0)
		return r;
	c->pings++;
	c->on_answered = done;
	c->ping_userdata = userdata;
	return 0;
}

/* Numbers are never used again in a sandbox's life, which is longer than a connection's: they begin
 * at the time of day in microseconds. */
static uint64_t first_number(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with a valid clock */
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int init_client_new_connected(struct init_client **ret, struct event_base *base, int connection,
			      int64_t orphan_ms, const struct init_client_watch *watch,
			      void *userdata)
{
	struct init_hello hello = { .orphan_ms = (uint64_t)orphan_ms };
	struct init_client *c;
	int r;

	c = calloc(1, sizeof(*c));
	if (!c) {
		(void)close_fd(connection);
		return -ENOMEM;
	}
	STAILQ_INIT(&c->queue);
	c->base = base;
	c->watch = watch;
	c->userdata = userdata;
	c->next_exec = first_number();
	c->fd = connection;
	event_assign(&c->on_readable, base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->on_writable, base, c->fd, EV_WRITE, init_on_writable, c);
	event_assign(&c->on_broken, base, -1, 0, on_broken, c);
	event_assign(&c->on_late, base, -1, 0, on_late, c);
	r = fd_set_nonblock(c->fd);
	if (r >= 0 && event_add(&c->on_readable, NULL) < 0)
		r = -ENOMEM;
	if (r >= 0)
		r = init_post_small(c, &hello.header, INIT_HELLO, sizeof(hello), false);
	if (r < 0) {
		(void)init_client_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int init_client_new(struct init_client **ret, struct event_base *base, const char *path,
		    int64_t orphan_ms, const struct init_client_watch *watch, void *userdata)
{
	int fd = fd_connect_unix(path, SOCK_SEQPACKET);

	if (fd < 0)
		return fd;
	return init_client_new_connected(ret, base, fd, orphan_ms, watch, userdata);
}

struct init_client *init_client_free(struct init_client *c)
{
	if (!c || c->freed)
		return NULL;
	disconnect(c);
	drop_watches(c);
	c->freed = true;
	if (!c->busy)
		destroy(c);
	return NULL;
}
