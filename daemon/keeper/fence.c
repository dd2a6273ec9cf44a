/* SPDX-License-Identifier: Apache-2.0 */
/* user.* sysctls belong to the user namespace of the process that opens them, not to the mount they
 * are opened through. The keeper's own /proc would do, but there the kernel keeps one entry "user"
 * for each user namespace under the same name, and looks at all of them for a new one: with a
 * thousand sandboxes that takes milliseconds. So the sandbox's own is used, in which nothing but
 * our init has run yet, and a copy of that mount: in the sandbox /proc/sys is read-only. */

#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bounds.h"
#include "enter.h"
#include "files.h"
#include "macro.h"

#define STRING_OF(value) #value
#define STRING(value) STRING_OF(value)

static const struct {
	const char *path;
	const char *value;
} limits[] = {
	{ "sys/user/max_user_namespaces", "0" },
	{ "sys/user/max_mnt_namespaces", STRING(SANDBOX_MNT_NAMESPACES_MAX) },
	/* inotify counts per host user: what one sandbox takes, its owner lacks */
	{ "sys/user/max_inotify_instances", "64" },
	{ "sys/user/max_inotify_watches", "32768" },
};

int fence_loopback_up(void *arg)
{
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request;

	(void)arg;
	memset(&request, 0, sizeof(request));
	memcpy(request.ifr_name, "lo", sizeof("lo"));
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return -errno;
	return 0;
}

static int raise_inside(void *arg)
{
	const bool *own_network = arg;
	int proc = open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	size_t i;
	int r;

	if (proc < 0)
		return -errno;
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		r = file_put_at(proc, limits[i].path, limits[i].value);
		if (r < 0)
			return r;
	}
	/* the copy is left to the worker's end: taking a mount away waits for all processors */
	return *own_network ? fence_loopback_up(NULL) : 0;
}

int fence_raise(int pidfd, bool own_network)
{
	return enter_run(pidfd, CLONE_NEWNS | (own_network ? CLONE_NEWNET : 0), raise_inside,
			 &own_network);
}

int fence_check_seccomp(pid_t pid)
{
	char path[64], text[4096];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	n = file_get_at(AT_FDCWD, path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	return strstr(text, "\nSeccomp:\t2\n") ? 0 : -EPERM;
}
