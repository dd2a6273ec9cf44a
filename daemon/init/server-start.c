/* SPDX-License-Identifier: Apache-2.0 */
/* What init opens before it serves; the fence is raised before anybody is heard. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clock.h"
#include "init/fence.h"
#include "init/net.h"
#include "init/server.h"
#include "macro.h"

#define START_PATIENCE 3 /* times INIT_ORPHAN_MS, until the first controller */

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* 0, 1 and 2 are open in any case: no descriptor that we receive may land there. */
static int open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	return fd < 0 ? -errno : fd;
}

static int take_listener(void)
{
	int flags = fcntl(INIT_FD_SOCKET, F_GETFL);

	if (flags < 0 || fcntl(INIT_FD_SOCKET, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(INIT_FD_SOCKET, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return INIT_FD_SOCKET;
}

static int say_ready(void)
{
	ssize_t n = write(INIT_FD_READY, "", 1);
	int r = n == 1 ? 0 : -EPIPE;

	(void)close_fd(INIT_FD_READY);
	return r;
}

static int open_all(struct server *s, const struct dial *dial, const char **ret_what)
{
	*ret_what = "not PID 1";
	if (getpid() != 1)
		return -EINVAL;
	*ret_what = "control socket";
	s->listener = dial ? -1 : take_listener();
	if (!dial && s->listener < 0)
		return s->listener;
	*ret_what = "/dev/null";
	s->null = open_standard();
	if (s->null < 0)
		return s->null;
	*ret_what = "signalfd";
	s->signals = open_signals();
	if (s->signals < 0)
		return s->signals;
	*ret_what = "/proc";
	return tree_init(&s->tree);
}

static int open_seccomp(const struct dial *dial)
{
	int fd = dial ? open(dial->seccomp, O_RDONLY | O_CLOEXEC) : INIT_FD_SECCOMP;

	return fd < 0 ? -errno : fd;
}

/* Whoever waits for us sees from here on that we are fenced. */
static int become_ready(struct server *s, const struct dial *dial, const char **ret_what)
{
	*ret_what = "ready pipe";
	if (!dial)
		return say_ready();
	*ret_what = dial->socket;
	s->connections[0] = dial_connect(dial->socket);
	return s->connections[0] < 0 ? s->connections[0] : 0;
}

int server_init(struct server *s, const struct dial *dial, const char **ret_what)
{
	int r, i, seccomp;

	s->controller = -1;
	for (i = 0; i < INIT_CONNECTIONS_MAX; i++)
		s->connections[i] = -1;
	r = open_all(s, dial, ret_what);
	if (r < 0)
		return r;
	*ret_what = "seccomp program";
	seccomp = open_seccomp(dial);
	if (seccomp < 0)
		return seccomp;
	net_loopback_up();
	r = fence_raise(seccomp, ret_what);
	if (r < 0)
		return r;
	(void)close_fd(seccomp);
	s->alone_since_ms = clock_now_ms();
	s->orphan_ms = INIT_ORPHAN_MS;
	s->patience_ms = START_PATIENCE * INIT_ORPHAN_MS;
	return become_ready(s, dial, ret_what);
}
