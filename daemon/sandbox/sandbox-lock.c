/* SPDX-License-Identifier: Apache-2.0 */
/* The lock that a claim puts on a git worktree is the keeper's to remove. When a keeper dies, or
 * the host does, this removes it: only the very file that we had made, found through the checks
 * that every workspace passes, without following links. */

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "sandbox/git.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/workspace.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

#define LOCK_MAX 1024

char *sandbox_lock_reason(const struct sandbox *s)
{
	return string_format("sandboxd: sandbox %s works on it; `sandboxctl rm %s` frees it",
			     s->facts.name, s->facts.name);
}

static int open_own_dir(const struct git_layout *git)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	CLEANUP_STR char *path = string_format("worktrees/%s", git->name);
	int fd;

	if (!path)
		return -ENOMEM;
	fd = (int)syscall(SYS_openat2, git->common_fd, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

/* A fifo or a device there must not make us wait. */
static bool holds(int dir, const char *reason)
{
	CLEANUP_FD int fd =
		openat(dir, "locked", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	char text[LOCK_MAX];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	n = read(fd, text, sizeof(text));
	return n >= 0 && (size_t)n == strlen(reason) && memcmp(text, reason, (size_t)n) == 0;
}

static void release_one(const struct workspace *w, const char *reason)
{
	const struct git_layout *git = workspace_git(w);
	CLEANUP_FD int dir = -1;

	if (!git || git->kind != GIT_WORKTREE)
		return;
	dir = open_own_dir(git);
	if (dir < 0 || !holds(dir, reason))
		return;
	if (unlinkat(dir, "locked", 0) < 0)
		log_errno(LOG_LEVEL_WARNING, -errno, "the worktree %s stays locked",
			  workspace_path(w));
}

void sandbox_release_locks(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };
	CLEANUP_STR char *reason = sandbox_lock_reason(s);
	size_t i;

	if (!reason || sandbox_open_workspaces(s, &e) < 0) {
		log_warning("worktrees of sandbox %s may stay locked: %s", s->facts.name,
			    e.message ? e.message : "no memory");
		sandbox_close_workspaces(s);
		return;
	}
	for (i = 0; i < s->n_workspaces; i++)
		release_one(s->workspaces[i], reason);
	sandbox_close_workspaces(s);
}
