/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "macro.h"
#include "sandboxd/client.h"
#include "util/path.h"

static char *if_executable(const char *dir, const char *rest)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, rest) < 0)
		return NULL;
	if (access(path, X_OK) == 0)
		return path;
	free(path);
	return NULL;
}

static char *search_path(void)
{
	const char *at = getenv("PATH");
	char *found = NULL;

	while (at && *at && !found) {
		size_t n = strcspn(at, ":");
		CLEANUP_STR char *dir = strndup(at, n);

		if (dir && dir[0] == '/')
			found = if_executable(dir, "sandboxd");
		at += n + (at[n] == ':');
	}
	return found;
}

char *daemon_process_program(void)
{
	static const char *const beside[] = {
		"../../daemon/sandboxd", /* build tree */
		"../daemon/sandboxd",    "sandboxd",
		"../sbin/sandboxd",      "../libexec/sandboxd/sandboxd",
	};
	CLEANUP_STR char *dir = NULL;
	char *found = NULL;

	if (path_of_self(&dir) == 0)
		for (size_t i = 0; !found && i < ARRAY_SIZE(beside); i++)
			found = if_executable(dir, beside[i]);
	return found ? found : search_path();
}

char *daemon_process_state_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	int n;

	if (geteuid() == 0)
		return strdup("/var/lib/sandboxd");
	if (state && state[0] == '/')
		n = asprintf(&path, "%s/sandboxd", state);
	else if (home && home[0] == '/')
		n = asprintf(&path, "%s/.local/state/sandboxd", home);
	else
		return NULL;
	return n < 0 ? NULL : path;
}

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int log)
{
	sigset_t none;
	int r;

	sigemptyset(&none);
	r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, log, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, log, STDERR_FILENO);
	if (r ==
	    0) /* or whoever waits for the end of a pipe that we were given waits for the daemon */
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setflags(attributes,
					     POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	return -r;
}

int daemon_process_spawn(char *const argv[], int log)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid = -1;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	r = prepare(&actions, &attributes, log);
	if (r == 0)
		r = -posix_spawn(&pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return r < 0 ? r : pidfd_of(pid);
}

/* A connection that was made before a daemon took the socket over shows who made the socket: a
 * service manager, which is not ours to end. */
static bool is_sandboxd(pid_t pid)
{
	char path[64], name[32] = "";
	ssize_t n;
	CLEANUP_FD int fd = -1;

	(void)snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
	return n > 0 && strcmp(name, "sandboxd\n") == 0;
}

int daemon_process_of(const struct sandboxd_client *c, pid_t *ret_pid)
{
	CLEANUP_FD int fd = -1;
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (getsockopt(sandboxd_get_fd(c), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (peer.pid <= 1)
		return -ESRCH; /* in another pid namespace */
	*ret_pid = peer.pid;
	fd = pidfd_of(peer.pid);
	if (fd < 0 || is_sandboxd(peer.pid))
		return TAKE_FD(fd);
	return -ESRCH;
}
