/* SPDX-License-Identifier: Apache-2.0 */
/* What `.git` of a workspace says is written by whoever wrote the workspace, perhaps by an agent of
 * an earlier sandbox: it is a claim to be checked, never a path to be followed. A worktree is
 * accepted only if
 *   - its `.git` is a small regular file `gitdir: <common>/worktrees/<name>`,
 *   - that directory and <common> belong to the workspace's owner and are reached without any link,
 *   - `gitdir` in it points back to this very workspace, and `commondir` in it says `../..`,
 *   - it is not inside the workspace, where the agent could have made it all.
 * The back pointer is what counts: it stands in a directory that no sandbox of another worktree can
 * write.
 *
 * Nothing here runs git, and no file is opened that could block (a fifo) or be a device. */

#include "sandbox/git.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "util/fd.h"

#define GITDIR_PREFIX "gitdir: "
#define WORKTREES "/worktrees/"
#define GIT_FILE_MAX (PATH_MAX + 64)

static int refuse(const char *field, const char *path, const char *why, struct error *reterr)
{
	return error_set(reterr, ERROR_DENIED, field,
			 "use a worktree made by `git worktree add`, or `git worktree repair` it",
			 "the .git of %s is not accepted: %s", path, why);
}

/* Instead of a reason to refuse: nothing is known of it yet. */
static const char shortage[] = "descriptors or memory ran out";

static const char *because(int error_number, const char *why)
{
	return error_is_shortage(-error_number) ? shortage : why;
}

/* Reads a small regular file into TEXT without its trailing newlines. Returns 0 or negative errno.
 */
static int read_small(int dir, const char *name, char *text, size_t size)
{
	CLEANUP_FD int fd = fd_open_no_links(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size >= size)
		return -EINVAL;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	text[n] = '\0';
	return memchr(text, '\0', (size_t)n) ? -EINVAL : 0;
}

/* The canonical path of an open directory, or NULL. */
static char *path_of(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* always fits */
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return path[0] == '/' ? strdup(path) : NULL;
}

static bool is_owned_directory(int fd, uid_t owner)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == owner;
}

/* Does the `gitdir` file of a worktree's own directory name WORKSPACE's .git? git writes the path
 * as the user typed it, so it is compared by what it leads to. Returns 0 or negative errno. */
static int points_back(int own, int workspace)
{
	char text[GIT_FILE_MAX];
	struct stat there, here;
	char *slash;
	int r = read_small(own, "gitdir", text, sizeof(text));

	if (r < 0)
		return r;
	slash = strrchr(text, '/');
	if (!slash || slash == text || strcmp(slash, "/.git") != 0)
		return -EINVAL;
	*slash = '\0';
	if (fstatat(own, text, &there, 0) < 0 || fstat(workspace, &here) < 0)
		return -errno;
	return there.st_dev == here.st_dev && there.st_ino == here.st_ino ? 0 : -EINVAL;
}

static bool is_inside(const char *path, const char *tree)
{
	size_t n = strlen(tree);

	return strncmp(path, tree, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Splits `<common>/worktrees/<name>` in place into G. */
static int split_own_path(struct git_layout *g, const char *own_path)
{
	const char *name = strrchr(own_path, '/');
	size_t common;

	if (!name || name[1] == '\0')
		return -EINVAL;
	common = (size_t)(name + 1 - own_path);
	if (common <= strlen(WORKTREES))
		return -EINVAL;
	common -= strlen(WORKTREES);
	if (strncmp(own_path + common, WORKTREES, strlen(WORKTREES)) != 0)
		return -EINVAL;
	g->common = strndup(own_path, common);
	g->name = strdup(name + 1);
	return g->common && g->name ? 0 : -ENOMEM;
}

static bool has_directory(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool holds_repository(int git)
{
	return has_directory(git, "objects") && has_directory(git, "refs");
}

static const char *inspect_repository(int workspace)
{
	CLEANUP_FD int git = fd_open_no_links(workspace, ".git", O_PATH | O_DIRECTORY);

	return git >= 0 && holds_repository(git) ? NULL : because(git, "it holds no repository");
}

static const char *check_common(struct git_layout *g, int own, const char *path, uid_t owner)
{
	char text[GIT_FILE_MAX];
	int r = read_small(own, "commondir", text, sizeof(text));

	if (r < 0 || strcmp(text, "../..") != 0)
		return because(r, "the worktree's commondir does not say ../..");
	r = g->common_fd = fd_open_no_links(AT_FDCWD, g->common, O_PATH | O_DIRECTORY);
	if (r < 0 || !is_owned_directory(r, owner))
		return because(r, "the repository does not belong to the workspace's owner");
	if (is_inside(g->common, path))
		return "the repository is inside the workspace";
	if (!holds_repository(g->common_fd))
		return "what it names is no repository";
	return NULL;
}

static const char *inspect_worktree(struct git_layout *g, int workspace, const char *path,
				    uid_t owner)
{
	char text[GIT_FILE_MAX];
	CLEANUP_FD int own = -1;
	CLEANUP_STR char *own_path = NULL;
	int r = read_small(workspace, ".git", text, sizeof(text));

	if (r < 0 || strncmp(text, GITDIR_PREFIX, strlen(GITDIR_PREFIX)) != 0)
		return because(r, "it is not a gitdir file");
	own = fd_open_no_links(workspace, text + strlen(GITDIR_PREFIX), O_PATH | O_DIRECTORY);
	if (own < 0)
		return because(own, "the directory that it names cannot be opened without "
				    "following links");
	own_path = path_of(own);
	if (!own_path || split_own_path(g, own_path) < 0)
		return "it does not name <repository>/worktrees/<name>";
	if (!is_owned_directory(own, owner))
		return "the worktree's directory does not belong to the workspace's owner";
	r = points_back(own, workspace);
	if (r < 0)
		return because(r, "the directory that it names does not point back to this "
				  "workspace");
	return check_common(g, own, path, owner);
}

int git_inspect(struct git_layout *g, int workspace, const char *path, uid_t owner,
		const char *field, struct error *reterr)
{
	struct stat st;
	const char *why = NULL;

	if (fstatat(workspace, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return error_set_errno(reterr, -errno, "%s/.git cannot be read", path);
		g->kind = GIT_NONE;
		return 0;
	}
	if (st.st_uid != owner) {
		why = "it does not belong to the workspace's owner";
	} else if (S_ISDIR(st.st_mode)) {
		g->kind = GIT_REPOSITORY;
		why = inspect_repository(workspace);
	} else if (S_ISREG(st.st_mode)) {
		g->kind = GIT_WORKTREE;
		why = inspect_worktree(g, workspace, path, owner);
	} else {
		why = "it is neither a directory nor a file";
	}
	if (!why)
		return 0;
	git_layout_deinit(g);
	if (why == shortage)
		return error_set(reterr, ERROR_LIMIT_REACHED, field, NULL,
				 "the .git of %s cannot be looked at: %s", path, why);
	return refuse(field, path, why, reterr);
}

/* The first LENGTH bytes of PATH. By name, for it is asked of every directory on the way up. */
static bool is_repository(const char *path, size_t length)
{
	static const struct {
		const char *name;
		bool directory;
	} has[] = { { "objects", true }, { "refs", true }, { "HEAD", false } };
	char name[PATH_MAX + 16];
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(has); i++) {
		(void)snprintf(name, sizeof(name), "%.*s/%s", (int)length, path, has[i].name);
		if (fstatat(AT_FDCWD, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    (has[i].directory && !S_ISDIR(st.st_mode)))
			return false;
	}
	return true;
}

bool git_is_own_directory(const char *path)
{
	size_t length = strlen(path);

	while (length > 0 && !is_repository(path, length)) {
		while (length > 0 && path[length - 1] != '/')
			length--;
		length -= length > 0;
	}
	return length > 0;
}

void git_layout_deinit(struct git_layout *g)
{
	free(g->common);
	free(g->name);
	g->common_fd = close_fd(g->common_fd);
	g->common = NULL;
	g->name = NULL;
	g->kind = GIT_NONE;
}
