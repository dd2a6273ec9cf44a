/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/agent-secrets-health.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "macro.h"
#include "secret/gather.h"
#include "util/fd.h"
#include "util/time.h"

/* Reads a line into G. Returns its length or negative errno. */
static ssize_t read_line(int fd, struct gather *g)
{
	int64_t end = time_monotonic_ms() + PROVIDER_TIMEOUT_MS, left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	const char *newline;
	int r;

	for (;;) {
		left = end - time_monotonic_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		r = gather_read(g, fd);
		newline = g->used > 0 ? memchr(g->data, '\n', g->used) : NULL;
		if (newline)
			return newline - (const char *)g->data;
		if (r != 0)
			return r < 0 ? r : -ECONNRESET;
	}
}

static ssize_t ask(const char *path, const char *line, struct gather *g)
{
	CLEANUP_FD int fd = fd_connect_unix(path, SOCK_STREAM);

	if (fd < 0)
		return fd;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return -EPIPE;
	return read_line(fd, g);
}

int agent_secrets_ask_health(const char *path, struct agent_secrets_health *ret,
			     struct error *reterr)
{
	CLEANUP_STR char *line = agent_secrets_health_line();
	CLEANUP(gather_clear) struct gather g = { 0 };
	ssize_t n = line ? ask(path, line, &g) : -ENOMEM;

	if (n < 0)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, "secrets serve",
				 "agent-secrets does not answer at %s: %s", path,
				 strerror((int)-n));
	return agent_secrets_read_health((char *)g.data, (size_t)n, ret, reterr);
}
