/* SPDX-License-Identifier: Apache-2.0 */
/* What stays writable is not told by paths: the sandbox's root may have moved directories, so that
 * a path leads elsewhere than when it was mounted. Only file systems that the sandbox had before
 * anything ran in it are its own, and a mount of any other is made read-only. Afterwards the list
 * of mounts is read again: one that is writable, not the sandbox's own, and not of a directory that
 * shall be, is an error, and the namespace goes away unused.
 *
 * The directories are cloned before their workspace becomes read-only, and the clones put on top
 * after it. They are made as the agent, so they belong to the owner, also through idmapped mounts.
 *
 * The helper (enter.h) shares our memory and, here, our descriptors. Nothing else runs in the
 * keeper meanwhile, so the buffer can be static. */

#include "view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "enter.h"
#include "fence.h"
#include "files.h"
#include "keeper-wire.h"
#include "macro.h"

#define MOUNTS_TEXT_SIZE (512u * 1024)
#define OPENED_MAX                                                                                 \
	256 /* mounts that may be writable: the directories and what is mounted in them */

struct view {
	const struct view_target *target;
	const struct keeper_view *request;
	const char *base;
	const char *writable[KEEPER_VIEW_WRITABLE_MAX];
	struct stat workspace; /* as it was claimed */
	int proc;              /* ours: the sandbox's knows nothing of the helper */
	int trees[KEEPER_VIEW_WRITABLE_MAX];
	int places[KEEPER_VIEW_WRITABLE_MAX];
	uint64_t opened[OPENED_MAX]; /* mount ids */
	size_t n_opened;
	int mounts;
	int network;
	const char *step; /* where it stopped */
	const char *where;
};

/* One line of mountinfo. */
struct mount_line {
	uint64_t id;
	uint64_t parent;
	dev_t device;
	char *point;
	bool read_only;
};

static char mounts_text[MOUNTS_TEXT_SIZE];

int view_note_own(struct view_own *own)
{
	static const char *const paths[] = { "/",    "/proc",    "/sys",     "/run",
					     "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue" };
	struct stat st;
	size_t i;

	own->count = 0;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		if (lstat(paths[i], &st) < 0) {
			if (errno == ENOENT)
				continue; /* not every runtime has it */
			return -errno;
		}
		own->devices[own->count++] = st.st_dev;
	}
	return 0;
}

int view_add_own(struct view_own *own, dev_t device)
{
	if (own->count == VIEW_OWN_MAX)
		return -E2BIG;
	own->devices[own->count++] = device;
	return 0;
}

void view_drop_own(struct view_own *own, dev_t device)
{
	size_t i = 0;

	while (i < own->count)
		if (own->devices[i] == device)
			own->devices[i] = own->devices[--own->count];
		else
			i++;
}

static bool is_own(const struct view *v, dev_t device)
{
	size_t i;

	for (i = 0; i < v->target->own->count; i++)
		if (v->target->own->devices[i] == device)
			return true;
	return false;
}

/* ---- the list of mounts ---- */

static int read_mounts(const struct view *v)
{
	CLEANUP_FD int fd = openat(v->proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0) {
		if (used == sizeof(mounts_text) - 1)
			return -E2BIG;
		n = read(fd, mounts_text + used, sizeof(mounts_text) - 1 - used);
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
		n = n < 0 ? 1 : n;
	}
	mounts_text[used] = '\0';
	return 0;
}

/* "\040" and its like, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; to++) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] && text[3]) {
			*to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

/* Cuts the next word off *REST. */
static char *next_word(char **rest)
{
	char *word = *rest;
	char *end = word + strcspn(word, " ");

	*rest = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* "36 35 98:0 /root /point rw,nosuid …" */
static int parse_line(char *line, struct mount_line *ret)
{
	char *device, *minor_text, *options;

	ret->id = strtoull(next_word(&line), NULL, 10);
	ret->parent = strtoull(next_word(&line), NULL, 10);
	device = next_word(&line);
	minor_text = strchr(device, ':');
	if (!minor_text)
		return -EBADMSG;
	ret->device = makedev((unsigned)strtoul(device, NULL, 10),
			      (unsigned)strtoul(minor_text + 1, NULL, 10));
	(void)next_word(&line); /* root */
	ret->point = next_word(&line);
	options = next_word(&line);
	if (strncmp(options, "ro", 2) != 0 && strncmp(options, "rw", 2) != 0)
		return -EBADMSG;
	ret->read_only = options[1] == 'o';
	unescape(ret->point);
	return 0;
}

static bool is_opened(struct view *v, const struct mount_line *line)
{
	size_t i;

	for (i = 0; i < v->n_opened; i++) {
		if (v->opened[i] == line->id)
			return true;
		if (v->opened[i] != line->parent)
			continue;
		if (v->n_opened < OPENED_MAX) /* else it is found to be too open */
			v->opened[v->n_opened++] = line->id;
		return true;
	}
	return false;
}

/* Calls FN for every mount that is writable and not the sandbox's own. */
static int each_foreign(struct view *v, int (*fn)(struct view *v, const struct mount_line *line))
{
	char *line, *next;
	struct mount_line mount;
	int r = read_mounts(v);

	for (line = mounts_text; r == 0 && *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		r = parse_line(line, &mount);
		if (r == 0 && !mount.read_only && !is_own(v, mount.device))
			r = fn(v, &mount);
	}
	return r;
}

/* A path that leads to another mount by now is found by the second reading. */
static int close_mount(struct view *v, const struct mount_line *line)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	CLEANUP_FD int fd = open(line->point, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	v->where = line->point;
	if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

static int expect_opened(struct view *v, const struct mount_line *line)
{
	v->where = line->point;
	return is_opened(v, line) ? 0 : -EBUSY;
}

/* ---- directories that stay writable ---- */

/* With the agent's rights on files: what is made is the owner's. */
static int act_as_agent(void)
{
	(void)syscall(SYS_setfsgid, SANDBOX_ID_AGENT); /* these two answer with what was before */
	(void)syscall(SYS_setfsuid, SANDBOX_ID_AGENT);
	if (syscall(SYS_setfsuid, -1) != SANDBOX_ID_AGENT ||
	    syscall(SYS_setfsgid, -1) != SANDBOX_ID_AGENT)
		return -EPERM;
	return 0;
}

static int open_base(const struct view *v)
{
	CLEANUP_FD int fd = absolute_open(v->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_dev != v->workspace.st_dev || st.st_ino != v->workspace.st_ino)
		return -ESTALE; /* something else was moved there */
	return TAKE_FD(fd);
}

/* One component; makes it when it is missing. */
static int open_step(int dir, const char *name)
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

static int open_writable(const struct view *v, const char *path)
{
	int fd = open_base(v), next;
	char name[NAME_MAX + 1];
	size_t length;

	while (fd >= 0 && *path) {
		length = strcspn(path, "/");
		if (length == 0 || length > NAME_MAX ||
		    (length <= 2 && memcmp(path, "..", length) == 0)) {
			(void)close_fd(fd);
			return -EINVAL;
		}
		memcpy(name, path, length);
		name[length] = '\0';
		path += length + (path[length] == '/');
		next = open_step(fd, name);
		(void)close_fd(fd);
		fd = next;
	}
	return fd;
}

static int clone_writable(struct view *v, size_t i)
{
	struct statx st;

	v->where = v->writable[i];
	v->places[i] = open_writable(v, v->writable[i]);
	if (v->places[i] < 0)
		return v->places[i];
	v->trees[i] = open_tree(v->places[i], "",
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (v->trees[i] < 0 || statx(v->trees[i], "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -errno;
	v->opened[v->n_opened++] = st.stx_mnt_id;
	return 0;
}

static int put_writable(struct view *v, size_t i)
{
	v->where = v->writable[i];
	return move_mount(v->trees[i], "", v->places[i], "",
			  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* ---- inside the sandbox ---- */

static int close_mounts(struct view *v)
{
	uint32_t i;
	int r = 0;

	v->step = "making a directory";
	if (v->request->n_writable > 0)
		r = act_as_agent();
	for (i = 0; r == 0 && i < v->request->n_writable; i++)
		r = clone_writable(v, i);
	if (r < 0)
		return r;
	v->step = "making read-only";
	r = each_foreign(v, close_mount);
	for (i = 0; r == 0 && i < v->request->n_writable; i++)
		r = put_writable(v, i);
	if (r < 0)
		return r;
	v->step = "checking";
	return each_foreign(v, expect_opened);
}

static int open_own(const struct view *v, const char *path, int *ret)
{
	*ret = openat(v->proc, path, O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

static int make_inside(void *arg)
{
	struct view *v = arg;
	const uint32_t flags = v->request->flags;
	int r = 0;

	v->step = "a namespace";
	if (flags & KEEPER_VIEW_NO_NETWORK) {
		if (unshare(CLONE_NEWNET) < 0)
			return -errno;
		r = fence_loopback_up(NULL);
		if (r == 0)
			r = open_own(v, "self/ns/net", &v->network);
	}
	if (r < 0 || !(flags & KEEPER_VIEW_READ_ONLY))
		return r;
	/* private: what is mounted here must not appear in the sandbox, nor the reverse */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	r = close_mounts(v);
	if (r < 0)
		return r;
	v->step = "a namespace";
	return open_own(v, "self/ns/mnt", &v->mounts);
}

/* ---- the whole ---- */

static int parse(struct view *v, const struct wire_message *m)
{
	bool bad = false;
	uint32_t i;

	v->base = wire_string(m, v->request->base, &bad);
	if (v->request->n_writable > KEEPER_VIEW_WRITABLE_MAX)
		return -EBADMSG;
	for (i = 0; i < v->request->n_writable; i++) {
		v->writable[i] = wire_string(m, v->request->writable[i], &bad);
		if (!v->writable[i] || v->writable[i][0] == '\0')
			bad = true;
	}
	return bad || (v->request->n_writable > 0 && !v->base) ? -EBADMSG : 0;
}

/* The workspace must be one that was claimed to be written to. */
static int find_workspace(struct view *v)
{
	const struct release_root *root;

	STAILQ_FOREACH (root, &v->target->release->roots, entry)
		if (strcmp(root->path, v->base) == 0)
			return fstat(root->fd, &v->workspace) < 0 ? -errno : 0;
	return -EROFS;
}

static void view_deinit(struct view *v)
{
	size_t i;

	for (i = 0; i < KEEPER_VIEW_WRITABLE_MAX; i++) {
		(void)close_fd(v->trees[i]);
		(void)close_fd(v->places[i]);
	}
	(void)close_fd(v->proc);
	(void)close_fd(v->mounts);
	(void)close_fd(v->network);
}

static void view_init(struct view *v, const struct view_target *t, const struct wire_message *m)
{
	size_t i;

	v->target = t;
	v->request = (const struct keeper_view *)(const void *)m->data;
	v->step = "the request";
	v->mounts = v->network = -1;
	for (i = 0; i < KEEPER_VIEW_WRITABLE_MAX; i++)
		v->trees[i] = v->places[i] = -1;
	v->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int view_make(const struct view_target *t, const struct wire_message *m, int *ret_mounts,
	      int *ret_network, char *reason)
{
	static struct view v;
	int r;

	v = (struct view){ 0 };
	view_init(&v, t, m);
	r = v.proc < 0 ? -EMFILE : parse(&v, m);
	if (r == 0 && v.request->n_writable > 0)
		r = find_workspace(&v);
	if (r == 0 && t->own->count == 0)
		r = -ESRCH; /* nothing was claimed, or it cannot be recalled */
	if (r == 0)
		r = enter_run(t->pidfd, CLONE_NEWNS, make_inside, &v);
	if (r == 0) {
		*ret_mounts = TAKE_FD(v.mounts);
		*ret_network = TAKE_FD(v.network);
	} else {
		(void)snprintf(reason, VIEW_REASON_MAX, "%s%s%s: %s", v.step, v.where ? " " : "",
			       v.where ? v.where : "", strerror(-r));
	}
	view_deinit(&v);
	return r;
}
