/* SPDX-License-Identifier: Apache-2.0 */
/* What was covered is found through a descriptor of the sandbox's own mount, never by its path: the
 * root in there may have moved directories. The new cover is a clone of what lies open, made by a
 * helper inside (enter.h), because the mounts that the first one was cloned from may be gone.
 *
 * Between the owner's rename and our mount it lies open for a moment. What was written then cannot
 * be told from the owner's; docs/git.md says it. */

#include "claim-guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claim-internal.h"
#include "enter.h"
#include "files.h"
#include "keeper-wire.h"
#include "macro.h"

/* Removing a repository takes a moment, in which nothing is made again; and somebody may cause more
 * events than we can look at. */
#define LATER_MS 100

struct entry {
	struct entry *next;
	uint32_t flags;
	char *content;
	char name[];
};

/* A directory of one sandbox; that of another has the same number if it is the same directory. */
struct guard_place {
	struct guard_place *next;
	struct guard *guard;
	struct release *release;
	int pidfd;
	int number;  /* inotify's */
	int outside; /* borrowed */
	int inside;
	bool due; /* to be looked at later */
	struct entry *entries;
};

static struct guard_place **bucket(struct guard *g, int number)
{
	return &g->by_number[(unsigned)number % GUARD_BUCKETS];
}

/* ---- covering ---- */

struct cover {
	int dir;
	const char *name;
	bool empty;
};

static int clone_read_only(int fd)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV };
	CLEANUP_FD int tree =
		open_tree(fd, "",
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(tree);
}

static int make_empty(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	struct part p = { .tree = -1, .cover = true };
	int r = claim_make_memory(&p);

	if (r == 0 && mount_setattr(p.tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		r = -errno;
	if (r < 0)
		(void)close_fd(p.tree);
	return r < 0 ? r : p.tree;
}

static int cover_inside(void *arg)
{
	const struct cover *c = arg;
	CLEANUP_FD int at = openat(c->dir, c->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP_FD int tree = -1;
	struct statx st;

	if (at < 0 || statx(at, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0)
		return -errno;
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return 0; /* the cover is there */
	tree = c->empty ? make_empty() : clone_read_only(at);
	if (tree < 0)
		return tree;
	return move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* What was removed is made again, so that the agent cannot; not while all is being removed. */
static int make_again(const struct guard_place *p, const struct entry *e)
{
	int r = 0;

	if (faccessat(p->outside, "HEAD", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (e->flags & KEEPER_MOUNT_MAKE_FILE)
		r = file_make_at(p->outside, e->name, e->content, (struct owned){ 0, 0644 });
	else if ((e->flags & KEEPER_MOUNT_MAKE_DIR) && mkdirat(p->outside, e->name, 0755) < 0)
		r = -errno;
	if (r == -EEXIST)
		return 0;
	if (r < 0 || !(e->flags & KEEPER_MOUNT_MAKE_FILE))
		return r;
	return release_note_made(p->release, p->outside, e->name, e->content);
}

/* Returns 0 or negative errno: -ENOENT if there is nothing, or not any more. */
static int cover_again(const struct guard_place *p, const struct entry *e, bool make)
{
	struct cover c = { p->inside, e->name, (e->flags & KEEPER_MOUNT_EMPTY) != 0 };
	int r = make ? make_again(p, e) : 0;

	if (r == 0)
		r = enter_run(p->pidfd, CLONE_NEWNS, cover_inside, &c);
	if (r < 0 && r != -ESRCH && r != -ENOENT)
		(void)fprintf(stderr,
			      "sandbox %s: %s of a repository is not covered any more: %s\n",
			      p->release->id, e->name, strerror(-r));
	return r;
}

/* At the entry NAME, or at all of them. Whether something was missing. */
static bool look_at(const struct guard_place *p, const char *name, bool make)
{
	const struct entry *e;
	bool missing = false;

	if (p->inside < 0 || p->release->leaving)
		return false;
	for (e = p->entries; e; e = e->next)
		if (!name || strcmp(e->name, name) == 0)
			missing = cover_again(p, e, make) == -ENOENT || missing;
	return missing;
}

/* ---- events ---- */

static void look_later(struct guard *g, struct guard_place *p)
{
	p->due = true;
	if (!g->later.armed)
		timer_set(g->loop, &g->later, LATER_MS);
}

static void on_later(void *userdata)
{
	struct guard *g = userdata;
	struct guard_place *p;
	size_t i;

	for (i = 0; i < GUARD_BUCKETS; i++)
		for (p = g->by_number[i]; p; p = p->next) {
			if (p->due)
				(void)look_at(p, NULL, true);
			p->due = false;
		}
}

static void on_change(struct guard *g, int number, const char *name)
{
	struct guard_place *p;

	for (p = *bucket(g, number); p; p = p->next)
		if (p->number == number && look_at(p, name, false))
			look_later(g, p);
}

/* There were more events than the kernel keeps. */
static void on_overflow(struct guard *g)
{
	struct guard_place *p;
	size_t i;

	for (i = 0; i < GUARD_BUCKETS; i++)
		for (p = g->by_number[i]; p; p = p->next)
			look_later(g, p);
}

static void on_events(void *userdata, uint32_t events)
{
	_Alignas(struct inotify_event) char buffer[4096];
	struct guard *g = userdata;
	ssize_t n = read(g->watch.fd, buffer, sizeof(buffer)), at;
	const struct inotify_event *e, *last = NULL;

	(void)events;
	for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
		e = (const struct inotify_event *)(const void *)(buffer + at);
		if (e->mask & IN_Q_OVERFLOW)
			on_overflow(g);
		if (e->len == 0 || (last && last->wd == e->wd && strcmp(last->name, e->name) == 0))
			continue;
		on_change(g, e->wd, e->name);
		last = e;
	}
}

/* ---- what is watched ---- */

void guard_init(struct guard *g, struct loop *l)
{
	*g = (struct guard){ .loop = l, .later = { .on_time = on_later, .userdata = g } };
	g->watch = (struct watch){ .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
				   .on_ready = on_events,
				   .userdata = g };
	if (g->watch.fd < 0 || loop_watch(l, &g->watch, EPOLLIN) < 0) {
		(void)fprintf(stderr, "sandbox-keeper: without inotify, git's configuration is "
				      "not covered again when it is replaced\n");
		g->watch.fd = close_fd(g->watch.fd);
	}
}

void guard_deinit(struct guard *g)
{
	timer_cancel(g->loop, &g->later);
	if (g->watch.fd >= 0)
		loop_forget(g->loop, &g->watch);
	g->watch.fd = close_fd(g->watch.fd);
}

static int watch_directory(const struct guard *g, int dir)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dir); /* fits */
	return inotify_add_watch(g->watch.fd, path, IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
}

static struct guard_place *place_new(struct release *r, const struct release_root *root, int pidfd)
{
	struct guard *g = r->all->guard;
	struct guard_place *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	*p = (struct guard_place){ .guard = g,
				   .release = r,
				   .pidfd = pidfd,
				   .outside = root->fd,
				   .inside = -1,
				   .number = watch_directory(g, root->fd) };
	if (p->number < 0) /* of all that the owner's programs watch together, there is a limit */
		(void)fprintf(stderr, "%s: not watched: %s\n", root->path, strerror(errno));
	p->next = *bucket(g, p->number);
	*bucket(g, p->number) = p;
	return p;
}

struct guard_place *guard_place_free(struct guard_place *p)
{
	struct guard_place **at;
	struct entry *e;
	bool shared = false;

	if (!p)
		return NULL;
	for (at = bucket(p->guard, p->number); *at;) {
		shared = shared || (*at != p && (*at)->number == p->number);
		if (*at == p)
			*at = p->next;
		else
			at = &(*at)->next;
	}
	if (!shared && p->number >= 0)
		(void)inotify_rm_watch(p->guard->watch.fd, p->number); /* gone with its directory */
	while ((e = p->entries)) {
		p->entries = e->next;
		free(e->content);
		free(e);
	}
	(void)close_fd(p->inside);
	free(p);
	return NULL;
}

/* The part of a repository at the first LENGTH bytes of PATH. */
static struct release_root *find_part(const struct release *r, const char *path, size_t length)
{
	struct release_root *root;

	STAILQ_FOREACH (root, &r->roots, entry)
		if (root->links && strlen(root->path) == length &&
		    memcmp(root->path, path, length) == 0)
			return root;
	return NULL;
}

int guard_add(struct release *r, int pidfd, const struct guard_cover *c)
{
	const char *name = strrchr(c->target, '/');
	struct release_root *root;
	struct entry *e;

	if (!r->all->guard || r->all->guard->watch.fd < 0 || !name)
		return 0;
	root = find_part(r, c->target, (size_t)(name++ - c->target));
	if (!root)
		return 0;
	if (!root->guard)
		root->guard = place_new(r, root, pidfd);
	e = root->guard ? malloc(sizeof(*e) + strlen(name) + 1) : NULL;
	if (!e)
		return -ENOMEM;
	e->content = strdup(c->content);
	e->flags = c->flags;
	(void)strcpy(e->name, name); /* fits */
	e->next = root->guard->entries;
	root->guard->entries = e;
	return e->content ? 0 : -ENOMEM;
}

void guard_set_inside(const struct release *r, const char *target, int *mount)
{
	const struct release_root *root = find_part(r, target, strlen(target));

	if (root && root->guard && root->guard->inside < 0)
		root->guard->inside = TAKE_FD(*mount);
}

/* In the helper. What is another directory by now is not touched. */
static int find_inside(void *arg)
{
	const struct release *r = arg;
	struct release_root *root;
	struct stat there, here;

	STAILQ_FOREACH (root, &r->roots, entry) {
		CLEANUP_FD int fd = root->guard ? absolute_open(root->path, O_PATH) : -1;

		if (fd >= 0 && fstat(fd, &there) == 0 && fstat(root->fd, &here) == 0 &&
		    there.st_dev == here.st_dev && there.st_ino == here.st_ino)
			root->guard->inside = TAKE_FD(fd);
	}
	return 0;
}

void guard_recall(struct release *r, int pidfd)
{
	struct release_root *root;

	(void)enter_run(pidfd, CLONE_NEWNS, find_inside, r); /* as below: what is not found */
	STAILQ_FOREACH (root, &r->roots, entry) {
		if (root->guard && root->guard->inside < 0)
			(void)fprintf(stderr, "sandbox %s: %s is not watched\n", r->id, root->path);
		else if (root->guard)
			look_later(root->guard->guard, root->guard);
	}
}
