/* SPDX-License-Identifier: Apache-2.0 */
/* Every step is relative to a directory descriptor and follows no link. Data is cloned where the
 * file system can (once it said no, it is not asked again), else copied within the kernel, holes
 * left out. `cp -a` would do most of it, but it walks by path, which the sandbox could turn into a
 * way out where it cannot be frozen; it cannot leave out what must not be copied; and it does not
 * say that the disk is full but in words.
 *
 * A whiteout is a character device 0:0, which anybody may make since Linux 5.8. Extended attributes
 * of user.* are copied, overlay's own are among them, and ACLs; not security.*: file capabilities
 * mean nothing in a sandbox (no_new_privs), and labels are the host's business. */

#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"

#define COPY_DEPTH_MAX 300 /* three descriptors each */
#define COPY_PIECE (1u << 30)
#define XATTR_NAMES_MAX (64 * 1024) /* the kernel's own limits */
#define XATTR_VALUE_MAX (64 * 1024)
#define LINKS_FIRST_CAPACITY 256

/* Where an inode with several names was copied to first. */
struct link_place {
	ino_t ino;
	char *path; /* from the target's top; NULL: free */
};

struct copy {
	const struct copy_job *job;
	uint64_t size;
	bool cannot_clone;
	struct link_place *links; /* open addressing, at most half full */
	size_t n_links;
	size_t links_capacity;
	char *names; /* buffers, for one file at a time */
	char *value;
	size_t length; /* of path */
	char path[PATH_MAX];
};

/* ---- hard links ---- */

static struct link_place *link_slot(const struct copy *c, ino_t ino)
{
	size_t i = (size_t)ino * 0x9e3779b97f4a7c15u & (c->links_capacity - 1);

	while (c->links[i].path && c->links[i].ino != ino)
		i = (i + 1) & (c->links_capacity - 1);
	return &c->links[i];
}

static int grow_links(struct copy *c)
{
	struct link_place *old = c->links;
	size_t i, capacity = c->links_capacity;

	c->links_capacity = capacity ? capacity * 2 : LINKS_FIRST_CAPACITY;
	c->links = calloc(c->links_capacity, sizeof(*c->links));
	if (!c->links) {
		c->links = old;
		c->links_capacity = capacity;
		return -ENOMEM;
	}
	for (i = 0; i < capacity; i++)
		if (old[i].path)
			*link_slot(c, old[i].ino) = old[i];
	free(old);
	return 0;
}

/* 1: NAME is a link to what was copied before. 0: it has to be copied, and is noted. */
static int link_again(struct copy *c, int to, const char *name, const struct stat *st)
{
	struct link_place *place;
	int r;

	if (st->st_nlink < 2 || c->length >= sizeof(c->path))
		return 0; /* a name beyond PATH_MAX: two files of the same content */
	if (c->n_links * 2 >= c->links_capacity) {
		r = grow_links(c);
		if (r < 0)
			return r;
	}
	place = link_slot(c, st->st_ino);
	if (place->path)
		return linkat(c->job->to, place->path, to, name, 0) < 0 ? -errno : 1;
	place->path = strdup(c->path);
	if (!place->path)
		return -ENOMEM;
	place->ino = st->st_ino;
	c->n_links++;
	return 0;
}

static void free_links(struct copy *c)
{
	size_t i;

	for (i = 0; i < c->links_capacity; i++)
		free(c->links[i].path);
	free(c->links);
}

/* ---- attributes ---- */

static bool is_wanted_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 ||
	       strncmp(name, "system.posix_acl_", strlen("system.posix_acl_")) == 0;
}

static int copy_xattrs(struct copy *c, int from, int to)
{
	ssize_t n = flistxattr(from, c->names, XATTR_NAMES_MAX), size;
	const char *name;

	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (name = c->names; name < c->names + n; name += strlen(name) + 1) {
		if (!is_wanted_xattr(name))
			continue;
		size = fgetxattr(from, name, c->value, XATTR_VALUE_MAX);
		if (size < 0 && errno == ENODATA)
			continue; /* just removed */
		if (size < 0 || fsetxattr(to, name, c->value, (size_t)size, 0) < 0)
			return -errno;
	}
	return 0;
}

static void times_of(const struct stat *st, struct timespec times[static 2])
{
	times[0] = st->st_atim;
	times[1] = st->st_mtim;
}

/* Mode after owner, which takes bits away; times last. */
static int copy_attributes(struct copy *c, int from, int to, const struct stat *st)
{
	struct timespec times[2];
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	r = copy_xattrs(c, from, to);
	if (r < 0)
		return r;
	times_of(st, times);
	return futimens(to, times) < 0 ? -errno : 0;
}

static int name_attributes(int to, const char *name, const struct stat *st)
{
	struct timespec times[2];

	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode) && fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	times_of(st, times);
	return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* ---- files ---- */

static int copy_range(int from, int to, off_t start, off_t end)
{
	off_t in = start, out = start;
	ssize_t n;

	while (in < end) {
		size_t piece = end - in > COPY_PIECE ? COPY_PIECE : (size_t)(end - in);

		n = copy_file_range(from, &in, to, &out, piece, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0; /* 0: it became shorter */
	}
	return 0;
}

/* From one piece of data to the next. */
static int copy_sparse(int from, int to, off_t size)
{
	off_t start, end = 0;
	int r;

	while (end < size) {
		start = lseek(from, end, SEEK_DATA);
		if (start < 0)
			return errno == ENXIO ? 0 : -errno; /* nothing but a hole is left */
		end = lseek(from, start, SEEK_HOLE);
		if (end < 0)
			return -errno;
		r = copy_range(from, to, start, end < size ? end : size);
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_data(struct copy *c, int from, int to, const struct stat *st)
{
	bool sparse = (off_t)st->st_blocks * 512 < st->st_size;
	int r;

	if (st->st_size == 0)
		return 0;
	if (!c->cannot_clone) {
		if (ioctl(to, FICLONE, from) == 0)
			return 0;
		c->cannot_clone = true; /* one file system: the same for all */
	}
	r = sparse ? copy_sparse(from, to, st->st_size) : copy_range(from, to, 0, st->st_size);
	if (r < 0)
		return r;
	return sparse && ftruncate(to, st->st_size) < 0 ? -errno : 0;
}

static int copy_file(struct copy *c, int from_dir, int to_dir, const char *name)
{
	CLEANUP_FD int from =
		openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
	CLEANUP_FD int to = -1;
	struct stat st;
	int r;

	if (from < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : -errno; /* just replaced */
	if (fstat(from, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return -errno;
	r = copy_data(c, from, to, &st);
	return r < 0 ? r : copy_attributes(c, from, to, &st);
}

static int copy_symlink(struct copy *c, int from, int to, const char *name)
{
	ssize_t n = readlinkat(from, name, c->value, XATTR_VALUE_MAX - 1);

	if (n < 0)
		return -errno;
	c->value[n] = '\0';
	return symlinkat(c->value, to, name) < 0 ? -errno : 0;
}

static int copy_special(int to, const char *name, const struct stat *st)
{
	if (S_ISCHR(st->st_mode) && st->st_rdev != makedev(0, 0))
		return -EPERM; /* cannot be made in a sandbox, so it is none of its */
	return mknodat(to, name, st->st_mode, st->st_rdev) < 0 ? -errno : 0;
}

/* ---- directories ---- */

static int copy_directory(struct copy *c, int from, int to, int depth);

/* Is PATH in the list, with SUFFIX behind it? */
static bool is_listed(const struct copy *c, const char *suffix)
{
	const char *const *p;

	for (p = c->job->left_out; *p; p++)
		if (strncmp(*p, c->path, c->length) == 0 && strcmp(*p + c->length, suffix) == 0)
			return true;
	return false;
}

static int copy_subdirectory(struct copy *c, int from_dir, int to_dir, const char *name, int depth)
{
	CLEANUP_FD int from = dir_open_at(from_dir, name);
	CLEANUP_FD int to = -1;
	struct stat st;
	int r;

	if (from < 0)
		return from == -ENOENT || from == -ELOOP || from == -ENOTDIR ? 0 : from;
	if (depth == 0)
		return -ENAMETOOLONG;
	if (fstat(from, &st) < 0 || mkdirat(to_dir, name, 0700) < 0)
		return -errno;
	to = dir_open_at(to_dir, name);
	if (to < 0)
		return to;
	if (c->length >= sizeof(c->path) || !is_listed(c, "/")) {
		r = copy_directory(c, from, to, depth - 1);
		if (r < 0)
			return r;
	}
	return copy_attributes(c, from, to, &st);
}

static int copy_other(struct copy *c, int from, int to, const char *name, const struct stat *st)
{
	int r = S_ISLNK(st->st_mode) ? copy_symlink(c, from, to, name) : copy_special(to, name, st);

	return r < 0 ? r : name_attributes(to, name, st);
}

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth)
{
	struct stat st;
	int r;

	if (c->length < sizeof(c->path) && is_listed(c, ""))
		return 0;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno; /* just removed */
	if (S_ISDIR(st.st_mode)) {
		c->size += (uint64_t)st.st_blocks * 512;
		return copy_subdirectory(c, from, to, name, depth);
	}
	r = link_again(c, to, name, &st);
	if (r != 0)
		return r < 0 ? r : 0;
	c->size += (uint64_t)st.st_blocks * 512;
	return S_ISREG(st.st_mode) ? copy_file(c, from, to, name)
				   : copy_other(c, from, to, name, &st);
}

/* Appends /NAME to the path; a path that is too long is only as long as it says, not kept. */
static size_t push_name(struct copy *c, const char *name)
{
	const size_t before = c->length;

	if (before < sizeof(c->path))
		c->length += (size_t)snprintf(c->path + before, sizeof(c->path) - before, "%s%s",
					      before > 0 ? "/" : "", name);
	return before;
}

static void pop_name(struct copy *c, size_t before)
{
	c->length = before;
	if (before < sizeof(c->path))
		c->path[before] = '\0';
}

static int copy_directory(struct copy *c, int from, int to, int depth)
{
	int copy = fcntl(from, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	size_t before;

	if (!d) {
		r = -errno;
		(void)close_fd(copy);
		return r;
	}
	errno = 0;
	while (r == 0 && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		before = push_name(c, e->d_name);
		r = copy_entry(c, from, to, e->d_name, depth);
		pop_name(c, before);
		errno = 0;
	}
	if (r == 0)
		r = -errno; /* of readdir() */
	(void)closedir(d);
	return r;
}

int copy_tree(const struct copy_job *job, uint64_t *ret_size)
{
	static struct copy c; /* one per process: a worker */
	struct stat st;
	int r = -ENOMEM;

	c = (struct copy){ .job = job };
	c.names = malloc(XATTR_NAMES_MAX);
	c.value = malloc(XATTR_VALUE_MAX);
	if (c.names && c.value)
		r = fstat(job->from, &st) < 0 ? -errno : 0;
	if (r == 0)
		r = copy_directory(&c, job->from, job->to, COPY_DEPTH_MAX);
	if (r == 0)
		r = copy_attributes(&c, job->from, job->to, &st);
	free_links(&c);
	free(c.names);
	free(c.value);
	if (r == 0)
		*ret_size = c.size;
	return r;
}
