/* SPDX-License-Identifier: Apache-2.0 */
/* Raising one's own limits, and making cgroups. */

#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_cgroup_files;

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)ftw;
	if (type == FTW_D) {
		char child[PATH_MAX];

		if (snprintf(child, sizeof(child), "%s/escape", path) < (int)sizeof(child) &&
		    mkdir(child, 0755) == 0) {
			open_cgroup_files += tried(true, "make the cgroup %s", child);
			(void)rmdir(child);
		}
	} else {
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd >= 0)
			open_cgroup_files += tried(true, "open %s for writing", path);
		if (fd >= 0)
			(void)close(fd);
		if (chmod(path, 0666) == 0)
			open_cgroup_files += tried(true, "chmod %s", path);
	}
	return 0;
}

static int write_cgroups(char **argv)
{
	(void)argv;
	(void)nftw("/sys/fs/cgroup", on_entry, 16, FTW_PHYS);
	errno = EROFS;
	(void)tried(false, "write below /sys/fs/cgroup");
	return open_cgroup_files;
}

static int mount_cgroups(char **argv)
{
	static const char *const controllers[] = { "memory",           "pids",    "cpu",
						   "freezer",          "devices", "cpuset",
						   "none,name=systemd" };
	int holes = 0;

	(void)argv;
	(void)mkdir("/tmp/cg", 0755);
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		holes += tried(mount("cgroup", "/tmp/cg", "cgroup", 0, controllers[i]) == 0,
			       "mount cgroup %s", controllers[i]);
	holes += tried(mount("cgroup2", "/tmp/cg", "cgroup2", 0, NULL) == 0, "mount cgroup2");
	holes += tried(syscall(SYS_fsopen, "cgroup", 0) >= 0, "fsopen cgroup");
	holes += tried(syscall(SYS_fsopen, "cgroup2", 0) >= 0, "fsopen cgroup2");
	return holes;
}

static int raise_rlimits(char **argv)
{
	static const struct {
		int what;
		const char *name;
	} limits[] = { { RLIMIT_NPROC, "NPROC" },
		       { RLIMIT_NOFILE, "NOFILE" },
		       { RLIMIT_MEMLOCK, "MEMLOCK" },
		       { RLIMIT_CORE, "CORE" } };
	int holes = 0;
	int fd;

	(void)argv;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit now, more;

		if (getrlimit((__rlimit_resource_t)limits[i].what, &now) < 0 ||
		    now.rlim_max == RLIM_INFINITY)
			continue;
		more.rlim_cur = more.rlim_max = now.rlim_max + 1;
		holes += tried(setrlimit((__rlimit_resource_t)limits[i].what, &more) == 0,
			       "raise %s beyond %lu", limits[i].name, (unsigned long)now.rlim_max);
		if (prlimit(1, (__rlimit_resource_t)limits[i].what, NULL, &now) < 0 ||
		    now.rlim_max == RLIM_INFINITY)
			continue;
		more.rlim_cur = more.rlim_max = now.rlim_max + 1;
		holes += tried(prlimit(1, (__rlimit_resource_t)limits[i].what, &more, NULL) == 0,
			       "raise %s of 1", limits[i].name);
	}
	for (size_t i = 0; i < 2; i++) {
		const char *path = i ? "/proc/1/oom_score_adj" : "/proc/self/oom_score_adj";

		fd = open(path, O_WRONLY | O_CLOEXEC);
		holes += tried(fd >= 0 && write(fd, "-1000", 5) == 5, "-1000 to %s", path);
		if (fd >= 0)
			(void)close(fd);
	}
	return holes;
}

static int be_nice(char **argv)
{
	struct {
		int priority;
	} param = { 50 };
	int holes = 0;

	(void)argv;
	errno = 0;
	holes += tried(setpriority(PRIO_PROCESS, 0, -20) == 0, "nice -20");
	holes += tried(syscall(SYS_sched_setscheduler, 0, 1, &param) == 0, "SCHED_FIFO");
	return holes;
}

const struct attempt limits_attempts[] = {
	{ "write-cgroups", WHO_BOTH, NULL, write_cgroups },
	{ "mount-cgroups", WHO_BOTH, NULL, mount_cgroups },
	{ "raise-rlimits", WHO_BOTH, NULL, raise_rlimits },
	{ "be-nice", WHO_BOTH, NULL, be_nice },
	{ NULL, 0, NULL, NULL },
};
