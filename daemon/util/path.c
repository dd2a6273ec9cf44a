/* SPDX-License-Identifier: Apache-2.0 */
/* path_remove_tree() walks by descriptors with O_NOFOLLOW, so a tree that somebody changes
 * meanwhile cannot lead it elsewhere. Depth is bounded: what is removed here (runtime and state
 * directories) is ours and shallow; sandboxes' own trees are removed by the keeper. */

#include "util/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "macro.h"

#define REMOVE_DEPTH_MAX 16

bool path_is_clean(const char *path)
{
	const char *p = path, *end;
	size_t n;

	if (*p != '/')
		return false;
	if (p[1] == '\0')
		return true;
	while (*p) {
		p++;
		end = strchrnul(p, '/');
		n = (size_t)(end - p);
		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p = end;
	}
	return true;
}

bool path_is_below(const char *path, const char *base)
{
	size_t n = strlen(base);

	if (n == 1)
		return true;
	return strncmp(path, base, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

int path_make(const char *path, mode_t mode)
{
	char buffer[PATH_MAX];
	char *p;

	if (path[0] != '/' || strlen(path) >= sizeof(buffer))
		return -EINVAL;
	strcpy(buffer, path);
	for (p = buffer + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(buffer, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(buffer, mode) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int path_make_private(const char *path, mode_t mode, uid_t uid)
{
	CLEANUP_FD int fd = -1;
	struct stat st;

	if (mkdir(path, mode & 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EPERM : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != uid)
		return -EPERM;
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return -errno;
	return 0;
}

static int remove_at(int dir_fd, const char *name, unsigned depth);

static int remove_children(int fd, unsigned depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;
	int r, first = 0;

	if (!d) {
		r = -errno;
		(void)close_fd(fd);
		return r;
	}
	while ((entry = readdir(d))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		r = remove_at(dirfd(d), entry->d_name, depth);
		if (r < 0 && first == 0)
			first = r;
	}
	(void)closedir(d); /* a directory read to its end has nothing left to say */
	return first;
}

static int remove_at(int dir_fd, const char *name, unsigned depth)
{
	int fd, r;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth == 0)
		return -ELOOP;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = remove_children(fd, depth - 1);
	if (r < 0)
		return r;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int path_remove_tree(int dir_fd, const char *name)
{
	return remove_at(dir_fd, name, REMOVE_DEPTH_MAX);
}

int path_of_self(char **ret_dir)
{
	char buffer[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", buffer, sizeof(buffer) - 1);
	char *slash, *dir;

	if (n < 0)
		return -errno;
	buffer[n] = '\0';
	slash = strrchr(buffer, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	dir = strdup(buffer);
	if (!dir)
		return -ENOMEM;
	*ret_dir = dir;
	return 0;
}

bool path_find_program(const char *name, char *path, size_t size)
{
	static const char *const dirs[] = { "/usr/local/bin",  "/usr/bin",  "/bin",
					    "/usr/local/sbin", "/usr/sbin", "/sbin" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (snprintf(path, size, "%s/%s", dirs[i], name) < (int)size &&
		    access(path, X_OK) == 0)
			return true;
	}
	return false;
}
