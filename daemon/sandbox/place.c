/* SPDX-License-Identifier: Apache-2.0 */
/* A user's runtime directory is 0700 and may lie in /tmp, where others can make one first: then its
 * owner is not us, and we refuse. The system daemon's is 0755, and the socket's group is the access
 * list. */

#include "sandbox/place.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/config.h"
#include "util/fd.h"
#include "util/id.h"
#include "util/log.h"
#include "util/path.h"
#include "util/strings.h"

#define LOCK_TRIES 100
#define LOCK_WAIT_MS 20
#define SOCKET_NAME "sandboxd.sock"
#define SOCKET_BACKLOG 512
#define SOCKET_PATH_MAX 100 /* docs/protocol.md, Socket */
#define RUNTIME_NAMES_MAX (sizeof("/sandboxes/") - 1 + ID_SIZE - 1 + sizeof("/init.sock"))

static int make_dir(const char *what, const char *path, mode_t mode, uid_t uid)
{
	CLEANUP_STR char *parent = NULL;
	char *slash;
	int r;

	if (!path) {
		log_error("there is no %s: set HOME, or use --%s-dir", what, what);
		return -ENOENT;
	}
	parent = strdup(path);
	if (!parent)
		return -ENOMEM;
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		r = path_make(parent, 0755);
		if (r < 0)
			return log_errno(LOG_LEVEL_ERROR, r, "cannot make %s", parent);
	}
	r = path_make_private(path, mode, uid);
	if (r == -EPERM)
		log_error("%s belongs to somebody else, or is a link: choose another --%s-dir",
			  path, what);
	else if (r < 0)
		log_errno(LOG_LEVEL_ERROR, r, "cannot make %s", path);
	return r;
}

int place_make(const struct config *config, uid_t uid)
{
	int r;

	if (strlen(config->runtime_dir) + RUNTIME_NAMES_MAX > SOCKET_PATH_MAX) {
		log_error("%s is too long a path: sockets below it must stay under %d bytes",
			  config->runtime_dir, SOCKET_PATH_MAX);
		return -ENAMETOOLONG;
	}
	r = make_dir("state", config->state_dir, uid == 0 ? 0711 : 0700, uid);
	if (r < 0)
		return r;
	return make_dir("runtime", config->runtime_dir, uid == 0 ? 0755 : 0700, uid);
}

/* Says in the lock file who holds it. */
static void sign_lock(int fd)
{
	CLEANUP_STR char *text = string_format("%d\n", getpid());

	if (text && ftruncate(fd, 0) == 0)
		(void)pwrite(fd, text, strlen(text), 0); /* on a full disk it stays empty */
}

/* Who signed the lock, or 0. */
static pid_t lock_signer(int fd)
{
	char text[32];
	size_t n = fd_read_at(fd, text, sizeof(text) - 1, 0);

	text[n] = '\0';
	return atoi(text) > 0 ? atoi(text) : 0;
}

static void tell_other(const struct config *config, int fd)
{
	pid_t pid = lock_signer(fd);

	if (pid > 0)
		log_error("another sandboxd (process %d) works in %s", (int)pid, config->state_dir);
	else
		log_error("another sandboxd works in %s", config->state_dir);
}

/* Of a daemon that was killed, what it had just forked has the lock until it dies, too. Returns 0
 * or negative errno. */
static int take_lock(int fd)
{
	const struct timespec wait = { .tv_nsec = LOCK_WAIT_MS * 1000000L };
	int tries = LOCK_TRIES, r;
	pid_t pid;

	for (;;) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		r = -errno;
		pid = r == -EWOULDBLOCK && --tries > 0 ? lock_signer(fd) : 0;
		if (pid == 0 || kill(pid, 0) == 0 || errno != ESRCH)
			return r;
		(void)nanosleep(&wait, NULL);
	}
}

int place_lock(const struct config *config)
{
	CLEANUP_STR char *path = string_format("%s/lock", config->state_dir);
	CLEANUP_FD int fd = -1;
	int r;

	if (!path)
		return -ENOMEM;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		r = -errno;
		return log_errno(LOG_LEVEL_ERROR, r, "cannot open %s", path);
	}
	r = take_lock(fd);
	if (r < 0) {
		if (r == -EWOULDBLOCK)
			tell_other(config, fd);
		else
			log_errno(LOG_LEVEL_ERROR, r, "cannot lock %s", path);
		return r;
	}
	sign_lock(fd);
	return TAKE_FD(fd);
}

int place_lock_runtime(const struct config *config)
{
	CLEANUP_FD int fd = open(config->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return TAKE_FD(fd);
	r = -errno;
	if (r == -EWOULDBLOCK)
		log_error("another sandboxd, with other state, has its sockets in %s: choose "
			  "another --runtime-dir",
			  config->runtime_dir);
	else
		log_errno(LOG_LEVEL_ERROR, r, "cannot lock %s", config->runtime_dir);
	return r;
}

/* The socket of a service manager, or -1. */
static int inherited_socket(void)
{
	int n = sd_listen_fds(1);

	if (n <= 0)
		return -1;
	if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0) {
		log_warning("what the service manager passed is not one listening stream socket, "
			    "ignoring it");
		return -1;
	}
	return SD_LISTEN_FDS_START;
}

/* The group that may use the system daemon, or -1. */
static gid_t socket_group(const struct config *config)
{
	const struct group *g = getgrnam(config->socket_group);

	return g ? g->gr_gid : (gid_t)-1;
}

int place_listen(const struct config *config, uid_t uid, bool *ret_ours)
{
	CLEANUP_STR char *path = string_format("%s/" SOCKET_NAME, config->runtime_dir);
	gid_t group = uid == 0 ? socket_group(config) : (gid_t)-1;
	CLEANUP_FD int fd = inherited_socket();
	int r;

	*ret_ours = false;
	if (fd >= 0) {
		r = fd_set_nonblock(fd);
		/* again, so that SO_PEERCRED shows clients the daemon and not the service manager
		 */
		if (r == 0 && listen(fd, SOCKET_BACKLOG) < 0)
			r = -errno;
		return r < 0 ? log_errno(LOG_LEVEL_ERROR, r,
					 "cannot listen on the socket that was "
					 "passed")
			     : TAKE_FD(fd);
	}
	if (!path)
		return -ENOMEM;
	fd = fd_listen_unix(path, SOCK_STREAM, 0600, SOCKET_BACKLOG);
	if (fd < 0)
		return log_errno(LOG_LEVEL_ERROR, fd, "cannot listen on %s", path);
	if (group != (gid_t)-1 && (chown(path, 0, group) < 0 || chmod(path, 0660) < 0))
		log_errno(LOG_LEVEL_WARNING, -errno, "only root can use %s", path);
	*ret_ours = true;
	log_info("listening on %s", path);
	return TAKE_FD(fd);
}

void place_unlink_socket(const struct config *config)
{
	CLEANUP_STR char *path = string_format("%s/" SOCKET_NAME, config->runtime_dir);

	if (path)
		(void)unlink(path); /* the next daemon replaces it */
}
