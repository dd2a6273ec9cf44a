/* SPDX-License-Identifier: Apache-2.0 */
/* close(2) may wait for as long as a stranger likes: a TCP socket with SO_LINGER whose peer does
 * not read, a file of a FUSE that does not answer the flush, and whatever holds one of these in a
 * queue of its own. So only what cannot is closed here. The rest is closed by a child that shares
 * our descriptors, as systemd does; a second it is given. Its parent is gone at once, so that it is
 * nobody's to reap but the system's. */

#include "util/dispose.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "macro.h"

#define PATIENCE 1         /* seconds */
#define DRAIN_MESSAGES 512 /* more than a socket's buffer holds of the smallest */
#define FDS_PER_MESSAGE 253
#define MAJOR_MEMORY 1
#define MAJOR_PTS_FIRST 136
#define MAJOR_PTS_LAST 143

/* Asks no file system, which might not answer either. */
static bool closes_at_once(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return false;
	if (S_ISFIFO(st.stx_mode))
		return true;
	return S_ISCHR(st.stx_mode) &&
	       (st.stx_rdev_major == MAJOR_MEMORY ||
		(st.stx_rdev_major >= MAJOR_PTS_FIRST && st.stx_rdev_major <= MAJOR_PTS_LAST));
}

/* A copy of this process but for the descriptors, which are the same. */
static pid_t sibling(void)
{
	return (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
}

static void __attribute__((noreturn)) close_patiently(int fd)
{
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(PATIENCE); /* the descriptor is gone by then, whatever the end of it takes */
	(void)close(fd);
	_exit(0);
}

int dispose_fd(int fd)
{
	pid_t pid;

	if (fd < 0)
		return -1;
	if (closes_at_once(fd))
		return close_fd(fd);
	pid = sibling();
	if (pid < 0)
		return close_fd(fd); /* no process to be had: rather wait than leak */
	if (pid == 0) {
		if (sibling() == 0)
			close_patiently(fd);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return -1;
}

static void dispose_passed(struct msghdr *m)
{
	struct cmsghdr *c;
	size_t i, n;
	int passed;

	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&passed, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			(void)dispose_fd(passed);
		}
	}
}

int dispose_connection(int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
	char data[4096];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m;
	unsigned i;

	if (fd < 0)
		return -1;
	/* nothing can be added any more, and what was sent can still be read */
	if (shutdown(fd, SHUT_RDWR) < 0)
		return close_fd(fd); /* never connected */
	for (i = 0; i < DRAIN_MESSAGES; i++) {
		m = (struct msghdr){ .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control) };
		if (recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			break;
		dispose_passed(&m);
	}
	return close_fd(fd);
}
