/* SPDX-License-Identifier: Apache-2.0 */
/* The namespace of an idmapped mount is never entered: a child makes it, root fills in its maps
 * from outside, and once it is open the child goes. See mount_setattr(2), "ID mapping". */

#include "sandbox/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "macro.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static int write_map(pid_t pid, const char *file, const char *text)
{
	char path[64];
	CLEANUP_FD int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file); /* always fits */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

static int fill(pid_t pid, uid_t base, uint32_t count, int *ret_fd)
{
	char path[64], map[128];
	int r;

	(void)snprintf(map, sizeof(map), "0 %u 1\n%u %u %u\n", base, base + 1, base + 1,
		       count - 1); /* always fits */
	r = write_map(pid, "uid_map", map);
	if (r == 0)
		r = write_map(pid, "gid_map", map);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid); /* always fits */
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

int idmap_new(uid_t base, uint32_t count, int *ret_fd)
{
	/* A raw clone like fork, so that the child is born inside and there is nothing to wait for.
	 * It touches nothing of libevent or stdio before it is killed. */
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		for (;;)
			(void)pause(); /* until killed */
	r = fill(pid, base, count, ret_fd);
	(void)kill(pid, SIGKILL); /* ours, not reaped yet: the pid is right */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

int idmap_mount(int dir, int idmap, int *ret_fd)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)idmap };
	CLEANUP_FD int fd =
		(int)syscall(SYS_open_tree, dir, "",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) <
	    0)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
