/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-keeper --owner UID --group GID --map owner|shifted|single
 *                [--sub-uid FIRST --sub-gid FIRST --sub-count N] [--join] [--stdio]
 *
 * Started by sandboxd with a listening socket as descriptor 3, and with --join a user namespace as
 * descriptor 4: that of an earlier keeper with the same map, whose sandboxes live. With --stdio
 * they are descriptors 0 and 1: more than the first few a service manager cannot hand over. The
 * first connection is accepted while we are still in the host's user namespace: SO_PEERCRED shows
 * host ids there, and inside most of them look alike. Later ones are let in by the socket's
 * directory, which is the daemon's alone. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ids.h"
#include "keeper.h"
#include "macro.h"

#define LISTEN_FD 3
#define JOIN_FD 4
#define BACKLOG 4
#define ACCEPT_MS 10000

enum option_key {
	OPTION_OWNER = 1,
	OPTION_GROUP,
	OPTION_MAP,
	OPTION_UID,
	OPTION_GID,
	OPTION_COUNT,
	OPTION_JOIN,
	OPTION_STDIO
};

static const struct option options[] = {
	{ "owner", required_argument, NULL, OPTION_OWNER },
	{ "group", required_argument, NULL, OPTION_GROUP },
	{ "map", required_argument, NULL, OPTION_MAP },
	{ "sub-uid", required_argument, NULL, OPTION_UID },
	{ "sub-gid", required_argument, NULL, OPTION_GID },
	{ "sub-count", required_argument, NULL, OPTION_COUNT },
	{ "join", no_argument, NULL, OPTION_JOIN },
	{ "stdio", no_argument, NULL, OPTION_STDIO },
	{ NULL, 0, NULL, 0 },
};

static int parse_id(const char *text, uint32_t *ret)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n >= UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)n;
	return 0;
}

static int parse_option(int key, const char *text, struct ids *ids, bool *stdio)
{
	switch (key) {
	case OPTION_OWNER:
		return parse_id(text, &ids->owner);
	case OPTION_GROUP:
		return parse_id(text, &ids->group);
	case OPTION_MAP:
		return ids_parse_map(text, &ids->map);
	case OPTION_UID:
		return parse_id(text, &ids->sub_uid);
	case OPTION_GID:
		return parse_id(text, &ids->sub_gid);
	case OPTION_COUNT:
		return parse_id(text, &ids->sub_count);
	case OPTION_JOIN:
		ids->join = JOIN_FD;
		return 0;
	case OPTION_STDIO:
		*stdio = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse_arguments(int argc, char **argv, struct ids *ids, bool *stdio)
{
	int key, r;

	*ids = (struct ids){ .join = -1 };
	while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
		r = parse_option(key, optarg, ids, stdio);
		if (r < 0)
			return r;
	}
	return optind == argc ? ids_check(ids) : -EINVAL;
}

/* Descriptor FROM becomes TO; a null device takes its place. */
static int move_fd(int from, int to)
{
	CLEANUP_FD int null = -1;

	if (dup2(from, to) < 0)
		return -errno;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return null < 0 || dup2(null, from) < 0 ? -errno : 0;
}

static int take_stdio(const struct ids *ids)
{
	int r = move_fd(STDIN_FILENO, LISTEN_FD);

	return r < 0 || ids->join < 0 ? r : move_fd(STDOUT_FILENO, JOIN_FD);
}

/* Waits for sandboxd and lets nobody else in. From now on who connects sees our pid as the peer's,
 * not that of the daemon that made the socket. */
static int accept_first(void)
{
	CLEANUP_FD int fd = -1;
	struct pollfd p = { LISTEN_FD, POLLIN, 0 };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(LISTEN_FD, F_SETFL, O_RDWR | O_NONBLOCK) < 0 || listen(LISTEN_FD, BACKLOG) < 0)
		return -errno;
	if (poll(&p, 1, ACCEPT_MS) != 1)
		return -ETIMEDOUT;
	fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (peer.uid != getuid())
		return -EPERM;
	return TAKE_FD(fd);
}

int main(int argc, char **argv)
{
	static struct keeper keeper;
	struct ids ids;
	bool stdio = false;
	int connection, r;

	r = parse_arguments(argc, argv, &ids, &stdio);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox-keeper: bad arguments\n");
		return 2;
	}
	(void)setsid(); /* a terminal's signals are for sandboxd, which ends us its own way */
	connection = stdio ? take_stdio(&ids) : 0;
	if (connection == 0)
		connection = accept_first();
	if (connection < 0) {
		(void)fprintf(stderr, "sandbox-keeper: no connection: %s\n", strerror(-connection));
		return 1;
	}
	r = ids_enter(&ids);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox-keeper: user namespace: %s\n", strerror(-r));
		return 1;
	}
	r = keeper_serve(&keeper, &ids, LISTEN_FD, connection);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox-keeper: %s\n", strerror(-r));
		return 1;
	}
	return 0;
}
