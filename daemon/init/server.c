/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, one ppoll, one message per connection and turn. A peer that sends anything malformed,
 * speaks out of turn or does not read loses its connection and nothing else; ends that it did not
 * hear of are kept for the next one. */

#include "init/server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "clock.h"
#include "init/map.h"
#include "init/net.h"
#include "init/terminal.h"
#include "macro.h"

#define SWEEP_BUDGET 256 /* processes looked at per turn while killing */

static void drop_connection(struct server *s, int c)
{
	size_t i;

	s->connections[c] = close_fd(s->connections[c]);
	if (s->controller != c)
		return;
	s->controller = -1;
	s->congested = s->listing = false;
	s->alone_since_ms = clock_now_ms();
	s->patience_ms = s->orphan_ms;
	for (i = 0; i < s->jobs.count; i++)
		s->jobs.entries[i].n_kills = 0; /* nobody is left to answer */
}

/* Sends s->out with its descriptors and closes them. */
static void send_out(struct server *s, int c)
{
	int r = wire_send(s->connections[c], &s->out);

	wire_message_done(&s->out);
	if (r < 0)
		drop_connection(s, c);
}

static void *begin_out(struct server *s, uint16_t type, uint64_t serial, size_t size)
{
	wire_begin(&s->out, INIT_WIRE_VERSION, type, serial, size);
	return s->out.data;
}

static void send_done(struct server *s, int c, uint64_t serial, int error)
{
	struct wire_header *h = begin_out(s, INIT_DONE, serial, sizeof(*h));

	h->error = error;
	send_out(s, c);
}

/* Sends what was begun to the controller, or sees that the socket is full. */
static bool tell(struct server *s)
{
	int r = s->congested ? -EAGAIN : wire_send(s->connections[s->controller], &s->out);

	if (r == -EAGAIN)
		s->congested = true;
	else if (r < 0)
		drop_connection(s, s->controller);
	return r != -EAGAIN;
}

/* Ends come in bursts that a socket need not hold (hundreds, to a new controller): what does not
 * fit waits for POLLOUT. Nothing else is sent unasked. */
static void send_exited(struct server *s, struct job *job)
{
	struct init_exited *e;

	if (s->controller < 0)
		return;
	e = begin_out(s, INIT_EXITED, 0, sizeof(*e));
	*e = job->exited;
	e->header.version = INIT_WIRE_VERSION;
	e->header.type = INIT_EXITED;
	job->untold = !tell(s);
}

static void send_running(struct server *s, struct job *job)
{
	struct init_running *r = begin_out(s, INIT_RUNNING, 0, sizeof(*r));

	r->exec = job->id;
	r->pid = job->pid;
	job->untold = !tell(s);
}

static void send_untold(struct server *s)
{
	struct job *job;
	size_t i;

	s->congested = false;
	for (i = 0; i < s->jobs.count && s->controller >= 0 && !s->congested; i++) {
		job = &s->jobs.entries[i];
		if (job->untold && job->running)
			send_running(s, job);
		else if (job->untold)
			send_exited(s, job);
	}
	if (!s->listing || s->congested)
		return;
	(void)begin_out(s, INIT_LISTED, 0, sizeof(struct wire_header));
	s->listing = !tell(s);
}

static void send_gone(struct server *s, uint64_t exec, uint64_t serial, uint32_t killed, int error)
{
	struct init_gone *g;

	if (s->controller < 0)
		return;
	g = begin_out(s, INIT_GONE, serial, sizeof(*g));
	g->header.error = error;
	g->exec = exec;
	g->killed = killed;
	send_out(s, s->controller);
}

static void send_started(struct server *s, int c, const struct init_exec *e,
			 const struct spawned *spawned, int master)
{
	struct init_started *m = begin_out(s, INIT_STARTED, e->header.serial, sizeof(*m));

	m->header.error = spawned->error;
	m->exec = e->exec;
	m->start_error = spawned->start_error;
	m->pid = spawned->error == 0 ? spawned->pid : 0;
	if (spawned->error != 0)
		lent_end(&s->lent, e->exec);
	if (master >= 0)
		(void)wire_add_fd(&s->out, master); /* the first one fits */
	send_out(s, c);
}

/* ---- requests: each returns 0, or negative errno to end the connection ---- */

static void send_hello(struct server *s, int c, bool listing)
{
	const uint64_t serial = wire_head(&s->in)->serial;
	struct init_hello_reply *reply;
	size_t i;

	if (!listing) {
		(void)begin_out(s, INIT_HELLO, serial, sizeof(struct wire_header));
	} else {
		reply = begin_out(s, INIT_HELLO, serial, sizeof(*reply));
		reply->next_exec = s->next_exec;
		for (i = 0; i < s->jobs.count; i++) {
			if (s->jobs.entries[i].running)
				reply->n_running++;
			else if (!s->jobs.entries[i].acked)
				reply->n_exited++;
		}
	}
	send_out(s, c);
}

static bool exec_runs(uint64_t exec, void *userdata)
{
	struct server *s = userdata;
	const struct job *job = jobs_find(&s->jobs, exec);

	return job && job->running;
}

static int handle_hello(struct server *s, int c)
{
	const bool listing = s->in.size == sizeof(struct init_hello);
	struct init_hello m;
	struct job *job;
	size_t i;

	if (listing) {
		memcpy(&m, s->in.data, sizeof(m));
		s->orphan_ms = m.orphan_ms > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)m.orphan_ms;
	}
	if (s->controller != c && s->controller >= 0)
		for (i = 0; i < s->jobs.count; i++)
			s->jobs.entries[i].n_kills = 0; /* those were another's */
	s->controller = c;
	s->listing = listing;
	if (listing)
		lent_end_strays(&s->lent, exec_runs, s);
	send_hello(s, c, listing);
	for (i = 0; i < s->jobs.count; i++) {
		job = &s->jobs.entries[i];
		job->untold = job->running ? listing : !job->acked;
	}
	send_untold(s);
	return 0;
}

static int open_fds(struct server *s, const struct init_exec *e, size_t next, struct spawn *spawn,
		    int *ret_master)
{
	int slave = -1;
	int r, i;

	if ((e->flags & INIT_EXEC_TTY) != 0) {
		r = terminal_open(e->uid, e->rows, e->cols, ret_master, &slave);
		if (r < 0)
			return r;
	}
	spawn->terminal = slave;
	for (i = 0; i < 3; i++) {
		spawn->stdio[i] = slave >= 0 ? slave : s->null;
		if ((e->flags & ((uint32_t)INIT_EXEC_HAS_STDIN << i)) != 0)
			spawn->stdio[i] = s->in.fds[next++];
	}
	if ((e->flags & INIT_EXEC_STDERR_TO_STDOUT) != 0)
		spawn->stdio[2] = spawn->stdio[1];
	if ((e->flags & INIT_EXEC_HAS_MOUNTS) != 0)
		spawn->mounts = s->in.fds[next++];
	if ((e->flags & INIT_EXEC_HAS_NETWORK) != 0)
		spawn->network = s->in.fds[next++];
	return 0;
}

static void start(struct server *s, int c, const struct init_exec *e, const struct payload *p)
{
	struct spawned spawned = { 0, 0, INIT_START_OK, 0 };
	struct spawn spawn = { .tree = &s->tree,
			       .request = e,
			       .payload = p,
			       .terminal = -1,
			       .mounts = -1,
			       .network = -1,
			       .stack = s->stack };
	int master = -1;
	int r;

	r = open_fds(s, e, (e->flags & INIT_EXEC_PAYLOAD_FD) != 0, &spawn, &master);
	if (r < 0) {
		/* A uid outside of the map is EINVAL from fchown(). */
		spawned.start_error = r == -EINVAL ? INIT_START_BAD_USER : INIT_START_INTERNAL;
		spawned.error = r;
	} else if (spawn_run(&spawn, &spawned) == 0) {
		if (e->exec >= s->next_exec)
			s->next_exec = e->exec + 1;
		(void)jobs_add(&s->jobs, e->exec, spawned.pid, spawned.mark); /* there is room */
	} else {
		master = close_fd(master);
	}
	(void)close_fd(spawn.terminal);
	send_started(s, c, e, &spawned, master);
}

static void refuse_start(struct server *s, int c, const struct init_exec *e, int error)
{
	const struct spawned refused = { 0, 0, INIT_START_INTERNAL, error };

	send_started(s, c, e, &refused, -1);
}

static int parse_and_start(struct server *s, int c, const struct init_exec *e, char *data)
{
	struct payload p;
	int r = payload_parse(&p, e, data, (size_t)e->payload_size);

	if (r == -EBADMSG)
		return r;
	if (r < 0) {
		refuse_start(s, c, e, r);
		return 0;
	}
	start(s, c, e, &p);
	payload_deinit(&p);
	return 0;
}

static int parse_fd_and_start(struct server *s, int c, const struct init_exec *e)
{
	char *map = NULL;
	int r = map_sealed(s->in.fds[0], (size_t)e->payload_size, s->listener < 0, &map);

	if (r == -EBADMSG)
		return r;
	if (r < 0) {
		refuse_start(s, c, e, r);
		return 0;
	}
	r = parse_and_start(s, c, e, map);
	map_drop(map, (size_t)e->payload_size);
	return r;
}

/* Returns whether it may start; else it is answered. */
static bool may_start(struct server *s, int c, const struct init_exec *e)
{
	const struct spawned refused = { 0, 0, INIT_START_BAD_FILE, lent_check(&s->lent, e->exec) };

	if (jobs_find(&s->jobs, e->exec))
		refuse_start(s, c, e, -EEXIST);
	else if (s->jobs.count == INIT_EXECS_MAX)
		refuse_start(s, c, e, -ENOSPC);
	else if (refused.error < 0)
		send_started(s, c, e, &refused, -1);
	else
		return true;
	return false;
}

static int handle_exec(struct server *s, int c)
{
	struct init_exec e;
	int r = 0;

	memcpy(&e, s->in.data, sizeof(e));
	if (!payload_request_ok(&e, s->in.size, s->in.n_fds))
		r = -EBADMSG;
	else if (may_start(s, c, &e))
		r = (e.flags & INIT_EXEC_PAYLOAD_FD) != 0
			    ? parse_fd_and_start(s, c, &e)
			    : parse_and_start(s, c, &e, (char *)s->in.data + e.payload_offset);
	if ((e.flags & INIT_EXEC_SECRET) != 0)
		explicit_bzero(s->in.data, sizeof(s->in.data));
	return r;
}

static int handle_put_file(struct server *s, int c)
{
	struct init_put_file m;
	char *map = NULL;
	int r = 0;

	memcpy(&m, s->in.data, sizeof(m));
	if (!lent_request_ok(&m, s->in.n_fds))
		return -EBADMSG;
	if (m.size > 0)
		r = map_sealed(s->in.fds[0], (size_t)m.size, s->listener < 0, &map);
	if (r == -EBADMSG)
		return r;
	if (r == 0)
		r = lent_put(&s->lent, &m, map, exec_runs(m.exec, s));
	if (map)
		map_drop(map, (size_t)m.size);
	send_done(s, c, m.header.serial, r);
	return 0;
}

static int handle_drop_file(struct server *s, int c)
{
	struct init_drop_file m;

	memcpy(&m, s->in.data, sizeof(m));
	if (!memchr(m.path, '\0', sizeof(m.path)))
		return -EBADMSG;
	send_done(s, c, m.header.serial, lent_drop(&s->lent, m.exec, m.path));
	return 0;
}

static int send_signal(struct server *s, const struct job *job, const struct init_signal *m)
{
	switch (m->target) {
	case INIT_TARGET_LEADER:
		return kill(job->pid, m->signal) < 0 ? -errno : 0;
	case INIT_TARGET_GROUP:
		return kill(-job->pid, m->signal) < 0 ? -errno : 0;
	default:
		leftovers_signal(&s->tree, job, m->signal);
		return 0;
	}
}

static int handle_signal(struct server *s, int c)
{
	struct init_signal m;
	const struct job *job;

	memcpy(&m, s->in.data, sizeof(m));
	if (m.signal < 1 || m.signal > 64 || m.target > INIT_TARGET_ALL)
		return -EBADMSG;
	job = jobs_find(&s->jobs, m.exec);
	send_done(s, c, m.header.serial, job && job->running ? send_signal(s, job, &m) : -ESRCH);
	return 0;
}

static int handle_kill(struct server *s, int c)
{
	struct init_exec_ref m;
	struct job *job;

	(void)c; /* the controller's */
	memcpy(&m, s->in.data, sizeof(m));
	job = jobs_find(&s->jobs, m.exec);
	if (!job || job->acked || job->n_kills == JOB_KILLS_MAX) {
		send_gone(s, m.exec, m.header.serial, 0, job && !job->acked ? -EBUSY : -ESRCH);
		return 0;
	}
	job->kills[job->n_kills++] = m.header.serial;
	if (!job->killing)
		leftovers_kill(&s->killer, job);
	return 0;
}

static int handle_ack(struct server *s, int c)
{
	struct init_exec_ref m;
	struct job *job;

	(void)c; /* the controller's */
	memcpy(&m, s->in.data, sizeof(m));
	job = jobs_find(&s->jobs, m.exec);
	if (!job)
		return 0; /* acknowledged twice, after a reconnection */
	if (job->running)
		return -EBADMSG;
	job->acked = true;
	if (!job->killing && !job->gone)
		jobs_forget(&s->jobs, job);
	return 0;
}

static int handle_listen(struct server *s, int c)
{
	struct init_listen m;
	struct wire_header *h;
	int fd;

	memcpy(&m, s->in.data, sizeof(m));
	fd = net_listen(&m);
	h = begin_out(s, INIT_DONE, m.header.serial, sizeof(*h));
	if (fd < 0)
		h->error = fd;
	else
		(void)wire_add_fd(&s->out, fd); /* the first one fits */
	send_out(s, c);
	return 0;
}

static int handle_stop_all(struct server *s, int c)
{
	int r;

	leftovers_hold(&s->killer, true);
	r = standstill_begin(&s->standstill, &s->tree);
	leftovers_hold(&s->killer, s->standstill.on);
	send_done(s, c, wire_head(&s->in)->serial, r);
	return 0;
}

static int handle_cont_all(struct server *s, int c)
{
	leftovers_hold(&s->killer, false);
	standstill_end(&s->standstill, &s->tree);
	send_done(s, c, wire_head(&s->in)->serial, 0);
	return 0;
}

static int handle_shutdown(struct server *s, int c)
{
	(void)c; /* the controller's */
	s->shutdown = true;
	return 0;
}

static const struct handler {
	size_t size; /* of the struct; of the whole message unless it is an exec */
	bool controller;
	int (*handle)(struct server *s, int c);
	size_t size_too; /* that it may have instead; 0: none */
} handlers[] = {
	[INIT_HELLO] = { sizeof(struct wire_header), false, handle_hello,
			 sizeof(struct init_hello) },
	[INIT_EXEC] = { sizeof(struct init_exec), true, handle_exec, 0 },
	[INIT_SIGNAL] = { sizeof(struct init_signal), true, handle_signal, 0 },
	[INIT_KILL] = { sizeof(struct init_exec_ref), true, handle_kill, 0 },
	[INIT_ACK] = { sizeof(struct init_exec_ref), true, handle_ack, 0 },
	[INIT_LISTEN] = { sizeof(struct init_listen), false, handle_listen, 0 },
	[INIT_SHUTDOWN] = { sizeof(struct wire_header), true, handle_shutdown, 0 },
	[INIT_STOP_ALL] = { sizeof(struct wire_header), true, handle_stop_all, 0 },
	[INIT_CONT_ALL] = { sizeof(struct wire_header), true, handle_cont_all, 0 },
	[INIT_PUT_FILE] = { sizeof(struct init_put_file), true, handle_put_file, 0 },
	[INIT_DROP_FILE] = { sizeof(struct init_drop_file), true, handle_drop_file, 0 },
};

static int dispatch(struct server *s, int c)
{
	const struct wire_header *h = wire_head(&s->in);
	const struct handler *handler;

	if (h->version != INIT_WIRE_VERSION || h->type >= ARRAY_SIZE(handlers) ||
	    !handlers[h->type].handle)
		return -EBADMSG;
	handler = &handlers[h->type];
	if (s->in.size < handler->size ||
	    (h->type != INIT_EXEC && s->in.size != handler->size &&
	     s->in.size != handler->size_too) ||
	    (h->type != INIT_EXEC && h->type != INIT_PUT_FILE && s->in.n_fds > 0))
		return -EBADMSG;
	if (handler->controller && s->controller != c)
		return -EPERM;
	return handler->handle(s, c);
}

static void on_readable(struct server *s, int c)
{
	int r = wire_receive(s->connections[c], &s->in);

	if (r == -EAGAIN)
		return;
	if (r > 0)
		r = dispatch(s, c) < 0 ? -EBADMSG : 1;
	wire_message_done(&s->in);
	if (r <= 0 && s->connections[c] >= 0)
		drop_connection(s, c);
}

static void on_connection(struct server *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int c;

	if (fd < 0)
		return; /* it went away again, or there is no room: it waits in the backlog */
	for (c = 0; c < INIT_CONNECTIONS_MAX; c++)
		if (s->connections[c] < 0) {
			s->connections[c] = fd;
			return;
		}
	(void)close_fd(fd);
}

/* ---- events ---- */

static void on_child(struct server *s)
{
	struct signalfd_siginfo info;
	struct rusage usage;
	struct job *job;
	int status;
	pid_t pid;
	size_t i;

	(void)!read(s->signals, &info, sizeof(info)); /* several may be one; wait4() knows all */
	while ((pid = wait4(-1, &status, WNOHANG | __WALL, &usage)) > 0) {
		job = jobs_find_leader(&s->jobs, pid);
		if (!job)
			continue;
		job_end(job, status, &usage);
		lent_end(&s->lent, job->id);
	}
	for (i = 0; i < s->jobs.count; i++) {
		job = &s->jobs.entries[i];
		if (!job->fresh)
			continue;
		job->fresh = false;
		job->exited.alive = leftovers_alive(&s->tree, &s->jobs, job);
		send_exited(s, job);
	}
}

/* Answers the kills that are done. Backwards: forgetting moves the last entry down. */
static void answer_kills(struct server *s)
{
	struct job *job;
	size_t i;
	uint32_t k;

	for (i = s->jobs.count; i-- > 0;) {
		job = &s->jobs.entries[i];
		if (!job->gone)
			continue;
		job->gone = false;
		job->exited.alive = 0;
		for (k = 0; k < job->n_kills; k++)
			send_gone(s, job->id, job->kills[k], job->killed, 0);
		job->n_kills = 0;
		if (job->acked)
			jobs_forget(&s->jobs, job);
	}
}

/* Kills a slice. Returns how long to sleep at most, -1: for ever. */
static int go_on_killing(struct server *s)
{
	int delay = leftovers_step(&s->killer, &s->tree, &s->jobs, SWEEP_BUDGET);

	answer_kills(s);
	return delay;
}

/* How long init still waits for a controller; -1: it has one. */
static int patience_left(const struct server *s)
{
	int64_t left;

	if (s->controller >= 0)
		return -1;
	left = s->alone_since_ms + s->patience_ms - clock_now_ms();
	if (left <= 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

static int shorter(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

enum {
	POLL_SIGNALS,
	POLL_LISTENER,
	POLL_CONNECTIONS,
	POLL_COUNT = POLL_CONNECTIONS + INIT_CONNECTIONS_MAX
};

static void wait_for_events(const struct server *s, struct pollfd fds[POLL_COUNT], int timeout)
{
	int i;

	fds[POLL_SIGNALS] = (struct pollfd){ s->signals, POLLIN, 0 };
	fds[POLL_LISTENER] = (struct pollfd){ s->listener, POLLIN, 0 };
	for (i = 0; i < INIT_CONNECTIONS_MAX; i++)
		fds[POLL_CONNECTIONS + i] =
			(struct pollfd){ s->connections[i],
					 s->congested && i == s->controller ? POLLOUT : POLLIN, 0 };
	if (poll(fds, POLL_COUNT, timeout) < 0)
		for (i = 0; i < POLL_COUNT; i++)
			fds[i].revents = 0; /* ENOMEM at worst: the next turn tries again */
}

static void handle_events(struct server *s, const struct pollfd fds[POLL_COUNT])
{
	int i;

	if (fds[POLL_SIGNALS].revents != 0)
		on_child(s);
	for (i = 0; i < INIT_CONNECTIONS_MAX; i++) {
		if (fds[POLL_CONNECTIONS + i].revents == 0 || s->connections[i] < 0)
			continue;
		if (s->congested && i == s->controller)
			send_untold(s); /* an end of file shows here as EPIPE */
		else
			on_readable(s, i);
	}
	if (fds[POLL_LISTENER].revents != 0)
		on_connection(s);
}

bool server_turn(struct server *s, int *delay)
{
	struct pollfd fds[POLL_COUNT];
	int left = patience_left(s);

	if (left == 0)
		return false;
	wait_for_events(s, fds, shorter(*delay, left));
	handle_events(s, fds);
	*delay = go_on_killing(s);
	return !s->shutdown;
}

void server_run(struct server *s)
{
	int delay = -1;

	while (server_turn(s, &delay))
		;
}
