/* SPDX-License-Identifier: Apache-2.0 */
/* The tmpfs is ours alone: it vanishes with the keeper's mount namespace, so nothing of it is ever
 * cleaned up by path. Directories that a sandbox's root must pass (merged, init) are 0711. */

#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"
#include "skeleton.h"
#include "trash.h"

void tree_init(struct tree *t)
{
	*t = (struct tree){ -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 };
}

void tree_deinit(struct tree *t)
{
	t->root = close_fd(t->root);
	t->merged = close_fd(t->merged);
	t->bundle = close_fd(t->bundle);
	t->runtime = close_fd(t->runtime);
	t->stage = close_fd(t->stage);
	t->mounts = close_fd(t->mounts);
	t->state = close_fd(t->state);
	t->upper = close_fd(t->upper);
	t->trash = close_fd(t->trash);
	t->templates = close_fd(t->templates);
	t->spool = close_fd(t->spool);
}

static int enter_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	/* what the host mounts later is seen here (workspaces), nothing of ours there */
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return -errno;
	if (mount("keeper", TREE_PATH, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		return -errno;
	if (mount(NULL, TREE_PATH, NULL, MS_PRIVATE, NULL) < 0)
		return -errno;
	return 0;
}

static int make_open(int dir, const char *name, struct owned as, int *ret)
{
	int r;

	r = dir_make_at(dir, name, as);
	if (r < 0)
		return r;
	r = dir_open_at(dir, name);
	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

int tree_make(struct tree *t, const struct ids *ids)
{
	CLEANUP_FD int init = -1;
	CLEANUP_FD int empty = -1;
	CLEANUP_FD int skeleton = -1;
	int r;

	r = enter_namespace();
	if (r < 0)
		return r;
	t->root = dir_open_at(AT_FDCWD, TREE_PATH);
	if (t->root < 0)
		return t->root;
	if ((r = make_open(t->root, "init", (struct owned){ 0, 0711 }, &init)) < 0 ||
	    (r = make_open(t->root, "empty", (struct owned){ ids_root(ids), 0555 }, &empty)) < 0 ||
	    (r = make_open(t->root, "merged", (struct owned){ 0, 0711 }, &t->merged)) < 0 ||
	    (r = make_open(t->root, "bundle", (struct owned){ 0, 0700 }, &t->bundle)) < 0 ||
	    (r = make_open(t->root, TREE_RUNTIME_NAME, (struct owned){ 0, 0700 }, &t->runtime)) <
		    0 ||
	    (r = make_open(t->root, "mounts", (struct owned){ 0, 0711 }, &t->mounts)) < 0 ||
	    (r = make_open(t->root, "stage", (struct owned){ 0, 0700 }, &t->stage)) < 0 ||
	    (r = dir_make_at(t->root, "state", (struct owned){ 0, 0700 })) < 0)
		return r;
	r = make_open(t->root, "skeleton", (struct owned){ ids_root(ids), 0755 }, &skeleton);
	if (r < 0)
		return r;
	return skeleton_build(skeleton, ids);
}

/* The same directory, opened in our own mount namespace: a mount of another one cannot be cloned.
 */
static int reopen(int fd)
{
	char link[64], path[4096];
	struct stat was, is;
	ssize_t n;
	int r;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	r = absolute_open(path, O_PATH | O_DIRECTORY);
	if (r < 0)
		return r;
	if (fstat(fd, &was) < 0 || fstat(r, &is) < 0 || was.st_dev != is.st_dev ||
	    was.st_ino != is.st_ino) {
		(void)close_fd(r);
		return -ESTALE;
	}
	return r;
}

static int clone_directory(int fd)
{
	CLEANUP_FD int own = reopen(fd);
	int tree;

	if (own < 0)
		return own;
	tree = open_tree(own, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	return tree < 0 ? -errno : tree;
}

/* What is in DIR is not related to each other: ext4 then puts each of them where there is most
 * room. Together they would fill one group of inodes after the other; and without a journal ext4
 * does not use an inode again for a minute: where many sandboxes had just been removed it looked at
 * 8192 of them to make a directory, which took 550 us instead of 15. */
static void spread(int dir)
{
	int flags;

	/* other file systems have no such flag and need none */
	if (ioctl(dir, FS_IOC_GETFLAGS, &flags) < 0 || (flags & FS_TOPDIR_FL))
		return;
	flags |= FS_TOPDIR_FL;
	(void)ioctl(dir, FS_IOC_SETFLAGS, &flags);
}

int tree_attach_state(struct tree *t, int fd, bool is_mount)
{
	const struct owned own = { 0, 0700 };
	CLEANUP_FD int clone = -1;
	int r;

	if (!is_mount) {
		clone = clone_directory(fd);
		if (clone < 0)
			return clone;
		fd = clone;
	}
	if (move_mount(fd, "", AT_FDCWD, TREE_STATE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	r = t->state = dir_open_at(AT_FDCWD, TREE_STATE);
	if (r < 0)
		return r;
	if ((r = make_open(t->state, "upper", own, &t->upper)) < 0 ||
	    (r = make_open(t->state, "trash", own, &t->trash)) < 0 ||
	    (r = make_open(t->state, "templates", own, &t->templates)) < 0 ||
	    (r = make_open(t->state, "spool", own, &t->spool)) < 0)
		return r;
	spread(t->upper);
	tree_forget_upper(t); /* of a keeper that was killed: its ids may have been others */
	return 0;
}

void tree_forget_upper(const struct tree *t)
{
	if (t->upper < 0)
		return;
	trash_remove_flat(t->upper, TREE_NEXT_UPPER);
	trash_remove_flat(t->upper, TREE_RAW_UPPER);
}

static int copy_init(const struct tree *t, int from, const char *name, struct owned as)
{
	CLEANUP_FD int to = -1;
	int r;

	/* an older one lives on in the sandboxes that it runs in */
	if (unlinkat(t->root, name, 0) < 0 && errno != ENOENT)
		return -errno;
	to = openat(t->root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (to < 0)
		return -errno;
	r = file_copy(from, to);
	if (r < 0)
		return r;
	return fchown(to, as.uid, as.uid) < 0 || fchmod(to, as.mode) < 0 ? -errno : 0;
}

int tree_copy_init(const struct tree *t, const struct ids *ids, const char *path)
{
	CLEANUP_FD int from = absolute_open(path, O_RDONLY);
	int r;

	if (from < 0)
		return from;
	r = copy_init(t, from, "init/init", (struct owned){ ids_fence(ids), 0111 });
	if (r < 0)
		return r;
	if (lseek(from, 0, SEEK_SET) < 0)
		return -errno;
	return copy_init(t, from, "init/readable", (struct owned){ ids_fence(ids), 0555 });
}
