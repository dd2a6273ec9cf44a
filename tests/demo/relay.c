/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a sandbox without a network reach one service of the host's: relay INIT-SOCKET PORT [INSIDE]
 *
 * Asks the sandbox's init for a listening socket on 127.0.0.1 inside (at port INSIDE, or any),
 * prints its port, accepts here and connects each to 127.0.0.1:PORT on the host. The shape that the
 * gateway will have, without its policy: for the demo and for tests only. Ends with the sandbox. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "init-wire.h"
#include "macro.h"

#define BUFFER_SIZE 8192

static int fail(const char *what)
{
	(void)fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	return -1;
}

static int connect_init(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return fail(path);
	}
	strcpy(address.sun_path, path); /* length was checked */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)close_fd(fd);
		return fail(path);
	}
	return fd;
}

/* The listening socket in the sandbox, or -1. */
static int listen_inside(int init, uint16_t port)
{
	struct wire_message *m = malloc(sizeof(*m));
	struct init_listen *request;
	int fd = -1, r;

	if (!m)
		return fail("memory");
	wire_begin(m, INIT_WIRE_VERSION, INIT_LISTEN, 1, sizeof(*request));
	request = (void *)m->data;
	request->address = htonl(INADDR_LOOPBACK);
	request->port = port;
	request->backlog = 64;
	r = wire_send(init, m);
	if (r == 0)
		r = wire_receive(init, m);
	if (r > 0)
		r = wire_head(m)->error;
	if (r == 0)
		fd = wire_take_fd(m, 0);
	wire_message_done(m);
	free(m);
	errno = r < 0 ? -r : EPROTO;
	return fd < 0 ? fail("init gives no listening socket") : fd;
}

static int connect_host(uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)close_fd(fd);
		return fail("the service on the host");
	}
	return fd;
}

/* What FROM has goes to TO; at its end TO hears of it. False: this direction is done. */
static bool pass(int from, int to)
{
	char buffer[BUFFER_SIZE];
	ssize_t n = read(from, buffer, sizeof(buffer)), done = 0;

	while (n > 0 && done < n) {
		ssize_t w = write(to, buffer + done, (size_t)(n - done));

		if (w < 0)
			return false;
		done += w;
	}
	if (n <= 0)
		(void)shutdown(to, SHUT_WR); /* may be gone already */
	return n > 0;
}

/* In a child of its own, until both directions are at their end. */
static void serve(int inside, uint16_t port)
{
	int outside = connect_host(port);
	struct pollfd fds[] = { { .fd = inside, .events = POLLIN },
				{ .fd = outside, .events = POLLIN } };

	if (outside < 0)
		_exit(EXIT_FAILURE);
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			_exit(EXIT_FAILURE);
		if (fds[0].revents && !pass(inside, outside))
			fds[0].fd = -1;
		if (fds[1].revents && !pass(outside, inside))
			fds[1].fd = -1;
	}
	_exit(EXIT_SUCCESS);
}

static void accept_one(int listener, uint16_t port)
{
	CLEANUP_FD int fd = accept(listener, NULL, NULL);
	pid_t self = getpid();

	if (fd < 0)
		return;
	switch (fork()) {
	case -1:
		(void)fail("fork");
		return;
	case 0:
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
			_exit(EXIT_FAILURE);
		serve(fd, port);
		return;
	default:
		return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	long port = argc == 3 || argc == 4 ? strtol(argv[2], NULL, 10) : 0;
	long inside = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
	CLEANUP_FD int init = -1;
	CLEANUP_FD int listener = -1;

	if (port < 1 || port > UINT16_MAX || inside < 0 || inside > UINT16_MAX) {
		(void)fprintf(stderr, "usage: relay INIT-SOCKET PORT [INSIDE]\n");
		return 2;
	}
	(void)signal(SIGCHLD, SIG_IGN); /* children are not waited for */
	(void)signal(SIGPIPE, SIG_IGN); /* write says EPIPE */
	init = connect_init(argv[1]);
	listener = init < 0 ? -1 : listen_inside(init, (uint16_t)inside);
	if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &size) < 0)
		return EXIT_FAILURE;
	(void)printf("%u\n", ntohs(address.sin_port));
	(void)fflush(stdout);
	for (;;) {
		struct pollfd fds[] = { { .fd = init, .events = POLLIN },
					{ .fd = listener, .events = POLLIN } };

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			return EXIT_FAILURE;
		if (fds[0].revents) /* init says nothing unasked to us: it is gone */
			return EXIT_SUCCESS;
		if (fds[1].revents)
			accept_one(listener, (uint16_t)port);
	}
}
