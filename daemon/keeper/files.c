/* SPDX-License-Identifier: Apache-2.0 */
/* No state. Everything that may be another's path goes through openat2 without symlinks. */

#include "files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bounds.h"
#include "io.h"
#include "macro.h"

bool name_good(const char *name)
{
	size_t i;

	if (!name || !isalnum((unsigned char)name[0]))
		return false;
	for (i = 0; name[i] != '\0'; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._+-@:", name[i]))
			return false;
	return i <= NAME_LENGTH_MAX;
}

int file_put_at(int dir, const char *path, const char *text)
{
	CLEANUP_FD int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, text, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

ssize_t file_get_at(int dir, const char *path, char *buf, size_t size)
{
	CLEANUP_FD int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (have < size - 1) {
		n = read(fd, buf + have, size - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	buf[have] = '\0';
	return (ssize_t)have;
}

uint64_t file_number_at(int dir, const char *path)
{
	char text[64];

	if (file_get_at(dir, path, text, sizeof(text)) <= 0)
		return 0;
	if (strncmp(text, "max", 3) == 0)
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

uint64_t file_keyed_number_at(int dir, const char *path, const char *key)
{
	char text[2048];
	size_t length = strlen(key);
	char *line, *save = NULL;

	if (file_get_at(dir, path, text, sizeof(text)) <= 0)
		return 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, key, length) == 0 && line[length] == ' ')
			return strtoull(line + length, NULL, 10);
	return 0;
}

int file_make_at(int dir, const char *path, const char *text, struct owned as)
{
	CLEANUP_FD int fd =
		openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, text, strlen(text));
	if (r < 0)
		return r;
	if (fchown(fd, as.uid, as.uid) < 0 || fchmod(fd, as.mode) < 0)
		return -errno;
	return 0;
}

int dir_make_at(int dir, const char *path, struct owned as)
{
	if (mkdirat(dir, path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (fchownat(dir, path, as.uid, as.uid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, path, as.mode, 0) < 0)
		return -errno;
	return 0;
}

int file_copy(int from, int to)
{
	off_t at = 0;
	ssize_t n;

	for (;;) {
		n = sendfile(to, from, &at, 1u << 24);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
	}
}

static int open_resolved(int dir, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
				.resolve = resolve };
	long fd;

	do
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

int beneath_open(int dir, const char *path, int flags)
{
	return open_resolved(dir, path[0] == '\0' ? "." : path, flags,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int absolute_open(const char *path, int flags)
{
	if (path[0] != '/')
		return -EINVAL;
	return open_resolved(AT_FDCWD, path, flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int dir_open_at(int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}
