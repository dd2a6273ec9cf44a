/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing here keeps state. */

#include "util/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "macro.h"

#define UNIX_PATH_MAX_OURS 100 /* docs/protocol.md, Socket */

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

/* Opens one name in a directory. Who asks for O_PATH and O_NOFOLLOW gets a link itself. */
static int open_component(int dir_fd, const char *name, int flags)
{
	CLEANUP_FD int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if ((flags & O_PATH) == 0 || (flags & O_NOFOLLOW) != 0)
		return TAKE_FD(fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISLNK(st.st_mode) ? -ELOOP : TAKE_FD(fd);
}

/* What openat2() does with RESOLVE_NO_SYMLINKS, name by name. */
static int open_walking(int dir_fd, const char *path, int flags, bool beneath)
{
	CLEANUP_FD int dir = -1;
	char name[NAME_MAX + 1];
	const char *at = path;
	size_t n;
	int next;

	if (path[0] == '\0')
		return -ENOENT;
	if (path[0] == '/') {
		if (beneath)
			return -EXDEV;
		dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return -errno;
	}
	for (;;) {
		at += strspn(at, "/");
		n = strcspn(at, "/");
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, n > 0 ? at : ".", n > 0 ? n : 1);
		name[n > 0 ? n : 1] = '\0';
		if (beneath && strcmp(name, "..") == 0)
			return -EXDEV; /* stricter than openat2(): nobody of us writes that */
		at += n;
		if (*at == '\0')
			return open_component(dir >= 0 ? dir : dir_fd, name, flags);
		next = open_component(dir >= 0 ? dir : dir_fd, name, O_PATH);
		if (next < 0)
			return next;
		(void)close_fd(dir);
		dir = next;
	}
}

/* A seccomp filter cannot look into openat2()'s arguments, so those that forbid set-id bits answer
 * ENOSYS for all of it: systemd's RestrictSUIDSGID. */
static int open_resolved(int dir_fd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
				.resolve = resolve };
	long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

	if (fd < 0 && errno == ENOSYS)
		return open_walking(dir_fd, path, flags, (resolve & RESOLVE_BENEATH) != 0);
	return fd < 0 ? -errno : (int)fd;
}

int fd_open_no_links(int dir_fd, const char *path, int flags)
{
	return open_resolved(dir_fd, path, flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int fd_open_beneath(int dir_fd, const char *path, int flags)
{
	return open_resolved(dir_fd, path, flags,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static int read_all(int fd, char *buffer, size_t room, size_t *ret_size)
{
	size_t size = 0;
	ssize_t n;

	while (size < room) {
		n = read(fd, buffer + size, room - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	*ret_size = size;
	return 0;
}

int fd_read_file(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size)
{
	CLEANUP_FD int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	CLEANUP_STR char *buffer = NULL;
	size_t size = 0;
	int r;

	if (fd < 0)
		return -errno;
	buffer = malloc(max + 1);
	if (!buffer)
		return -ENOMEM;
	r = read_all(fd, buffer, max + 1, &size);
	if (r < 0)
		return r;
	if (size > max)
		return -EFBIG;
	buffer[size] = '\0';
	*ret = TAKE_PTR(buffer);
	if (ret_size)
		*ret_size = size;
	return 0;
}

size_t fd_read_at(int fd, char *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(fd, buffer + done, size - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* shorter than it should be: what is there is shown */
		done += (size_t)n;
	}
	return done;
}

int fd_write_file(int dir_fd, const char *path, const char *text)
{
	CLEANUP_FD int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, size);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

void fd_describe(int fd, char *ret, size_t size)
{
	char link[32];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* fits */
	n = readlink(link, ret, size - 1);
	ret[n < 0 ? 0 : n] = '\0';
}

int fd_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

/* A socket, and the address of PATH for it. */
static int unix_socket(const char *path, int type, struct sockaddr_un *ret_address)
{
	int fd;

	if (strlen(path) >= UNIX_PATH_MAX_OURS)
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(ret_address->sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

int fd_listen_unix(const char *path, int type, mode_t mode, int backlog)
{
	struct sockaddr_un address;
	CLEANUP_FD int fd = unix_socket(path, type, &address);
	mode_t mask;
	int r;

	if (fd < 0)
		return fd;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	/* The mode must be right from the first moment: nobody may connect in between. */
	mask = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	(void)umask(mask); /* cannot fail */
	if (r < 0)
		return r;
	if (listen(fd, backlog) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int fd_connect_unix(const char *path, int type)
{
	struct sockaddr_un address;
	CLEANUP_FD int fd = unix_socket(path, type, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}
