/* SPDX-License-Identifier: Apache-2.0 */
/* The half of a claim that is done in the keeper: each root is opened (without symlinks, compared
 * by device and inode) or, when handed over as a detached mount, attached in the stage; each mount
 * is a clone of what lies beneath a root, made nosuid, nodev and private. claim-inside.c moves the
 * clones to where they belong.
 *
 * What is made outside the sandbox is recorded first (record.h), so that a later keeper finds it.
 *
 * The clone must be recursive: a directory with locked mounts below it is EINVAL otherwise. */

#include "claim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "claim-guard.h"
#include "claim-internal.h"
#include "enter.h"
#include "files.h"
#include "keeper-wire.h"
#include "macro.h"
#include "record.h"
#include "worker.h"

#define LOCK_TEXT_MAX 1024 /* more than one of ours says */

static unsigned int stage_counter;
static int staged;

int claim_explain(struct claim *c, int error, const char *what, const char *where)
{
	if (c->reason[0] == '\0')
		(void)snprintf(c->reason, CLAIM_REASON_MAX, "%s %s: %s", what, where,
			       strerror(-error));
	return error;
}

/* ---- roots ---- */

static bool same_file(int fd, const struct keeper_root *root)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == root->dev && st.st_ino == root->ino;
}

static int make_stage_point(const struct tree *t, int mount, char *name, size_t size)
{
	struct stat st;

	if (fstat(mount, &st) < 0)
		return -errno;
	(void)snprintf(name, size, "%u", stage_counter++);
	if (S_ISDIR(st.st_mode))
		return dir_make_at(t->stage, name, (struct owned){ 0, 0700 });
	return file_make_at(t->stage, name, "", (struct owned){ 0, 0600 });
}

/* A detached mount becomes part of our namespace, so that parts of it can be cloned. */
static int stage_mount(const struct tree *t, int mount)
{
	char name[16];
	int r;

	r = make_stage_point(t, mount, name, sizeof(name));
	if (r < 0)
		return r;
	staged = 1;
	if (move_mount(mount, "", t->stage, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	r = openat(t->stage, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	return r < 0 ? -errno : r;
}

static int open_root(struct claim *c, const struct keeper_root *root, const char *path)
{
	int fd;

	if (root->fd >= 0) {
		if ((size_t)root->fd >= c->m->n_fds || c->m->fds[root->fd] < 0)
			return -EBADF;
		return stage_mount(c->target->tree, c->m->fds[root->fd]);
	}
	fd = absolute_open(path, O_PATH);
	if (fd >= 0 && !same_file(fd, root)) {
		(void)close_fd(fd);
		return -ESTALE;
	}
	return fd;
}

/* All are tried; returns the first error. */
static int open_roots(struct claim *c)
{
	const char *path;
	bool bad = false;
	int r = 0;
	uint32_t i;

	for (i = 0; i < c->request->n_roots; i++) {
		path = wire_string(c->m, c->request->roots[i].path, &bad);
		if (bad || !path)
			return claim_explain(c, -EBADMSG, "root", "without path");
		c->roots[i] = open_root(c, &c->request->roots[i], path);
		if (c->roots[i] < 0 && r == 0 && !c->request->roots[i].optional)
			r = claim_explain(c, c->roots[i], "opening", path);
	}
	return r;
}

/* ---- sources ---- */

struct texts {
	const char *root;
	const char *source;
	const char *target;  /* NULL: only made */
	const char *content; /* "" when there is none */
};

static int get_texts(const struct claim *c, const struct keeper_mount *mount, struct texts *t)
{
	bool bad = false;

	if (mount->flags & KEEPER_MOUNT_MEMORY)
		t->root = ""; /* it has none */
	else if (mount->root < c->request->n_roots)
		t->root = wire_string(c->m, c->request->roots[mount->root].path, &bad);
	else
		return -EBADMSG;
	t->source = wire_string(c->m, mount->source, &bad);
	t->target = wire_string(c->m, mount->target, &bad);
	t->content = wire_string(c->m, mount->content, &bad);
	if (!t->source)
		t->source = "";
	if (!t->content)
		t->content = "";
	return bad || !t->root || (!t->target && !(mount->flags & KEEPER_MOUNT_ONLY_MAKE))
		       ? -EBADMSG
		       : 0;
}

/* Opens the directory that holds SOURCE and points *NAME at the last component. */
static int open_parent(int root, const char *source, const char **name)
{
	CLEANUP_STR char *dir = NULL;
	const char *slash = strrchr(source, '/');

	*name = slash ? slash + 1 : source;
	if ((*name)[0] == '\0' || strcmp(*name, "..") == 0 || strcmp(*name, ".") == 0)
		return -EINVAL;
	if (!slash)
		return beneath_open(root, "", O_RDONLY | O_DIRECTORY);
	dir = strndup(source, (size_t)(slash - source));
	return dir ? beneath_open(root, dir, O_RDONLY | O_DIRECTORY) : -ENOMEM;
}

static int make_directory(int root, const char *source)
{
	CLEANUP_FD int parent = -1;
	const char *name;

	parent = open_parent(root, source, &name);
	if (parent < 0)
		return parent;
	return mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_file(struct claim *c, int root, const struct texts *t)
{
	struct release *release = c->target->release;
	CLEANUP_FD int parent = -1;
	const char *name;
	int r;

	parent = open_parent(root, t->source, &name);
	if (parent < 0)
		return parent;
	r = file_make_at(parent, name, t->content, (struct owned){ 0, 0644 });
	if (r == -EEXIST && (!c->record.found || release_is_made(release, parent, name) ||
			     !record_has(&c->record, RECORD_MADE, t->root, t->source)))
		return release_note_found(release, parent, name);
	return r < 0 && r != -EEXIST ? r : release_note_made(release, parent, name, t->content);
}

static int clone_private(int fd, bool read_only)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       (read_only ? MOUNT_ATTR_RDONLY : 0),
				   .propagation = MS_PRIVATE };
	CLEANUP_FD int tree =
		open_tree(fd, "",
			  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(tree);
}

static int add_part(struct claim *c, int fd, uint32_t flags, const char *target)
{
	bool read_only = (flags & KEEPER_MOUNT_READONLY) != 0;
	struct part *p = &c->parts[c->n_parts];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return -EINVAL;
	p->tree = clone_private(fd, read_only);
	if (p->tree < 0)
		return p->tree;
	p->directory = S_ISDIR(st.st_mode);
	p->read_only = read_only;
	p->target = target;
	c->n_parts++;
	if (read_only || !p->directory)
		return 0;
	return release_note_root(c->target->release, fd, target, flags, &c->record.since);
}

static void add_cover(struct claim *c, const char *target)
{
	c->parts[c->n_parts++] = (struct part){
		.tree = -1, .directory = true, .cover = true, .read_only = true, .target = target
	};
}

static void add_memory(struct claim *c, const char *target)
{
	c->parts[c->n_parts++] =
		(struct part){ .tree = -1, .directory = true, .memory = true, .target = target };
}

static int keep_covered(struct claim *c, const struct keeper_mount *mount, const struct texts *t)
{
	const struct guard_cover cover = { t->target, t->content, mount->flags };

	if (!c->target->enters || !(mount->flags & (KEEPER_MOUNT_READONLY | KEEPER_MOUNT_EMPTY)))
		return 0;
	return guard_add(c->target->release, c->target->pidfd, &cover);
}

static int prepare_mount(struct claim *c, const struct keeper_mount *mount, const struct texts *t)
{
	CLEANUP_FD int fd = -1;
	int root, r = 0;

	if (mount->flags & KEEPER_MOUNT_MEMORY) {
		add_memory(c, t->target);
		return 0;
	}
	root = c->roots[mount->root];
	if (root < 0 && c->request->roots[mount->root].optional)
		return 0;
	if (mount->flags & KEEPER_MOUNT_MAKE_FILE)
		r = make_file(c, root, t);
	else if (mount->flags & KEEPER_MOUNT_MAKE_DIR)
		r = make_directory(root, t->source);
	if (r < 0 || (mount->flags & KEEPER_MOUNT_ONLY_MAKE))
		return r;
	fd = t->source[0] == '\0' ? fcntl(root, F_DUPFD_CLOEXEC, 3)
				  : beneath_open(root, t->source, O_PATH);
	if (fd == -ENOENT && (mount->flags & KEEPER_MOUNT_OPTIONAL))
		return 0;
	if (fd < 0)
		return fd;
	r = keep_covered(c, mount, t);
	if (r < 0)
		return r;
	if (mount->flags & KEEPER_MOUNT_EMPTY) {
		add_cover(c, t->target);
		return 0;
	}
	r = add_part(c, fd, mount->flags, t->target);
	if (r == 0)
		c->parts[c->n_parts - 1].optional = c->request->roots[mount->root].optional != 0;
	return r;
}

static int prepare_mounts(struct claim *c)
{
	const struct keeper_mount *mount;
	struct texts t;
	uint32_t i;
	int r;

	for (i = 0; i < c->request->n_mounts; i++) {
		mount = &c->request->mounts[i];
		r = get_texts(c, mount, &t);
		if (r < 0)
			return claim_explain(c, r, "mount", "without target");
		r = prepare_mount(c, mount, &t);
		if (r < 0)
			return claim_explain(c, r, "preparing",
					     t.source[0] != '\0' || !t.target ? t.source
									      : t.target);
	}
	return 0;
}

/* ---- the record ---- */

/* Will a file be made, or does another claim's become ours, too? */
static bool will_be_ours(const struct claim *c, int root, const char *source)
{
	CLEANUP_FD int parent = -1;
	const char *name;

	parent = open_parent(root, source, &name);
	return parent >= 0 && (faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
			       release_is_made(c->target->release, parent, name));
}

static int note_mount(struct claim *c, const struct keeper_mount *mount, const struct texts *t)
{
	if (mount->flags & KEEPER_MOUNT_NO_GIT)
		return record_add(&c->record, RECORD_OWN, t->root, t->source);
	if ((mount->flags & KEEPER_MOUNT_MAKE_FILE) &&
	    will_be_ours(c, c->roots[mount->root], t->source))
		return record_add(&c->record, RECORD_MADE, t->root, t->source);
	return 0;
}

static int write_record(struct claim *c)
{
	const struct keeper_mount *mount;
	struct texts t;
	uint32_t i;
	int r;

	r = record_load(&c->record, c->target->tree, c->target->id);
	for (i = 0; r == 0 && i < c->request->n_mounts; i++) {
		mount = &c->request->mounts[i];
		r = get_texts(c, mount, &t);
		if (r == 0)
			r = note_mount(c, mount, &t);
	}
	if (r == 0 && c->request->n_mounts > 0)
		r = record_save(&c->record, c->target->tree, c->target->id);
	return r < 0 ? claim_explain(c, r, "noting", "what is made") : 0;
}

/* A file that several claims share says which of them made it, behind what they have in common. */
static void recall_file(struct claim *c, int root, const struct texts *t)
{
	const size_t common = strcspn(t->content, ":");
	CLEANUP_FD int parent = -1;
	char text[LOCK_TEXT_MAX];
	const char *name;
	bool shared;

	if (!record_has(&c->record, RECORD_MADE, t->root, t->source))
		return;
	parent = open_parent(root, t->source, &name);
	if (parent < 0)
		return; /* it is gone */
	shared = t->content[common] == ':' && file_get_at(parent, name, text, sizeof(text)) > 0 &&
		 strncmp(text, t->content, common + 1) == 0;
	(void)release_note_made(c->target->release, parent, name, shared ? text : t->content);
}

static void recall_mount(struct claim *c, const struct keeper_mount *mount, const struct texts *t)
{
	const uint32_t none = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_EMPTY | KEEPER_MOUNT_ONLY_MAKE;
	uint32_t flags = mount->flags & ~(uint32_t)KEEPER_MOUNT_NO_GIT;
	int root = flags & KEEPER_MOUNT_MEMORY ? -1 : c->roots[mount->root];
	CLEANUP_FD int fd = -1;

	if (mount->flags & KEEPER_MOUNT_MEMORY)
		add_memory(c, t->target);
	if (root < 0)
		return;
	if (mount->flags & KEEPER_MOUNT_MAKE_FILE)
		recall_file(c, root, t);
	(void)keep_covered(c, mount, t); /* as well as memory allows */
	if (mount->flags & none)
		return;
	fd = beneath_open(root, t->source, O_PATH | O_DIRECTORY);
	if (record_has(&c->record, RECORD_OWN, t->root, t->source))
		flags |= KEEPER_MOUNT_NO_GIT; /* the one it has now is not believed */
	if (fd >= 0)
		(void)release_note_root(c->target->release, fd, t->target, flags, &c->record.since);
}

/* ---- the whole ---- */

/* What was the sandbox's own when it was claimed. Nobody inside can mount, and what is mounted
 * stays where it is in its directory; but directories can be moved, so a path may lead into a
 * workspace by now, which is not its own. */
static int recall_own(struct claim *c)
{
	const struct release_root *root;
	struct stat st;
	int r;

	c->failed = "the sandbox";
	r = enter_run(c->target->pidfd, CLONE_NEWNS, claim_look_inside, c);
	if (r < 0)
		return claim_explain(c, r, "looking at", c->failed);
	STAILQ_FOREACH (root, &c->target->release->roots, entry)
		if (fstat(root->fd, &st) == 0)
			view_drop_own(c->target->own, st.st_dev);
	guard_recall(c->target->release, c->target->pidfd);
	return 0;
}

static int recall(struct claim *c)
{
	struct texts t;
	uint32_t i;
	int r;

	r = record_load(&c->record, c->target->tree, c->target->id);
	if (r < 0)
		return claim_explain(c, r, "reading", "what was made");
	if (c->record.found)
		(void)open_roots(c); /* as far as they are still there */
	for (i = 0; i < c->request->n_mounts; i++)
		if (get_texts(c, &c->request->mounts[i], &t) == 0)
			recall_mount(c, &c->request->mounts[i], &t);
	return c->target->enters ? recall_own(c) : 0;
}

static int run(struct claim *c)
{
	struct part *p;
	bool bad = false;
	int r;

	c->hostname = wire_string(c->m, c->request->hostname, &bad);
	if (bad || (c->hostname && strlen(c->hostname) > 64))
		return claim_explain(c, -EBADMSG, "malformed", "host name");
	c->git_config = wire_string(c->m, c->request->git_config, &bad);
	if (bad)
		return claim_explain(c, -EBADMSG, "malformed", "git configuration");
	r = open_roots(c);
	if (r < 0)
		return r;
	r = write_record(c);
	if (r == 0)
		r = prepare_mounts(c);
	if (r < 0)
		return r;
	if (c->target->mounts)
		return claim_attach_all(c);
	if (!c->target->enters)
		return c->n_parts == 0 ? 0 : claim_explain(c, -EBADMSG, "mounts for", "the host");
	c->failed = "the sandbox";
	r = enter_run(c->target->pidfd, CLONE_NEWNS | CLONE_NEWUTS, claim_move_inside, c);
	if (r < 0)
		return claim_explain(c, r, "mounting at", c->failed);
	for (p = c->parts; p < c->parts + c->n_parts; p++)
		if (p->directory && !p->read_only)
			guard_set_inside(c->target->release, p->target, &p->tree);
	return 0;
}

static int with_claim(const struct claim_target *t, struct wire_message *m, char *reason,
		      int (*work)(struct claim *c))
{
	struct claim *c = calloc(1, sizeof(*c));
	size_t i;
	int r;

	reason[0] = '\0';
	if (!c)
		return -ENOMEM;
	c->target = t;
	c->m = m;
	c->request = (const struct keeper_claim *)(const void *)m->data;
	c->reason = reason;
	for (i = 0; i < KEEPER_ROOTS_MAX; i++)
		c->roots[i] = -1;
	if (c->request->n_roots > KEEPER_ROOTS_MAX || c->request->n_mounts > KEEPER_MOUNTS_MAX)
		r = claim_explain(c, -EBADMSG, "too many", "mounts");
	else
		r = work(c);
	record_deinit(&c->record);
	for (i = 0; i < c->n_parts; i++)
		(void)close_fd(c->parts[i].tree);
	for (i = 0; i < KEEPER_ROOTS_MAX; i++)
		(void)close_fd(c->roots[i]);
	free(c);
	return r;
}

int claim_run(const struct claim_target *t, struct wire_message *m, char *reason)
{
	return with_claim(t, m, reason, run);
}

int claim_recall(const struct claim_target *t, struct wire_message *m, char *reason)
{
	return with_claim(t, m, reason, recall);
}

int claim_take_staged(void)
{
	int was = staged;

	staged = 0;
	return was;
}

void claim_unstage(void *arg)
{
	const struct tree *t = arg;
	struct worker_result result = { 0 };
	char path[64];
	const struct dirent *e;
	DIR *d = opendir(TREE_PATH "/stage");

	worker_answer(&result);
	while (d && (e = readdir(d))) {
		/* the counter is a copy from when we were forked: what is newer is in use */
		if (e->d_name[0] == '.' || strtoul(e->d_name, NULL, 10) >= stage_counter)
			continue;
		(void)snprintf(path, sizeof(path), TREE_PATH "/stage/%.16s", e->d_name);
		(void)umount2(path, MNT_DETACH); /* EINVAL: another one was faster */
		if (unlinkat(t->stage, e->d_name, AT_REMOVEDIR) < 0)
			(void)unlinkat(t->stage, e->d_name, 0); /* it was for a file */
	}
	if (d)
		(void)closedir(d);
}
