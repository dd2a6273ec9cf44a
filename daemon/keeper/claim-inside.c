/* SPDX-License-Identifier: Apache-2.0 */
/* The half of a claim that is done in a helper inside the sandbox (enter.h, which shares our
 * memory): target directories are made step by step without following links, and the clones that
 * claim.c has prepared are moved there. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "claim-internal.h"
#include "files.h"
#include "macro.h"

bool claim_next_component(const char **path, char *name, int *error)
{
	size_t length;

	*path += strspn(*path, "/");
	length = strcspn(*path, "/");
	if (length == 0)
		return false;
	if (length > NAME_MAX) {
		*error = -ENAMETOOLONG;
		return false;
	}
	memcpy(name, *path, length);
	name[length] = '\0';
	*path += length;
	if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0) {
		*error = -EINVAL;
		return false;
	}
	return true;
}

static bool own_filesystem(const struct walk *w, int dir)
{
	struct stat st;
	size_t i;

	if (fstat(dir, &st) < 0)
		return false;
	for (i = 0; i < w->claim->n_parts; i++)
		if ((w->claim->parts[i].cover || w->claim->parts[i].memory) &&
		    w->claim->parts[i].device == st.st_dev)
			return true;
	return st.st_dev == w->root || st.st_dev == w->run;
}

/* What is made in the agent's home is the agent's: there is more to be put beside it. */
static int give_to_agent(const struct walk *w, int dir)
{
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	if (st.st_uid != SANDBOX_ID_AGENT)
		return 0;
	return fchownat(dir, w->name, SANDBOX_ID_AGENT, SANDBOX_ID_AGENT, AT_SYMLINK_NOFOLLOW) < 0
		       ? -errno
		       : 0;
}

static int make_inside(const struct walk *w, int dir, bool directory)
{
	int fd;

	if (!own_filesystem(w, dir))
		return -ENOENT; /* never inside a workspace */
	if (directory) {
		if (mkdirat(dir, w->name, 0755) < 0)
			return errno == EEXIST ? 0 : -errno;
		return give_to_agent(w, dir);
	}
	fd = openat(dir, w->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	(void)close_fd(fd);
	return give_to_agent(w, dir);
}

int claim_open_step(const struct walk *w, int dir, bool directory)
{
	int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC | (directory ? O_DIRECTORY : 0);
	int fd = openat(dir, w->name, flags), r;

	if (fd < 0 && errno == ENOENT) {
		r = make_inside(w, dir, directory);
		if (r < 0)
			return r;
		fd = openat(dir, w->name, flags);
	}
	return fd < 0 ? -errno : fd;
}

/* A parent that the agent cannot search gets o+x, in the sandbox's own file system only. */
static int open_up(const struct walk *w, int dir, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IXOTH) || st.st_dev != w->root ||
	    (st.st_uid == SANDBOX_ID_AGENT && (st.st_mode & S_IXUSR)))
		return 0;
	return fchmodat(dir, w->name, (st.st_mode & 07777) | S_IXOTH, 0) < 0 ? -errno : 0;
}

/* Where the way to PART begins, and in *REST what is left of it: at the last mount in place that is
 * above it, which lies on top of all before; on the way to that everything has been made. */
static int open_start(const struct claim *c, const struct part *part, const char **rest)
{
	const struct part *p;
	size_t i, length;
	int fd;

	for (i = (size_t)(part - c->parts); i > 0; i--) {
		p = &c->parts[i - 1];
		length = strlen(p->target);
		if (p->directory && p->placed && strncmp(p->target, part->target, length) == 0 &&
		    part->target[length] == '/')
			break;
	}
	*rest = part->target + (i > 0 ? length : 0);
	fd = i > 0 ? fcntl(p->tree, F_DUPFD_CLOEXEC, 3)
		   : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Walks to the target, making what is missing. Returns an O_PATH descriptor. */
static int open_target(struct walk *w, const struct part *part)
{
	CLEANUP_FD int dir = -1;
	const char *rest;
	int next, r = 0;
	bool last;

	if (part->target[0] != '/')
		return -EINVAL;
	dir = open_start(w->claim, part, &rest);
	while (dir >= 0 && claim_next_component(&rest, w->name, &r)) {
		last = rest[strspn(rest, "/")] == '\0';
		next = claim_open_step(w, dir, !last || part->directory);
		if (next < 0)
			return next;
		r = last ? 0 : open_up(w, dir, next);
		(void)close_fd(dir);
		dir = next;
		if (r < 0)
			return r;
	}
	return r < 0 ? r : TAKE_FD(dir);
}

/* A cover is made read-only when the last target in it exists. */
static int close_covers(struct claim *c)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	struct part *p;

	for (p = c->parts; p < c->parts + c->n_parts; p++) {
		if (p->cover && mount_setattr(p->tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
			return -errno;
	}
	return 0;
}

static int move_part(struct walk *w, struct part *p)
{
	CLEANUP_FD int at = open_target(w, p);
	int r = 0;

	if (at >= 0 && (p->cover || p->memory))
		r = claim_make_memory(p);
	if (at < 0 || r < 0)
		return at < 0 ? at : r;
	if (move_mount(p->tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	p->placed = true;
	return 0;
}

/* The system's configuration is the weakest: what a repository or the agent says counts more. */
static int add_git_config(const char *text)
{
	CLEANUP_FD int fd = open("/etc/gitconfig",
				 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -EIO;
}

static uint64_t shm_size(uint64_t bytes)
{
	return bytes > 0 ? bytes : SANDBOX_SHM_DEFAULT;
}

/* Its superblock alone: the mount and its flags stay. */
static int resize_shm(uint64_t bytes)
{
	CLEANUP_FD int fs = fspick(AT_FDCWD, "/dev/shm",
				   FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT);
	char size[24];

	(void)snprintf(size, sizeof(size), "%" PRIu64, bytes);
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}

/* What else than mounts makes it the sandbox of who claims it. */
static int set_identity(struct claim *c)
{
	uint64_t shm = shm_size(c->request->limits.shm_bytes);
	int r;

	c->failed = "/dev/shm";
	r = shm != shm_size(c->target->shm_bytes) ? resize_shm(shm) : 0;
	if (r < 0)
		return r;
	c->failed = "/etc/gitconfig";
	r = c->git_config ? add_git_config(c->git_config) : 0;
	if (r < 0)
		return r;
	c->failed = "host name";
	return c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0 ? -errno : 0;
}

int claim_look_inside(void *arg)
{
	struct claim *c = arg;
	struct part *p;
	struct stat st;
	int r = view_note_own(c->target->own);

	for (p = c->parts; r == 0 && p < c->parts + c->n_parts; p++)
		if (lstat(p->target, &st) == 0)
			r = view_add_own(c->target->own, st.st_dev);
	return r;
}

int claim_move_inside(void *arg)
{
	struct claim *c = arg;
	struct walk w = { 0 };
	struct stat root, run;
	size_t i;
	int r;

	if (stat("/", &root) < 0 || stat("/run", &run) < 0)
		return -errno;
	r = view_note_own(c->target->own);
	if (r < 0)
		return r;
	w.claim = c;
	w.root = root.st_dev;
	w.run = run.st_dev;
	for (i = 0; i < c->n_parts; i++) {
		r = move_part(&w, &c->parts[i]);
		if (r < 0 && !c->parts[i].optional) {
			c->failed = c->parts[i].target;
			return r;
		}
	}
	c->failed = "the sandbox";
	r = claim_note_memory(c, c->target->own);
	if (r == 0)
		r = close_covers(c);
	return r < 0 ? r : set_identity(c);
}
