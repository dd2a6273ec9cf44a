/* SPDX-License-Identifier: Apache-2.0 */
/* Walks each path component by component with O_NOFOLLOW, holding a descriptor of where it is: the
 * filter that is already loaded answers openat2 with ENOSYS, because its mode is out of reach for
 * BPF. The paths were checked by payload_path_ok(), so there is no way up. */

#include "init/files.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/text.h"
#include "io.h"
#include "macro.h"

#define NAME_SIZE 256
#define MEMORY_MAGIC 0x01021994 /* TMPFS_MAGIC */
#define UNCHANGED ((uid_t)-1)

static bool is_memory(int dir)
{
	struct statfs fs;

	return fstatfs(dir, &fs) == 0 && fs.f_type == MEMORY_MAGIC;
}

static int open_child(int dir, const char *name, bool make)
{
	const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags);

	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(dir, name, flags);
	}
	return fd < 0 ? -errno : fd;
}

/* Opens the directory below START that PATH's last component belongs in. MEMORY: on the way only
 * what is memory is changed. */
static int open_parent(const char *start, const char *path, bool memory, const char **ret_name)
{
	char name[NAME_SIZE];
	int dir = open(start, O_PATH | O_DIRECTORY | O_CLOEXEC);
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
		next = open_child(dir, name, !memory || is_memory(dir));
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

static int write_at(int dir, const char *name, const struct payload_file *f)
{
	char temporary[64];
	struct text t = { temporary, sizeof(temporary), 0 };
	int r;

	text_add(&t, ".sandbox-init-");
	text_add_number(&t, (uint64_t)getpid());
	r = write_temporary(dir, temporary, f);
	if (r == 0 && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, temporary, 0); /* the error that counts is r */
	return r;
}

static int write_file(const struct payload_file *f)
{
	const char *name = NULL;
	/* a negative errno is not closed */
	CLEANUP_FD int dir = open_parent(".", f->path, false, &name);

	return dir < 0 ? dir : write_at(dir, name, f);
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

/* ---- as somebody else ---- */

/* Its signals do not reach us: those go by the real and the saved id. */
static int act_as(const struct files_place *p)
{
	if (syscall(SYS_setresgid, UNCHANGED, p->gid, UNCHANGED) < 0 ||
	    syscall(SYS_setresuid, UNCHANGED, p->uid, UNCHANGED) < 0)
		return -errno;
	return 0;
}

/* Cannot fail: they are our own ids. */
static void act_as_ourselves(void)
{
	(void)syscall(SYS_setresuid, UNCHANGED, getuid(), UNCHANGED);
	(void)syscall(SYS_setresgid, UNCHANGED, getgid(), UNCHANGED);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* it is the host's fs.suid_dumpable now */
}

static int open_place(const struct files_place *p, const char **ret_name)
{
	int dir = open_parent("/", p->path + 1, true, ret_name);

	if (dir < 0 || is_memory(dir))
		return dir;
	(void)close_fd(dir);
	return -EXDEV;
}

int files_put(const struct files_place *p, uint32_t mode, const char *data, size_t size)
{
	const struct payload_file f = { .data = data, .size = size, .mode = mode };
	const char *name = NULL;
	CLEANUP_FD int dir = -1;
	int r = act_as(p);

	if (r == 0)
		r = dir = open_place(p, &name);
	if (r >= 0)
		r = write_at(dir, name, &f);
	act_as_ourselves();
	return r;
}

int files_remove(const struct files_place *p)
{
	const char *name = NULL;
	CLEANUP_FD int dir = -1;
	int r = act_as(p);

	if (r == 0)
		r = dir = open_place(p, &name);
	if (r >= 0)
		r = unlinkat(dir, name, 0) < 0 ? -errno : 0;
	act_as_ourselves();
	return r;
}
