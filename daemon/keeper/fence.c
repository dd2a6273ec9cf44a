/* SPDX-License-Identifier: Apache-2.0 */
/* user.* sysctls belong to the user namespace of the process that opens them, not to the mount they
 * are opened through, so the helper enters only the user namespace and uses the keeper's own /proc:
 * nothing the sandbox could have prepared is touched. */

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
	{ "/proc/sys/user/max_user_namespaces", "0" },
	{ "/proc/sys/user/max_mnt_namespaces", STRING(SANDBOX_MNT_NAMESPACES_MAX) },
	/* inotify counts per host user: what one sandbox takes, its owner lacks */
	{ "/proc/sys/user/max_inotify_instances", "64" },
	{ "/proc/sys/user/max_inotify_watches", "32768" },
};

static int limit_inside(void *arg)
{
	size_t i;
	int r;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		r = file_put_at(AT_FDCWD, limits[i].path, limits[i].value);
		if (r < 0)
			return r;
	}
	return 0;
}

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

int fence_raise(int pidfd, bool own_network)
{
	int r;

	r = enter_run(pidfd, 0, limit_inside, NULL);
	if (r < 0 || !own_network)
		return r;
	return enter_run(pidfd, CLONE_NEWNET, fence_loopback_up, NULL);
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
