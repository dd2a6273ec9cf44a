/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's user namespace is a child of its keeper's. The kernel tells a namespace's parent as
 * long as it is not above our own (ioctl_ns(2)), so the walk up from a peer either meets a
 * keeper's, or ours, or EPERM. */

#include "sandbox/peer.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "macro.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"

#define USERNS_DEPTH_MAX 33 /* the kernel's own limit is 32 levels */

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int stat_userns(pid_t pid, struct stat *st, int *ret_fd)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0) {
		(void)close_fd(fd);
		return -errno;
	}
	*ret_fd = fd;
	return 0;
}

static bool is_sandboxed(const struct manager *m, pid_t pid)
{
	CLEANUP_FD int own_fd = -1;
	CLEANUP_FD int fd = -1;
	struct stat own, st;
	unsigned depth;
	int parent;

	if (pid <= 0 || stat_userns(getpid(), &own, &own_fd) < 0 || stat_userns(pid, &st, &fd) < 0)
		return true;
	for (depth = 0; depth < USERNS_DEPTH_MAX; depth++) {
		if (same(&own, &st))
			return false;
		if (keeper_table_owns_userns(m, st.st_dev, st.st_ino))
			return true;
		parent = ioctl(fd, NS_GET_PARENT);
		if (parent < 0)
			return true; /* EPERM: not below ours, so nothing we know */
		(void)close_fd(fd);
		fd = parent;
		if (fstat(fd, &st) < 0)
			return true;
	}
	return true;
}

bool peer_admit(uid_t uid, pid_t pid, void *userdata)
{
	const struct manager *m = userdata;

	if (uid == 0)
		return true; /* host root is in no keeper's map, so this is not an agent */
	if (!m->is_root && uid != m->uid)
		return false;
	return !is_sandboxed(m, pid);
}
