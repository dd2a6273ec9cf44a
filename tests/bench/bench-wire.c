/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to sandboxd, one at a time. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

#define LINE_SIZE 4096

int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		fail(path);
	memcpy(a.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)) < 0)
		fail(path);
	return fd;
}

void send_line(int fd, const char *line, int passed)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)line, strlen(line) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[3] = { passed, passed, passed };

	if (passed >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	}
	if (sendmsg(fd, &m, 0) != (ssize_t)iov.iov_len)
		fail("sendmsg");
}

static bool is_reply(const char *line)
{
	if (strstr(line, "\"error\":{")) {
		fprintf(stderr, "bench-loop: %s\n", line);
		exit(1);
	}
	return !strstr(line, "\"method\":") || strstr(line, "\"result\":");
}

const char *await_reply(int fd)
{
	static char buffer[1 << 20];
	static size_t have, taken; /* bytes read; those of them that earlier calls have used */

	have -= taken;
	memmove(buffer, buffer + taken, have + 1);
	taken = 0;
	for (;;) {
		char *line = buffer + taken, *end = strchr(line, '\n');
		ssize_t n;

		if (end) {
			*end = 0;
			taken = (size_t)(end + 1 - buffer);
			if (is_reply(line))
				return line;
			continue;
		}
		n = read(fd, buffer + have, sizeof(buffer) - 1 - have);
		if (n <= 0)
			fail("read");
		have += (size_t)n;
		buffer[have] = 0;
	}
}

const char *call(int fd, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (n < 0 || n >= LINE_SIZE) {
		fprintf(stderr, "bench-loop: the request is too long\n");
		exit(1);
	}
	send_line(fd, line, -1);
	return await_reply(fd);
}
