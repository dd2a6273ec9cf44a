/* SPDX-License-Identifier: Apache-2.0 */
/* How workspaces and their git directories look inside. Mounts are made in order, a later one on
 * top: first the workspaces, the outer before the inner, then what is protected in them. So no
 * workspace lies over the protected places of another, however they are nested.
 *
 * The agent works on a real repository, and the host's git runs there after it. So everything that
 * steers git is read-only inside (config, hooks, info, modules, objects/info, the files that say
 * where the repository is), and files of that kind which are absent are made first, so that the
 * agent cannot. What a commit needs is writable: objects, refs, logs, and the worktree's own
 * directory. Other worktrees' directories are not shown at all.
 *
 * A plain repository needs its whole .git writable, for lock files at its top. There a `commondir`
 * file would redirect git elsewhere, so one that says "." (itself) is put in its place.
 *
 * Several workspaces may share a repository: its common directory is mounted once, and each
 * worktree's own directory into it. */

#include "sandbox/claim.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/git.h"
#include "sandbox/home.h"
#include "sandbox/idmap.h"
#include "sandbox/workspace.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

struct builder {
	struct wire_message *m;
	const struct claim *claim;
	struct error *reterr;
};

/* The struct is at the start of the message and does not move. */
static struct keeper_claim *body(struct builder *b)
{
	return (struct keeper_claim *)(void *)b->m->data;
}

static int too_many(struct builder *b)
{
	return error_set(b->reterr, ERROR_LIMIT_REACHED, "extraWorkspaces",
			 "use fewer workspaces or shorter paths",
			 "the workspaces take more mounts than one sandbox can have");
}

static int add_string(struct builder *b, struct wire_str *at, const char *text)
{
	size_t offset = (size_t)((uint8_t *)at - b->m->data);

	return wire_add_string(b->m, offset, text) < 0 ? too_many(b) : 0;
}

static int add_idmapped(struct builder *b, int dir, const char *path)
{
	int fd, r;

	r = idmap_mount(dir, b->claim->idmap, &fd);
	if (r < 0 && error_is_shortage(-r))
		return error_set_errno(b->reterr, r, "%s cannot be mounted", path);
	if (r < 0) {
		(void)error_set(b->reterr, ERROR_UNAVAILABLE, "workspace",
				"use a workspace on ext4, xfs, btrfs or tmpfs, or one that "
				"belongs to an ordinary user",
				"the file system of %s cannot do idmapped mounts (%s), which a "
				"workspace of root needs",
				path, strerror(-r));
		return -1;
	}
	r = wire_add_fd(b->m, fd);
	return r < 0 ? too_many(b) : r;
}

/* Returns the root's index, or -1 with the error set. */
static int add_root(struct builder *b, int dir, const char *path)
{
	struct keeper_claim *c = body(b);
	struct keeper_root *root;
	struct stat st;
	int fd = -1;

	if (c->n_roots == KEEPER_ROOTS_MAX)
		return too_many(b);
	if (fstat(dir, &st) < 0)
		return error_set_errno(b->reterr, -errno, "%s cannot be looked at", path);
	if (b->claim->idmap >= 0) {
		fd = add_idmapped(b, dir, path);
		if (fd < 0)
			return -1;
	}
	root = &c->roots[c->n_roots];
	root->fd = fd;
	root->dev = st.st_dev;
	root->ino = st.st_ino;
	if (add_string(b, &root->path, path) < 0)
		return -1;
	return (int)c->n_roots++;
}

struct place {
	int root;
	const char *source; /* below the root, "" is itself */
	const char *base;   /* absolute inside; the target is base/source */
	const char *content;
	uint32_t flags;
};

static int add_mount(struct builder *b, const struct place *p)
{
	struct keeper_claim *c = body(b);
	struct keeper_mount *m;
	char target[PATH_MAX];
	int n;

	if (c->n_mounts == KEEPER_MOUNTS_MAX)
		return too_many(b);
	n = snprintf(target, sizeof(target), "%s%s%s", p->base, p->source[0] ? "/" : "", p->source);
	if (n < 0 || (size_t)n >= sizeof(target))
		return too_many(b);
	m = &c->mounts[c->n_mounts++];
	m->root = (uint32_t)p->root;
	m->flags = p->flags;
	if (add_string(b, &m->source, p->source) < 0 || add_string(b, &m->target, target) < 0)
		return -1;
	return p->content ? add_string(b, &m->content, p->content) : 0;
}

static int add_places(struct builder *b, int root, const char *base, const struct place *places,
		      size_t n)
{
	struct place p;
	size_t i;

	for (i = 0; i < n; i++) {
		p = places[i];
		p.root = root;
		p.base = base;
		if (add_mount(b, &p) < 0)
			return -1;
	}
	return 0;
}

static int add_own_file(struct builder *b, int root, const struct git_layout *git, const char *name,
			const char *content, uint32_t flags)
{
	char source[PATH_MAX];
	struct place p = { .root = root,
			   .source = source,
			   .base = git->common,
			   .content = content,
			   .flags = flags | KEEPER_MOUNT_READONLY };
	int n = snprintf(source, sizeof(source), "worktrees/%s%s%s", git->name, name[0] ? "/" : "",
			 name);

	if (n < 0 || (size_t)n >= sizeof(source))
		return too_many(b);
	if (flags & KEEPER_MOUNT_NO_LINKS)
		p.flags &= ~(uint32_t)KEEPER_MOUNT_READONLY;
	return add_mount(b, &p);
}

/* The worktree's own directory, writable, and in it what may not be changed. The lock is made even
 * for a read-only workspace: the worktree is in use. Repositories of its submodules lie there, too.
 * Where there are none a file keeps their place: one made inside would be taken by the owner's
 * `git submodule update`, and a directory would be taken for a submodule by `git worktree remove`.
 */
static int add_own_directory(struct builder *b, int root, const struct workspace *w)
{
	const struct git_layout *git = workspace_git(w);
	bool writable = workspace_git_config_writable(w);
	uint32_t own = workspace_read_only(w) ? 0 : KEEPER_MOUNT_NO_LINKS;

	if (add_own_file(b, root, git, "", NULL, own) < 0 ||
	    add_own_file(b, root, git, "commondir", NULL, 0) < 0 ||
	    add_own_file(b, root, git, "gitdir", NULL, 0) < 0 ||
	    add_own_file(b, root, git, "locked", b->claim->lock_reason, KEEPER_MOUNT_MAKE_FILE) < 0)
		return -1;
	if (writable)
		return 0;
	if (add_own_file(b, root, git, "modules", "", KEEPER_MOUNT_MAKE_FILE) < 0)
		return -1;
	return add_own_file(b, root, git, "config.worktree", "", KEEPER_MOUNT_MAKE_FILE);
}

/* What several worktrees have of their repository: as much as one of them may write. */
static int add_common(struct builder *b, int common, const char *path, bool read_only,
		      bool config_writable)
{
	static const struct place shared[] = {
		{ .source = "", .flags = KEEPER_MOUNT_READONLY },
		{ .source = "worktrees", .flags = KEEPER_MOUNT_EMPTY },
		{ .source = "objects", .flags = KEEPER_MOUNT_NO_LINKS },
		{ .source = "objects/info",
		  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_DIR },
		{ .source = "refs", .flags = KEEPER_MOUNT_NO_LINKS },
		{ .source = "logs", .flags = KEEPER_MOUNT_MAKE_DIR | KEEPER_MOUNT_NO_LINKS },
	};
	static const struct place shared_read_only[] = {
		{ .source = "", .flags = KEEPER_MOUNT_READONLY },
		{ .source = "worktrees", .flags = KEEPER_MOUNT_EMPTY },
	};
	static const struct place shared_config[] = {
		{ .source = "config", .flags = KEEPER_MOUNT_OPTIONAL },
		{ .source = "hooks", .flags = KEEPER_MOUNT_OPTIONAL },
		{ .source = "info", .flags = KEEPER_MOUNT_OPTIONAL },
	};
	int r;

	if (read_only)
		r = add_places(b, common, path, shared_read_only, ARRAY_SIZE(shared_read_only));
	else
		r = add_places(b, common, path, shared, ARRAY_SIZE(shared));
	if (r == 0 && config_writable)
		r = add_places(b, common, path, shared_config, ARRAY_SIZE(shared_config));
	return r;
}

static bool is_worktree_of(const struct workspace *w, const char *common)
{
	const struct git_layout *git = workspace_git(w);

	return git->kind == GIT_WORKTREE && strcmp(git->common, common) == 0;
}

/* Is the main working tree of the repository COMMON a workspace, too? Then it says what is seen of
 * it. */
static bool has_main_tree(const struct claim *c, const char *common)
{
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < c->n_workspaces; i++) {
		const struct workspace *w = c->workspaces[i];

		if (workspace_git(w)->kind == GIT_REPOSITORY &&
		    snprintf(path, sizeof(path), "%s/.git", workspace_path(w)) <
			    (int)sizeof(path) &&
		    strcmp(path, common) == 0)
			return true;
	}
	return false;
}

/* All worktrees of the repository that the workspace FIRST is the first worktree of. */
static int add_worktrees(struct builder *b, const int *roots, size_t first)
{
	static const struct place pointer = { .source = ".git", .flags = KEEPER_MOUNT_READONLY };
	const struct claim *c = b->claim;
	const struct git_layout *git = workspace_git(c->workspaces[first]);
	int common = add_root(b, git->common_fd, git->common);
	bool read_only = true, config_writable = false;
	size_t i;
	int r = common < 0 ? -1 : 0;

	for (i = first; i < c->n_workspaces; i++) {
		if (!is_worktree_of(c->workspaces[i], git->common))
			continue;
		read_only = read_only && workspace_read_only(c->workspaces[i]);
		config_writable =
			config_writable || workspace_git_config_writable(c->workspaces[i]);
	}
	if (r == 0 && !has_main_tree(c, git->common))
		r = add_common(b, common, git->common, read_only, config_writable);
	for (i = first; r == 0 && i < c->n_workspaces; i++) {
		if (!is_worktree_of(c->workspaces[i], git->common))
			continue;
		r = add_own_directory(b, common, c->workspaces[i]);
		if (r == 0)
			r = add_places(b, roots[i], workspace_path(c->workspaces[i]), &pointer, 1);
	}
	return r;
}

static bool is_first_worktree(const struct claim *c, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (is_worktree_of(c->workspaces[i], workspace_git(c->workspaces[at])->common))
			return false;
	return true;
}

static int add_repository(struct builder *b, int root, const struct workspace *w)
{
	static const struct place places[] = {
		{ .source = ".git", .flags = KEEPER_MOUNT_NO_LINKS },
		{ .source = ".git/worktrees", .flags = KEEPER_MOUNT_EMPTY | KEEPER_MOUNT_MAKE_DIR },
		{ .source = ".git/config",
		  .content = "",
		  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_FILE },
		{ .source = ".git/config.worktree",
		  .content = "",
		  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_FILE },
		{ .source = ".git/commondir",
		  .content = ".\n",
		  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_FILE },
		{ .source = ".git/hooks", .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_DIR },
		{ .source = ".git/info", .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_DIR },
		{ .source = ".git/modules",
		  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_DIR },
		{ .source = ".git/objects/info",
		  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_MAKE_DIR },
	};

	/* Read-only as a whole, or lifted by name: the workspace's own mount says it all. */
	if (workspace_read_only(w) || workspace_git_config_writable(w))
		return 0;
	return add_places(b, root, workspace_path(w), places, ARRAY_SIZE(places));
}

/* The workspace itself. Returns its root's index, or -1 with the error set. */
static int add_tree(struct builder *b, const struct workspace *w)
{
	struct place self = { .source = "" };
	int root = add_root(b, workspace_fd(w), workspace_path(w));

	if (workspace_read_only(w))
		self.flags = KEEPER_MOUNT_READONLY;
	else if (!workspace_git_config_writable(w))
		self.flags = KEEPER_MOUNT_QUARANTINE |
			     (workspace_git(w)->kind == GIT_NONE ? KEEPER_MOUNT_NO_GIT : 0);
	if (root < 0 || add_places(b, root, workspace_path(w), &self, 1) < 0)
		return -1;
	return root;
}

/* An outer directory's path is shorter than that of what is in it. */
static size_t next_outer(const struct claim *c, const bool *done)
{
	size_t i, best = c->n_workspaces;

	for (i = 0; i < c->n_workspaces; i++)
		if (!done[i] && (best == c->n_workspaces ||
				 strlen(workspace_path(c->workspaces[i])) <
					 strlen(workspace_path(c->workspaces[best]))))
			best = i;
	return best;
}

/* Where nothing is isolated: what tells other people's git that the worktree is in use. */
static int add_locks(struct builder *b)
{
	const struct claim *c = b->claim;
	const struct git_layout *git;
	int common;
	size_t i;

	for (i = 0; i < c->n_workspaces; i++) {
		git = workspace_git(c->workspaces[i]);
		if (git->kind != GIT_WORKTREE)
			continue;
		common = add_root(b, git->common_fd, git->common);
		if (common < 0 || add_own_file(b, common, git, "locked", c->lock_reason,
					       KEEPER_MOUNT_MAKE_FILE | KEEPER_MOUNT_ONLY_MAKE) < 0)
			return -1;
	}
	return 0;
}

static int add_workspaces(struct builder *b)
{
	const struct claim *c = b->claim;
	bool done[WORKSPACES_MAX] = { false };
	int roots[WORKSPACES_MAX];
	size_t i, n;

	if (c->n_workspaces > WORKSPACES_MAX)
		return too_many(b);
	for (n = 0; n < c->n_workspaces; n++) {
		i = next_outer(c, done);
		roots[i] = add_tree(b, c->workspaces[i]);
		if (roots[i] < 0)
			return -1;
		done[i] = true;
	}
	for (i = 0; i < c->n_workspaces; i++)
		if (workspace_git(c->workspaces[i])->kind == GIT_REPOSITORY &&
		    add_repository(b, roots[i], c->workspaces[i]) < 0)
			return -1;
	for (i = 0; i < c->n_workspaces; i++)
		if (workspace_git(c->workspaces[i])->kind == GIT_WORKTREE &&
		    is_first_worktree(c, i) && add_worktrees(b, roots, i) < 0)
			return -1;
	return 0;
}

/* First, for all else may be below. */
static int add_memory(struct builder *b)
{
	const struct string_list *l = b->claim->memory;
	size_t i;
	int r = 0;

	for (i = 0; l && r == 0 && i < l->count; i++)
		r = add_mount(b, &(struct place){ .source = "",
						  .base = l->items[i],
						  .flags = KEEPER_MOUNT_MEMORY });
	return r;
}

/* ---- the owner's home ---- */

/* In mode shifted the owner is root and we are, too: then his file is ours to open. */
static int open_shifted(struct builder *b, const struct home_file *f)
{
	CLEANUP_FD int file = fd_open_no_links(AT_FDCWD, f->path, O_PATH);
	int fd, r;

	if (file < 0)
		return file;
	r = idmap_mount(file, b->claim->idmap, &fd);
	return r < 0 ? r : wire_add_fd(b->m, fd);
}

static int add_home_root(struct builder *b, const struct home_file *f)
{
	struct keeper_claim *c = body(b);
	struct keeper_root *root;
	int fd = -1;

	if (c->n_roots == KEEPER_ROOTS_MAX)
		return too_many(b);
	if (b->claim->idmap >= 0) {
		fd = open_shifted(b, f);
		if (fd < 0) {
			log_errno(LOG_LEVEL_WARNING, fd, "%s cannot be shown in sandbox %s",
				  f->path, b->claim->sandbox_id);
			return 0;
		}
	}
	root = &c->roots[c->n_roots];
	root->fd = fd;
	root->optional = 1; /* he may just be saving it */
	root->dev = f->dev;
	root->ino = f->ino;
	if (add_string(b, &root->path, f->path) < 0)
		return -1;
	return add_mount(b,
			 &(struct place){ .root = (int)c->n_roots++,
					  .source = "",
					  .base = f->inside,
					  .flags = KEEPER_MOUNT_READONLY | KEEPER_MOUNT_OPTIONAL });
}

/* Files of the home come last, on top. */
static int add_home(struct builder *b)
{
	const struct home_view *v = b->claim->home;
	size_t i;
	int r = 0;

	if (v && v->git_config)
		r = add_string(b, &body(b)->git_config, v->git_config);
	for (i = 0; v && r == 0 && i < v->n_files; i++)
		if (v->files[i].path)
			r = add_home_root(b, &v->files[i]);
	return r;
}

int claim_message(struct wire_message *m, const struct claim *c, struct error *reterr)
{
	struct builder b = { .m = m, .claim = c, .reterr = reterr };

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_CLAIM, 0, sizeof(struct keeper_claim));
	body(&b)->flags = c->flags;
	body(&b)->limits = c->limits;
	if (add_string(&b, &body(&b)->id, c->sandbox_id) < 0 ||
	    add_string(&b, &body(&b)->hostname, c->hostname) < 0)
		return -1;
	if (add_memory(&b) < 0 || (c->locks_only ? add_locks(&b) : add_workspaces(&b)) < 0 ||
	    add_home(&b) < 0) {
		wire_message_done(m);
		return -1;
	}
	return 0;
}
