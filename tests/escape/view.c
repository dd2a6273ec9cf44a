/* SPDX-License-Identifier: Apache-2.0 */
/* Out of the view of a read-only stage: into another mount namespace, through the mounts of its
 * own, through whatever leads to a file in another way, through a neighbour. */

#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH_HALF 0x100000000L

static int enter(int fd, const char *path, long type)
{
	return tried(syscall(SYS_setns, fd, type) == 0, "setns %s %#lx", path, (unsigned long)type);
}

/* Every namespace that can be opened, of every process, with every type that passes. */
static int view_namespaces(char **argv)
{
	static const long types[] = { 0,
				      CLONE_NEWNS,
				      CLONE_NEWNET,
				      CLONE_NEWNS | CLONE_NEWNET,
				      HIGH_HALF | CLONE_NEWNS,
				      CLONE_NEWUSER | CLONE_NEWNS };
	static const char *const names[] = { "mnt", "net", "user", "uts", "pid" };
	int holes = 0;

	(void)argv;
	for (int pid = 0; pid < 64; pid++) {
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			char path[64];
			int fd;

			(void)snprintf(path, sizeof(path),
				       pid == 0 ? "/proc/self/ns/%s" : "/proc/%2$d/ns/%1$s",
				       names[i], pid);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++)
				holes += enter(fd, path, types[k]);
			(void)close(fd);
		}
	}
	for (pid_t pid = 1; pid < 64; pid++) {
		int fd = (int)syscall(SYS_pidfd_open, pid, 0);

		if (fd < 0)
			continue;
		holes += enter(fd, "a pidfd", CLONE_NEWNS);
		holes += enter(fd, "a pidfd", CLONE_NEWNET | CLONE_NEWNS);
		(void)close(fd);
	}
	return holes;
}

/* WORKSPACE: its mount, and what is mounted on it. */
static int view_remount(char **argv)
{
	struct mount_attr attr = { .attr_clr = MOUNT_ATTR_RDONLY };
	const char *ws = argv[0];
	int holes = 0, fd;

	holes += tried(mount(NULL, ws, NULL, MS_REMOUNT | MS_BIND, NULL) == 0, "remount rw");
	holes += tried(mount(NULL, ws, NULL, MS_REMOUNT, NULL) == 0, "reconfigure");
	holes += tried(mount(ws, "/tmp", NULL, MS_BIND | MS_REC, NULL) == 0, "bind to /tmp");
	holes += tried(mount(ws, "/mnt", NULL, MS_BIND, NULL) == 0, "bind to /mnt");
	holes += tried(umount2(ws, MNT_DETACH) == 0, "detach");
	holes += tried(umount2(ws, 0) == 0, "umount");
	fd = (int)syscall(SYS_open_tree, AT_FDCWD, ws, 1 /* OPEN_TREE_CLONE */);
	holes += tried(fd >= 0, "open_tree");
	holes += tried(syscall(SYS_mount_setattr, AT_FDCWD, ws, 0, &attr, sizeof(attr)) == 0,
		       "mount_setattr");
	holes += tried(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0x8000 /* AT_RECURSIVE */, &attr,
			       sizeof(attr)) == 0,
		       "mount_setattr of everything");
	holes += tried(syscall(SYS_unshare, CLONE_NEWNS) == 0, "unshare mounts");
	holes += tried(syscall(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS) == 0, "unshare user");
	holes += tried(syscall(SYS_pivot_root, ws, ws) == 0, "pivot_root");
	return holes;
}

static int write_new(const char *dir, const char *how)
{
	char path[640];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/written", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		(void)close(fd);
	return tried(fd >= 0, "%s (%s)", how, path);
}

static int by_handle(const char *file)
{
	struct {
		unsigned bytes;
		int type;
		unsigned char data[128];
	} handle = { sizeof(handle.data), 0, { 0 } };
	int id, dir, fd;

	if (syscall(SYS_name_to_handle_at, AT_FDCWD, file, &handle, &id, 0) < 0)
		return tried(false, "name_to_handle_at");
	dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = (int)syscall(SYS_open_by_handle_at, dir, &handle, O_RDWR);
	return tried(fd >= 0, "open_by_handle_at");
}

/* WORKSPACE, which holds this program: every other way to a file of it. */
static int view_write(char **argv)
{
	const char *ws = argv[0];
	char file[512], path[600];
	int holes = 0, fd, dir, tmp;

	(void)snprintf(file, sizeof(file), "%s/escape", ws);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	dir = open(ws, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	holes += tried(open(path, O_RDWR | O_CLOEXEC) >= 0, "reopen the file for writing");
	holes += tried(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0, "truncate through a link");
	holes += tried(truncate(path, 0) == 0, "truncate(2) through a link");
	holes += tried(openat(dir, ".", O_TMPFILE | O_RDWR, 0600) >= 0, "an unnamed file");
	holes += tried(linkat(fd, "", dir, "linked", AT_EMPTY_PATH) == 0, "linkat by descriptor");
	holes += tried(linkat(AT_FDCWD, file, AT_FDCWD, "/tmp/linked", 0) == 0, "link to /tmp");
	holes += tried(rename(file, "/tmp/renamed") == 0, "rename to /tmp");
	holes += tried(fchmod(fd, 0777) == 0, "fchmod");
	holes += tried(fchown(fd, getuid(), getgid()) == 0, "fchown");
	holes += tried(futimens(fd, NULL) == 0, "futimens");
	holes += tried(syscall(SYS_fsetxattr, fd, "user.x", "y", 1L, 0L) == 0, "fsetxattr");
	holes += tried(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED, "map to write");
	holes += tried(syscall(SYS_fallocate, fd, 0, 0L, 1L) == 0, "fallocate");
	tmp = open("/tmp/t", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	holes += tried(syscall(SYS_copy_file_range, tmp, NULL, fd, NULL, 1L, 0) > 0,
		       "copy_file_range");
	holes += by_handle(file);
	(void)snprintf(path, sizeof(path), "/proc/1/root%s", ws);
	holes += write_new(path, "through the root of 1");
	(void)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)getppid(), ws);
	holes += write_new(path, "through the root of the parent");
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/root%s", (int)getpid(), ws);
	holes += write_new(path, "through the own task");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	holes += write_new(path, "through a directory's descriptor");
	if (geteuid() == 0) {
		holes += tried(chroot(ws) == 0 && write_new("/", "after chroot") > 0, "chroot");
	}
	return holes;
}

/* PID WORKSPACE: another process of this user. */
static int view_neighbour(char **argv)
{
	static const char *const ways[] = { "root", "cwd" };
	char path[600];
	int holes = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		(void)snprintf(path, sizeof(path), "/proc/%s/%s%s", argv[0], ways[i],
			       i == 0 ? argv[1] : "");
		holes += write_new(path, ways[i]);
	}
	return holes;
}

const struct attempt view_attempts[] = {
	{ "view-namespaces", WHO_BOTH, NULL, view_namespaces },
	{ "view-remount", WHO_BOTH, "WORKSPACE", view_remount },
	{ "view-write", WHO_BOTH, "WORKSPACE", view_write },
	{ "view-neighbour", WHO_BOTH, "PID WORKSPACE", view_neighbour },
	{ NULL, 0, NULL, NULL },
};
