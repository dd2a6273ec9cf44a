/* SPDX-License-Identifier: Apache-2.0 */
/* The pidfd comes first and is looked at again last: then what was read in between from /proc/PID
 * was of the process that it names. An unprivileged daemon may do all this too: it owns its
 * keeper's user namespace. */

#include "sandbox/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "util/fd.h"
#include "util/strings.h"

#define STAT_MAX 4096

static int open_user_namespace(pid_t pid)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int check_below(pid_t pid, pid_t above)
{
	CLEANUP_FD int own = open_user_namespace(pid);
	CLEANUP_FD int wanted = open_user_namespace(above);
	CLEANUP_FD int parent = -1;
	struct stat a, b;

	if (own < 0 || wanted < 0)
		return own < 0 ? own : wanted;
	parent = ioctl(own, NS_GET_PARENT);
	if (parent < 0 || fstat(parent, &a) < 0 || fstat(wanted, &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -EPERM;
}

int process_hold_below(pid_t pid, pid_t above)
{
	CLEANUP_FD int pidfd = -1;
	int r;

	if (pid <= 1)
		return -EINVAL;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return -errno;
	r = check_below(pid, above);
	if (r < 0)
		return r;
	if (pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
		return -errno;
	return TAKE_FD(pidfd);
}

int process_namespace_above(pid_t pid, int pidfd)
{
	CLEANUP_FD int own = open_user_namespace(pid);
	CLEANUP_FD int parent = -1;
	struct stat a, b;

	if (own < 0)
		return own;
	if (pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
		return -errno; /* then PID may have been another's */
	parent = ioctl(own, NS_GET_PARENT);
	if (parent < 0 || fstat(parent, &a) < 0 || stat("/proc/self/ns/user", &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? -EPERM : TAKE_FD(parent);
}

/* Field 22, behind the name, which may hold anything but is the last to have a parenthesis. */
uint64_t process_since(pid_t pid)
{
	CLEANUP_STR char *text = NULL;
	char path[32];
	unsigned long long since;
	const char *rest;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid <= 0 || fd_read_file(AT_FDCWD, path, STAT_MAX, &text, NULL) < 0)
		return 0;
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest,
			    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
			    "%*d %*d %*d %*d %llu",
			    &since) != 1)
		return 0;
	return since;
}

int process_hold(pid_t pid, uint64_t since)
{
	CLEANUP_FD int pidfd = -1;

	if (pid <= 1 || since == 0)
		return -ESRCH;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return -errno;
	if (process_since(pid) != since || pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
		return -ESRCH;
	return TAKE_FD(pidfd);
}

void process_kill(int pidfd)
{
	if (pidfd >= 0)
		(void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0); /* it may have ended */
}
