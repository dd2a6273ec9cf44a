/* SPDX-License-Identifier: Apache-2.0 */
/* For a sandbox that nothing can enter (gVisor): the mounts of a claim are attached in our own
 * tree, where the runtime takes them from, and are detached again when it has. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "claim-internal.h"
#include "files.h"
#include "macro.h"

void claim_mounts_deinit(struct claim_mounts *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		free(m->list[i].target);
	free(m->list);
	free(m->hostname);
	free(m->git_config);
	*m = (struct claim_mounts){ 0 };
}

void claim_detach(const struct tree *t, const char *id)
{
	char path[256]; /* ids are short */
	CLEANUP_FD int dir = -1;
	size_t i;

	dir = dir_open_at(t->mounts, id);
	if (dir < 0)
		return;
	for (i = 0; i < KEEPER_MOUNTS_MAX; i++) {
		(void)snprintf(path, sizeof(path), "%zu", i);
		if (faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			break;
		(void)snprintf(path, sizeof(path), TREE_PATH "/mounts/%s/%zu", id, i);
		(void)umount2(path, MNT_DETACH); /* EINVAL: it was never attached */
		if (rmdir(path) < 0)
			(void)unlink(path); /* it was for a file */
	}
	(void)unlinkat(t->mounts, id, AT_REMOVEDIR);
}

/* Later parts may have their targets in a cover: there they have to be before it is closed. */
static int fill_cover(const struct claim *c, const struct part *cover)
{
	size_t length = strlen(cover->target);
	struct walk w = { .claim = c };
	const struct part *p;
	const char *rest;
	int dir, next, r;
	bool last;

	for (p = cover + 1; p < c->parts + c->n_parts; p++) {
		if (strncmp(p->target, cover->target, length) != 0 || p->target[length] != '/')
			continue;
		rest = p->target + length;
		dir = fcntl(cover->tree, F_DUPFD_CLOEXEC, 3);
		r = dir < 0 ? -errno : 0;
		while (r == 0 && claim_next_component(&rest, w.name, &r)) {
			last = rest[strspn(rest, "/")] == '\0';
			next = claim_open_step(&w, dir, !last || p->directory);
			(void)close_fd(dir);
			dir = next;
			if (dir == -ENOENT)
				break; /* inside of another part's mount */
			r = dir < 0 ? dir : 0;
		}
		(void)close_fd(dir < 0 ? -1 : dir);
		if (r < 0)
			return r;
	}
	return 0;
}

static int attach(struct claim *c, int dir, size_t i)
{
	struct claim_mounts *mounts = c->target->mounts;
	struct part *p = &c->parts[i];
	char name[16];
	int r;

	(void)snprintf(name, sizeof(name), "%zu", i);
	r = p->cover ? claim_make_memory(p) : 0;
	if (r == 0 && p->cover)
		r = fill_cover(c, p);
	if (r == 0)
		r = p->directory ? dir_make_at(dir, name, (struct owned){ 0, 0755 })
				 : file_make_at(dir, name, "", (struct owned){ 0, 0644 });
	if (r < 0)
		return r;
	mounts->list[i] = (struct claim_mount){ strdup(p->target), p->read_only, p->memory };
	mounts->count = i + 1;
	if (!mounts->list[i].target)
		return -ENOMEM;
	if (!p->memory && move_mount(p->tree, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int claim_attach_all(struct claim *c)
{
	struct claim_mounts *mounts = c->target->mounts;
	CLEANUP_FD int dir = -1;
	size_t i;
	int r;

	mounts->hostname = c->hostname ? strdup(c->hostname) : NULL;
	mounts->git_config = c->git_config ? strdup(c->git_config) : NULL;
	mounts->list = calloc(c->n_parts + 1, sizeof(*mounts->list));
	if (!mounts->list || (c->hostname && !mounts->hostname) ||
	    (c->git_config && !mounts->git_config))
		return -ENOMEM;
	r = dir_make_at(c->target->tree->mounts, c->target->id, (struct owned){ 0, 0711 });
	dir = r < 0 ? r : dir_open_at(c->target->tree->mounts, c->target->id);
	if (dir < 0)
		return claim_explain(c, dir, "a place for", "mounts");
	for (i = 0; i < c->n_parts; i++) {
		r = attach(c, dir, i);
		if (r < 0)
			return claim_explain(c, r, "attaching", c->parts[i].target);
	}
	return 0;
}
