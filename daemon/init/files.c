/* SPDX-License-Identifier: Apache-2.0 */
/* Walks each path component by component with O_NOFOLLOW, holding a descriptor of where it is: the
 * filter that is already loaded answers openat2 with ENOSYS, because its mode is out of reach for
 * BPF. The paths were checked by payload_path_ok(), so there is no way up. */

#include "init/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/text.h"
#include "io.h"
#include "macro.h"

#define NAME_SIZE 256

static int open_child(int dir, const char *name)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(dir, name, flags);
	}
	return fd < 0 ? -errno : fd;
}

/* Opens the directory that PATH's last component belongs in. */
static int open_parent(const char *path, const char **ret_name)
{
	char name[NAME_SIZE];
	int dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash;
	size_t length;
	int next;

	if (dir < 0)
		return -errno;
	for (; (slash = strchr(path, '/')); path = slash + 1) {
		length = (size_t)(slash - path);
		if (length >= sizeof(name)) {
			(void)close_fd(dir);
			return -ENAMETOOLONG;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		next = open_child(dir, name);
		(void)close_fd(dir);
		if (next < 0)
			return next;
		dir = next;
	}
	*ret_name = path;
	return dir;
}

static int write_temporary(int dir, const char *temporary, const struct payload_file *f)
{
	CLEANUP_FD int fd = -1;
	int r;

	(void)unlinkat(dir, temporary, 0); /* of an earlier process with our pid that was killed */
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = io_write_all(fd, f->data, f->size);
	if (r < 0)
		return r;
	/* Set-id bits would be refused by the filter anyway. */
	return fchmod(fd, f->mode & 01777) < 0 ? -errno : 0;
}

static int write_file(const struct payload_file *f)
{
	char temporary[64];
	struct text t = { temporary, sizeof(temporary), 0 };
	const char *name = NULL;
	CLEANUP_FD int dir = open_parent(f->path, &name); /* a negative errno is not closed */
	int r;

	if (dir < 0)
		return dir;
	text_add(&t, ".sandbox-init-");
	text_add_number(&t, (uint64_t)getpid());
	r = write_temporary(dir, temporary, f);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, temporary, 0); /* the error that counts is r */
	return r;
}

int files_write(const struct payload *p)
{
	size_t i;
	int r;

	for (i = 0; i < p->filec; i++) {
		r = write_file(&p->files[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
