/* SPDX-License-Identifier: Apache-2.0 */
/* Host files, and descriptors that were handed in. */

#include "escape.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Every argument is a path of the host's that must not open. */
static int read_paths(char **argv)
{
	int holes = 0;

	for (; *argv; argv++) {
		int fd = open(*argv, O_RDONLY | O_CLOEXEC);

		holes += tried(fd >= 0, "open %s for reading", *argv);
		if (fd >= 0)
			(void)close(fd);
		fd = open(*argv, O_WRONLY | O_CLOEXEC);
		holes += tried(fd >= 0, "open %s for writing", *argv);
		if (fd >= 0)
			(void)close(fd);
	}
	return holes;
}

/* Files that exist inside too, and whose content must not be the host's: PATH WORD pairs. */
static int not_host_content(char **argv)
{
	static char buffer[1 << 20];
	int holes = 0;

	for (; argv[0] && argv[1]; argv += 2) {
		int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
		ssize_t n = fd >= 0 ? read(fd, buffer, sizeof(buffer) - 1) : -1;

		if (n >= 0)
			buffer[n] = 0;
		holes += tried(n >= 0 && strstr(buffer, argv[1]), "find '%s' in %s", argv[1],
			       argv[0]);
		if (fd >= 0)
			(void)close(fd);
	}
	return holes;
}

/* Read-only parts of the sandbox: creating and writing must fail. */
static int write_system(char **argv)
{
	static const char *const dirs[] = { "/usr",  "/usr/bin",  "/usr/lib",      "/sys",
					    "/proc", "/proc/sys", "/sys/fs/cgroup" };
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char path[PATH_MAX];
		int fd;

		(void)snprintf(path, sizeof(path), "%s/escape-was-here", dirs[i]);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		holes += tried(fd >= 0, "create %s", path);
		if (fd >= 0) {
			(void)close(fd);
			(void)unlink(path);
		}
	}
	holes += tried(open("/usr/bin/true", O_WRONLY | O_CLOEXEC) >= 0, "write /usr/bin/true");
	return holes;
}

/* The sandbox's /dev nodes are the host's inodes: nobody inside changes them. */
static int change_devices(char **argv)
{
	static const char *const nodes[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					     "/dev/random", "/dev/urandom", "/dev/tty" };
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int fd = open(nodes[i], O_RDWR | O_CLOEXEC);

		holes += tried(chmod(nodes[i], 0600) == 0, "chmod %s", nodes[i]);
		holes += tried(chown(nodes[i], 0, 0) == 0, "chown %s 0", nodes[i]);
		holes += tried(chown(nodes[i], 1000, 1000) == 0, "chown %s 1000", nodes[i]);
		holes += tried(lchown(nodes[i], 1000, -1U) == 0, "lchown %s", nodes[i]);
		holes += tried(utimensat(AT_FDCWD, nodes[i], NULL, 0) == 0 && geteuid() == 12345,
			       "utimensat %s", nodes[i]);
		holes += tried(setxattr(nodes[i], "user.x", "y", 1, 0) == 0, "setxattr %s",
			       nodes[i]);
		if (fd < 0)
			continue;
		holes += tried(fchmod(fd, 0600) == 0, "fchmod %s", nodes[i]);
		holes += tried(fchown(fd, 1000, 1000) == 0, "fchown %s", nodes[i]);
		(void)close(fd);
	}
	return holes;
}

static int make_nodes(char **argv)
{
	static const struct {
		mode_t type;
		unsigned major;
		unsigned minor;
		const char *what;
	} nodes[] = {
		{ S_IFCHR, 1, 1, "mem" },       { S_IFCHR, 1, 3, "null" },
		{ S_IFCHR, 1, 11, "kmsg" },     { S_IFBLK, 254, 0, "vda" },
		{ S_IFBLK, 8, 0, "sda" },       { S_IFBLK, 7, 0, "loop0" },
		{ S_IFCHR, 10, 229, "fuse" },   { S_IFCHR, 10, 200, "tun" },
		{ S_IFCHR, 10, 237, "loop-c" }, { S_IFCHR, 5, 1, "console" },
	};
	const char *where[] = { ".", "/tmp", "/dev", "/dev/shm", "/home/agent" };
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		for (size_t j = 0; j < sizeof(where) / sizeof(where[0]); j++) {
			char path[PATH_MAX];
			dev_t dev = makedev(nodes[i].major, nodes[i].minor);
			int fd;

			(void)snprintf(path, sizeof(path), "%s/escape-node", where[j]);
			if (mknod(path, nodes[i].type | 0666, dev) != 0) {
				(void)tried(false, "mknod %s in %s", nodes[i].what, where[j]);
				continue;
			}
			fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
			holes += tried(true, "mknod %s in %s (opens: %d)", nodes[i].what, where[j],
				       fd >= 0);
			(void)unlink(path);
		}
	}
	return holes;
}

static bool is_link_to(const char *link, const char *prefix)
{
	return strncmp(link, prefix, strlen(prefix)) == 0;
}

/* Nothing but 0, 1, 2 is open, and those are pipes, sockets, ptys or harmless devices. */
static int only_stdio(char **argv)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int holes = 0;

	(void)argv;
	if (!d)
		return tried(true, "opendir /proc/self/fd failed");
	while ((e = readdir(d))) {
		char path[PATH_MAX], link[PATH_MAX];
		ssize_t n;
		int fd = atoi(e->d_name);

		if (e->d_name[0] == '.' || fd == dirfd(d))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = 0;
		errno = 0;
		holes += tried(fd > 2, "a descriptor beyond stdio, %d -> %s", fd, link);
		holes += tried(!is_link_to(link, "pipe:") && !is_link_to(link, "socket:") &&
				       !is_link_to(link, "/dev/"),
			       "%d is a file, %s", fd, link);
	}
	(void)closedir(d);
	return holes;
}

/* What was handed in opens again for no more than it was opened for, and has no path around it. */
static int reopen(char **argv)
{
	int holes = 0;

	(void)argv;
	for (int fd = 0; fd < 3; fd++) {
		char path[64];
		struct stat st;
		int again;

		if (fstat(fd, &st) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/..", fd);
		again = open(path, O_RDONLY | O_CLOEXEC);
		holes += tried(again >= 0, "open %s", path);
		again = openat(fd, "..", O_RDONLY | O_CLOEXEC);
		holes += tried(again >= 0, "openat %d ..", fd);
		again = openat(fd, "etc/shadow", O_RDONLY | O_CLOEXEC);
		holes += tried(again >= 0, "openat %d etc/shadow", fd);
		holes += tried(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode),
			       "%d is a file, directory or disk (mode %o)", fd,
			       (unsigned)st.st_mode);
		holes += tried(ftruncate(fd, 0) == 0, "ftruncate %d", fd);
		holes += tried(ftruncate(fd, 1L << 40) == 0, "a sparse TiB on %d", fd);
	}
	return holes;
}

/* Handles are file system wide, mounts do not matter to them. */
static int handles(char **argv)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} h = { .head = { .handle_bytes = 8, .handle_type = 1 } };
	int holes = 0;
	int fd;

	(void)argv;
	h.bytes[0] = 2; /* the root inode of ext4 */
	for (int i = 0; i < 2; i++) {
		int at = open(i ? "/usr" : ".", O_RDONLY | O_CLOEXEC);

		fd = open_by_handle_at(at, &h.head, O_RDONLY);
		holes += tried(fd >= 0, "open_by_handle_at of inode 2");
		(void)close(at);
	}
	return holes;
}

/* Up and out: chroot twice, `..` beyond the root. */
static int chroot_out(char **argv)
{
	int holes = 0;

	if (mkdir("/tmp/jail", 0755) < 0 && errno != EEXIST)
		return tried(false, "mkdir /tmp/jail");
	if (chroot("/tmp/jail") < 0)
		return tried(false, "chroot");
	for (int i = 0; i < 100; i++)
		(void)!chdir(".."); /* whether one fails does not matter */
	(void)!chroot(".");
	for (; *argv; argv++)
		holes += tried(access(*argv, F_OK) == 0, "reach %s after chroot", *argv);
	return holes;
}

const struct attempt files_attempts[] = {
	{ "read-paths", WHO_BOTH, "PATH...", read_paths },
	{ "not-host-content", WHO_BOTH, "PATH WORD...", not_host_content },
	{ "write-system", WHO_BOTH, NULL, write_system },
	{ "change-devices", WHO_BOTH, NULL, change_devices },
	{ "make-nodes", WHO_BOTH, NULL, make_nodes },
	{ "only-stdio", WHO_BOTH, NULL, only_stdio },
	{ "reopen", WHO_BOTH, NULL, reopen },
	{ "handles", WHO_BOTH, NULL, handles },
	{ "chroot-out", WHO_BOTH, "PATH...", chroot_out },
	{ NULL, 0, NULL, NULL },
};
