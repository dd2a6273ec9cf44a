/* SPDX-License-Identifier: Apache-2.0 */
/* setuid and setgid bits on files that the host sees: a root-owned or agent-owned setuid file in
 * the workspace would be a way out when somebody runs it there. Looked at is the file, not what
 * the call said. */

#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_NAME "escape-setid"

static const mode_t bits[] = { 04755, 02755, 06777, 04000, 02070 };

/* Has FILE_NAME such a bit now? Then takes it away again. */
static int has_bit(const char *call, mode_t mode)
{
	struct stat st;
	int saved = errno;
	bool set = lstat(FILE_NAME, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID)) != 0;

	if (set)
		(void)chmod(FILE_NAME, 0600);
	errno = saved;
	return tried(set, "%s with mode %o", call, (unsigned)mode);
}

static void fresh(void)
{
	int fd;

	(void)unlink(FILE_NAME);
	(void)rmdir(FILE_NAME);
	fd = open(FILE_NAME, O_CREAT | O_RDWR | O_CLOEXEC, 0700);
	if (fd >= 0)
		(void)close(fd);
}

static void absent(void)
{
	(void)unlink(FILE_NAME);
	(void)rmdir(FILE_NAME);
}

static int change_mode(mode_t mode)
{
	int holes = 0;
	int fd;

	fresh();
	(void)syscall(SYS_chmod, FILE_NAME, mode);
	holes += has_bit("chmod", mode);
	/* bits beyond 16 are cut off by the kernel and must be by the filter */
	(void)syscall(SYS_chmod, FILE_NAME, 0x100000000UL | mode);
	holes += has_bit("chmod, high half", mode);
	(void)syscall(SYS_chmod, FILE_NAME, 0x10000UL | mode);
	holes += has_bit("chmod, bit 16", mode);
	fd = open(FILE_NAME, O_RDWR | O_CLOEXEC);
	(void)syscall(SYS_fchmod, fd, mode);
	holes += has_bit("fchmod", mode);
	(void)syscall(SYS_fchmodat, AT_FDCWD, FILE_NAME, mode);
	holes += has_bit("fchmodat", mode);
	(void)syscall(452, AT_FDCWD, FILE_NAME, mode, 0);
	holes += has_bit("fchmodat2", mode);
	(void)syscall(452, fd, "", mode, AT_EMPTY_PATH);
	holes += has_bit("fchmodat2 of a descriptor", mode);
	if (fd >= 0)
		(void)close(fd);
	return holes;
}

static int create_mode(mode_t mode)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { O_CREAT | O_RDWR, mode, 0 };
	int holes = 0;

	absent();
	(void)syscall(SYS_open, FILE_NAME, O_CREAT | O_RDWR, mode);
	holes += has_bit("open", mode);
	absent();
	(void)syscall(SYS_openat, AT_FDCWD, FILE_NAME, O_CREAT | O_RDWR | O_EXCL, mode);
	holes += has_bit("openat", mode);
	absent();
	(void)syscall(SYS_openat2, AT_FDCWD, FILE_NAME, &how, sizeof(how));
	holes += has_bit("openat2", mode);
	absent();
	(void)syscall(SYS_creat, FILE_NAME, mode);
	holes += has_bit("creat", mode);
	absent();
	(void)syscall(SYS_mkdir, FILE_NAME, mode);
	holes += has_bit("mkdir", mode);
	absent();
	(void)syscall(SYS_mkdirat, AT_FDCWD, FILE_NAME, mode);
	holes += has_bit("mkdirat", mode);
	absent();
	(void)syscall(SYS_mknod, FILE_NAME, S_IFREG | mode, 0);
	holes += has_bit("mknod", mode);
	absent();
	(void)syscall(SYS_mknodat, AT_FDCWD, FILE_NAME, S_IFREG | mode, 0);
	holes += has_bit("mknodat", mode);
	absent();
	(void)syscall(SYS_mknod, FILE_NAME, S_IFIFO | mode, 0);
	holes += has_bit("mknod of a pipe", mode);
	absent();
	return holes;
}

/* A file without a name that gets one afterwards. */
static int unnamed(mode_t mode)
{
	char path[64];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, mode);

	absent();
	if (fd >= 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		(void)linkat(AT_FDCWD, path, AT_FDCWD, FILE_NAME, AT_SYMLINK_FOLLOW);
		(void)close(fd);
	}
	return has_bit("O_TMPFILE", mode);
}

static int compat(mode_t mode)
{
	char *name = low_copy(FILE_NAME);
	int holes = 0;
	int fd;

	if (!name)
		return tried(false, "int 0x80 is not possible here");
	fresh();
	(void)compat_call(15, (long)name, mode, 0, 0);
	holes += has_bit("int 0x80 chmod", mode);
	fd = open(FILE_NAME, O_RDWR | O_CLOEXEC);
	(void)compat_call(94, fd, mode, 0, 0);
	holes += has_bit("int 0x80 fchmod", mode);
	if (fd >= 0)
		(void)close(fd);
	(void)compat_call(306, AT_FDCWD, (long)name, mode, 0);
	holes += has_bit("int 0x80 fchmodat", mode);
	(void)compat_call(452, AT_FDCWD, (long)name, mode, 0);
	holes += has_bit("int 0x80 fchmodat2", mode);
	absent();
	(void)compat_call(8, (long)name, mode, 0, 0);
	holes += has_bit("int 0x80 creat", mode);
	absent();
	(void)compat_call(5, (long)name, O_CREAT | O_RDWR, mode, 0);
	holes += has_bit("int 0x80 open", mode);
	absent();
	(void)compat_call(295, AT_FDCWD, (long)name, O_CREAT | O_RDWR, mode);
	holes += has_bit("int 0x80 openat", mode);
	absent();
	(void)compat_call(39, (long)name, mode, 0, 0);
	holes += has_bit("int 0x80 mkdir", mode);
	absent();
	(void)compat_call(296, AT_FDCWD, (long)name, mode, 0);
	holes += has_bit("int 0x80 mkdirat", mode);
	absent();
	(void)compat_call(14, (long)name, S_IFREG | mode, 0, 0);
	holes += has_bit("int 0x80 mknod", mode);
	absent();
	(void)compat_call(297, AT_FDCWD, (long)name, S_IFREG | mode, 0);
	holes += has_bit("int 0x80 mknodat", mode);
	absent();
	return holes;
}

/* The control: an ordinary mode still works, so what is seen above is the refusal of the bits. */
static int ordinary(void)
{
	struct stat st;

	fresh();
	if (chmod(FILE_NAME, 0751) < 0 || stat(FILE_NAME, &st) < 0 || (st.st_mode & 07777) != 0751)
		return tried(true, "chmod 0751 does not work");
	if (chmod(FILE_NAME, 01751) < 0)
		return tried(true, "chmod 01751 does not work");
	absent();
	return 0;
}

/* In the current directory, which the host sees. */
static int setid_bits(char **argv)
{
	int holes = ordinary();

	(void)argv;
	(void)umask(0);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		holes += change_mode(bits[i]);
		holes += create_mode(bits[i]);
		holes += unnamed(bits[i]);
		holes += compat(bits[i]);
	}
	return holes;
}

const struct attempt setid_attempts[] = {
	{ "setid-bits", WHO_BOTH, NULL, setid_bits },
	{ NULL, 0, NULL, NULL },
};
