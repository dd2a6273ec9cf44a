/* SPDX-License-Identifier: Apache-2.0 */
/* The search order is the contract's. What somebody names (argument or SANDBOXD_SOCKET) is meant:
 * then nothing else is tried, or a typo would send commands to another daemon. */

#include "socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "macro.h"
#include "sandboxd/client.h"

#define SOCKET_NAME "sandboxd.sock"

enum { CANDIDATE_XDG, CANDIDATE_RUN_USER, CANDIDATE_SYSTEM, CANDIDATE_TMP };

static int copy_path(char *buffer, size_t size, const char *path)
{
	size_t n = strlen(path);

	if (n >= size || n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -ENAMETOOLONG;
	memcpy(buffer, path, n + 1);
	return 0;
}

/* /tmp is everybody's: a directory there counts only if nobody else could have made it. */
static int check_tmp_dir(const char *socket_path)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct stat st;
	const char *slash = strrchr(socket_path, '/');
	size_t n = (size_t)(slash - socket_path);

	memcpy(dir, socket_path, n);
	dir[n] = '\0';
	if (lstat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 0077) != 0)
		return -EACCES;
	return 0;
}

static int default_candidate(unsigned index, char *buffer, size_t size)
{
	char path[128];
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int r;

	switch (index) {
	case CANDIDATE_XDG:
		if (!runtime || runtime[0] != '/')
			return default_candidate(CANDIDATE_RUN_USER, buffer, size);
		r = snprintf(path, sizeof path, "%s/sandboxd/" SOCKET_NAME, runtime);
		break;
	case CANDIDATE_RUN_USER:
		r = snprintf(path, sizeof path, "/run/user/%u/sandboxd/" SOCKET_NAME, geteuid());
		break;
	case CANDIDATE_SYSTEM:
		r = snprintf(path, sizeof path, "/run/sandboxd/" SOCKET_NAME);
		break;
	case CANDIDATE_TMP:
		r = snprintf(path, sizeof path, "/tmp/sandboxd-%u/" SOCKET_NAME, geteuid());
		break;
	default:
		return -ENOENT;
	}
	if (r < 0 || (size_t)r >= sizeof path)
		return -ENAMETOOLONG;
	return copy_path(buffer, size, path);
}

int sandboxd_socket_candidate(const char *given, unsigned index, char *buffer, size_t size)
{
	if (!given || given[0] == '\0')
		given = getenv("SANDBOXD_SOCKET");
	if (given && given[0] != '\0')
		return index == 0 ? copy_path(buffer, size, given) : -ENOENT;
	return default_candidate(index, buffer, size);
}

static bool is_tmp_candidate(const char *path)
{
	char candidate[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

	return default_candidate(CANDIDATE_TMP, candidate, sizeof candidate) == 0 &&
	       strcmp(path, candidate) == 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP_FD int fd = -1;
	int r;

	if (is_tmp_candidate(path)) {
		r = check_tmp_dir(path);
		if (r < 0)
			return r;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int socket_connect(const char *given, char *buffer, size_t size)
{
	int first_error = -ENOENT;

	for (unsigned i = 0;; i++) {
		int r = sandboxd_socket_candidate(given, i, buffer, size);

		if (r == -ENOENT)
			return first_error;
		if (r == 0)
			r = connect_to(buffer);
		if (r >= 0)
			return r;
		/* a place without a socket says less than one with a dead or forbidden one */
		if (first_error == -ENOENT)
			first_error = r;
	}
}
