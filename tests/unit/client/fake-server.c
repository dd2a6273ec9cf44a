/* SPDX-License-Identifier: Apache-2.0 */
#include "fake-server.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "macro.h"
#include "sandboxd/client.h"

#define LINE_MAX_HERE (1u << 20)

void fake_server_init(struct fake_server *s)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s->fd = pair[0];
	ck_assert_int_eq(sandboxd_connect_fd(&s->client, pair[1]), 0);
}

void fake_server_deinit(struct fake_server *s)
{
	s->client = sandboxd_client_free(s->client);
	fake_server_close(s);
}

void fake_server_close(struct fake_server *s)
{
	s->fd = close_fd(s->fd);
}

void fake_server_say(struct fake_server *s, const char *text)
{
	ck_assert_int_eq(send(s->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static size_t take_fds(struct msghdr *m, int *fds)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t n;

	if (!c || c->cmsg_type != SCM_RIGHTS)
		return 0;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	return n;
}

/* How much of the line is there, its newline included; 0 at end of file. */
static size_t available(int fd)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof data, MSG_PEEK);
	const char *newline = n > 0 ? memchr(data, '\n', (size_t)n) : NULL;

	if (n <= 0)
		return 0;
	return newline ? (size_t)(newline + 1 - data) : (size_t)n;
}

/* The first byte alone: with it come the line's descriptors, and none with the others. */
char *fake_server_hear(struct fake_server *s, int *fds, size_t *ret_n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))];
	size_t size = 0;
	char *line = malloc(LINE_MAX_HERE);

	*ret_n_fds = 0;
	do {
		struct iovec iov = { .iov_base = line + size };
		struct msghdr m = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof control,
		};
		size_t n_fds;
		ssize_t n;

		iov.iov_len = size == 0 ? 1 : available(s->fd);
		ck_assert_uint_lt(size + iov.iov_len, LINE_MAX_HERE);
		n = recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC);
		if (n <= 0) {
			free(line);
			return NULL;
		}
		n_fds = take_fds(&m, fds + *ret_n_fds);
		ck_assert(n_fds == 0 || size == 0);
		*ret_n_fds += n_fds;
		size += (size_t)n;
	} while (line[size - 1] != '\n');
	line[size - 1] = '\0';
	return line;
}
