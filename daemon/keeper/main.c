/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox-keeper --owner UID --group GID --map owner|shifted|single
 *                [--sub-uid FIRST --sub-gid FIRST --sub-count N]
 *
 * Started by sandboxd with a listening socket as descriptor 3. The one connection is accepted while
 * we are still in the host's user namespace: SO_PEERCRED shows host ids there, and inside most of
 * them look alike. */

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
#define ACCEPT_MS 10000

enum option_key {
	OPTION_OWNER = 1,
	OPTION_GROUP,
	OPTION_MAP,
	OPTION_UID,
	OPTION_GID,
	OPTION_COUNT
};

static const struct option options[] = {
	{ "owner", required_argument, NULL, OPTION_OWNER },
	{ "group", required_argument, NULL, OPTION_GROUP },
	{ "map", required_argument, NULL, OPTION_MAP },
	{ "sub-uid", required_argument, NULL, OPTION_UID },
	{ "sub-gid", required_argument, NULL, OPTION_GID },
	{ "sub-count", required_argument, NULL, OPTION_COUNT },
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

static int parse_option(int key, const char *text, struct ids *ids)
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
	default:
		return -EINVAL;
	}
}

static int parse_arguments(int argc, char **argv, struct ids *ids)
{
	int key, r;

	memset(ids, 0, sizeof(*ids));
	while ((key = getopt_long(argc, argv, "", options, NULL)) != -1) {
		r = parse_option(key, optarg, ids);
		if (r < 0)
			return r;
	}
	return optind == argc ? ids_check(ids) : -EINVAL;
}

/* Waits for sandboxd and lets nobody else in. Closes the listening socket. */
static int accept_one(void)
{
	CLEANUP_FD int listener = LISTEN_FD;
	CLEANUP_FD int fd = -1;
	struct pollfd p = { listener, POLLIN, 0 };
	struct ucred peer;
	socklen_t size = sizeof(peer);

	(void)fcntl(listener, F_SETFD, FD_CLOEXEC); /* poll tells if it is no descriptor */
	if (poll(&p, 1, ACCEPT_MS) != 1)
		return -ETIMEDOUT;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
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
	int connection, r;

	r = parse_arguments(argc, argv, &ids);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox-keeper: bad arguments\n");
		return 2;
	}
	(void)setsid(); /* a terminal's signals are for sandboxd, which ends us its own way */
	connection = accept_one();
	if (connection < 0) {
		(void)fprintf(stderr, "sandbox-keeper: no connection: %s\n", strerror(-connection));
		return 1;
	}
	r = ids_enter(&ids);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox-keeper: user namespace: %s\n", strerror(-r));
		return 1;
	}
	r = keeper_serve(&keeper, &ids, connection);
	if (r < 0) {
		(void)fprintf(stderr, "sandbox-keeper: %s\n", strerror(-r));
		return 1;
	}
	return 0;
}
