/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts and namespaces: nobody inside changes what is seen, or makes a place where it could. */

#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int mount_things(char **argv)
{
	static const char *const types[] = { "tmpfs",   "proc",    "sysfs",    "devpts", "mqueue",
					     "cgroup",  "cgroup2", "overlay",  "bpf",    "debugfs",
					     "tracefs", "ramfs",   "devtmpfs", "fuse" };
	int holes = 0;

	(void)argv;
	(void)mkdir("/tmp/m", 0755);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		holes += tried(mount("none", "/tmp/m", types[i], 0, NULL) == 0, "mount %s",
			       types[i]);
	holes += tried(mount("/usr", "/tmp/m", NULL, MS_BIND, NULL) == 0, "bind /usr");
	holes += tried(mount("/", "/tmp/m", NULL, MS_BIND | MS_REC, NULL) == 0, "rbind /");
	holes += tried(mount("/dev/null", "/proc/1/comm", NULL, MS_BIND, NULL) == 0, "cover /proc");
	return holes;
}

static int change_mount(const char *path)
{
	int holes = 0;

	holes += tried(umount2(path, 0) == 0, "umount %s", path);
	holes += tried(umount2(path, MNT_DETACH) == 0, "detach %s", path);
	holes += tried(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL) == 0, "remount %s rw",
		       path);
	holes += tried(mount(NULL, path, NULL, MS_REMOUNT, NULL) == 0, "reconfigure %s", path);
	holes += tried(mount(path, "/tmp/m", NULL, MS_MOVE, NULL) == 0, "move %s", path);
	holes += tried(mount(NULL, path, NULL, MS_SHARED, NULL) == 0, "share %s", path);
	holes += tried(mount("none", path, "tmpfs", 0, NULL) == 0, "cover %s", path);
	return holes;
}

/* [PATH]...: mount points of ours inside, such as the workspace and its .git. */
static int change_mounts(char **argv)
{
	static const char *const own[] = {
		"/",         "/usr",        "/proc",         "/proc/sys", "/sys",
		"/dev",      "/dev/shm",    "/dev/pts",      "/tmp",      "/etc",
		"/dev/null", "/proc/kcore", "/sys/fs/cgroup"
	};
	int holes = 0;

	(void)mkdir("/tmp/m", 0755);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		holes += change_mount(own[i]);
	for (; *argv; argv++)
		holes += change_mount(*argv);
	return holes;
}

static int new_mount_api(char **argv)
{
	struct {
		uint64_t set, clear, propagation, userns;
	} attr = { .clear = 1 /* MOUNT_ATTR_RDONLY */ };
	int holes = 0;
	int fd;

	(void)argv;
	fd = (int)syscall(SYS_fsopen, "tmpfs", 0);
	holes += tried(fd >= 0, "fsopen tmpfs");
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/usr", 1 /* OPEN_TREE_CLONE */);
	holes += tried(fd >= 0, "open_tree clone /usr");
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", 1 | 0x8000 /* AT_RECURSIVE */);
	holes += tried(fd >= 0, "open_tree clone / recursive");
	holes += tried(syscall(SYS_fspick, AT_FDCWD, "/", 0) >= 0, "fspick /");
	holes += tried(syscall(SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/home", 0) == 0,
		       "move_mount /tmp");
	holes += tried(syscall(SYS_mount_setattr, AT_FDCWD, "/usr", 0, &attr, sizeof(attr)) == 0,
		       "mount_setattr /usr");
	holes += tried(syscall(SYS_pivot_root, "/tmp", "/tmp") == 0, "pivot_root");
	return holes;
}

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

static const struct {
	int flag;
	const char *name;
} namespaces[] = {
	{ CLONE_NEWUSER, "user" },     { CLONE_NEWNS, "mnt" },  { CLONE_NEWNET, "net" },
	{ CLONE_NEWPID, "pid" },       { CLONE_NEWIPC, "ipc" }, { CLONE_NEWUTS, "uts" },
	{ CLONE_NEWCGROUP, "cgroup" }, { 0x80, "time" },
};

/* A new user namespace gives every capability in it: none can be made, in whatever way. */
static int new_namespaces(char **argv)
{
	static char stack[65536] __attribute__((aligned(16)));
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		for (int user = 0; user < 2; user++) {
			int flags = namespaces[i].flag | (user ? CLONE_NEWUSER : 0);
			uint64_t args[8] = { (uint64_t)(unsigned)flags, 0, 0, 0, SIGCHLD };
			long pid;

			pid = fork();
			if (pid == 0)
				_exit(unshare(flags) == 0 ? 0 : errno ? errno : 255);
			int status = 0;
			(void)waitpid((pid_t)pid, &status, 0);
			errno = WEXITSTATUS(status);
			holes += tried(pid > 0 && status == 0, "unshare %s%s", namespaces[i].name,
				       user ? " + user" : "");
			if (namespaces[i].flag != 0x80) {
				pid = clone(nothing, stack + sizeof(stack), flags | SIGCHLD, NULL);
				holes += tried(pid > 0, "clone %s%s", namespaces[i].name,
					       user ? " + user" : "");
				if (pid > 0)
					(void)waitpid((pid_t)pid, NULL, 0);
			}
			pid = syscall(SYS_clone3, args, sizeof(args));
			if (pid == 0)
				_exit(0);
			holes += tried(pid > 0, "clone3 %s%s", namespaces[i].name,
				       user ? " + user" : "");
			if (pid > 0)
				(void)waitpid((pid_t)pid, NULL, 0);
		}
	}
	return holes;
}

static int join_namespaces(char **argv)
{
	static const char *const names[] = { "user", "mnt", "net", "pid", "ipc", "uts", "cgroup" };
	static const char *const of[] = { "1", "self", "thread-self" };
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (size_t j = 0; j < sizeof(of) / sizeof(of[0]); j++) {
			char path[64];
			int fd, parent;

			(void)snprintf(path, sizeof(path), "/proc/%s/ns/%s", of[j], names[i]);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0) {
				(void)tried(false, "open %s", path);
				continue;
			}
			holes += tried(setns(fd, 0) == 0, "setns %s", path);
			parent = (int)syscall(SYS_ioctl, fd, 0xb702UL /* NS_GET_PARENT */);
			holes += tried(parent >= 0, "NS_GET_PARENT of %s", path);
			parent = (int)syscall(SYS_ioctl, fd, 0xb701UL /* NS_GET_USERNS */);
			if (parent >= 0) { /* its own is no secret, its parent's is */
				int up = (int)syscall(SYS_ioctl, parent, 0xb702UL);

				holes += tried(up >= 0, "NS_GET_PARENT of the owner of %s", path);
			}
			(void)close(fd);
		}
	}
	return holes;
}

const struct attempt mount_attempts[] = {
	{ "mount-things", WHO_BOTH, NULL, mount_things },
	{ "change-mounts", WHO_BOTH, "PATH...", change_mounts },
	{ "new-mount-api", WHO_BOTH, NULL, new_mount_api },
	{ "new-namespaces", WHO_BOTH, NULL, new_namespaces },
	{ "join-namespaces", WHO_BOTH, NULL, join_namespaces },
	{ NULL, 0, NULL, NULL },
};
