/* SPDX-License-Identifier: Apache-2.0 */
/* A workspace is checked on the descriptor that is kept, not on the path it came by: the path is
 * resolved once, then opened again without following links, and both must be the same directory. A
 * keeper that opens the path itself later compares device and inode with ours.
 *
 * Which places are never lent: directories that are the system or somebody's home, whatever holds
 * one of them, and sandboxd's own. The agent inside has the owner's uid, so a workspace is
 * everything that it can reach of him. */

#include "sandbox/workspace.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/git.h"
#include "util/fd.h"

/* Uids below belong to the system on Debian; their homes are places like /var/www. */
#define PASSWD_FILE "/etc/passwd"
#define PASSWD_MAX (16u << 20)
#define FIRST_USER_UID 1000

struct workspace {
	char *path;
	int fd;
	uid_t owner;
	bool read_only;
	bool git_config_writable;
	struct git_layout git;
};

/* Not to be lent, nor anything below. */
static const char *const system_trees[] = { "/bin",   "/boot",   "/dev",  "/etc",  "/lib", "/lib32",
					    "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr" };
/* Not to be lent themselves; what is below may be. */
static const char *const system_places[] = { "/",    "/home", "/opt", "/root",    "/run",
					     "/srv", "/tmp",  "/var", "/var/lib", "/var/tmp" };

/* True if PATH is TREE or below it. Both canonical. */
static bool is_below(const char *path, const char *tree)
{
	size_t n = strlen(tree);

	if (n == 1) /* "/" */
		return true;
	return strncmp(path, tree, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool is_system_place(const char *path)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(system_trees); i++)
		if (is_below(path, system_trees[i]))
			return true;
	for (i = 0; i < ARRAY_SIZE(system_places); i++)
		if (strcmp(path, system_places[i]) == 0)
			return true;
	return false;
}

/* A home, or a directory that holds one. Read from the file, not through NSS, which may ask a
 * network; and in one piece: fgetpwent() on the file itself seeks twice for every user. */
static bool holds_a_home(const char *path)
{
	CLEANUP_STR char *text = NULL;
	struct passwd *p;
	size_t size;
	FILE *f;
	bool found = false;

	if (fd_read_file(AT_FDCWD, PASSWD_FILE, PASSWD_MAX, &text, &size) < 0 || size == 0)
		return false;
	f = fmemopen(text, size, "r");
	if (!f)
		return false;
	while (!found && (p = fgetpwent(f)) != NULL)
		if ((p->pw_uid == 0 || p->pw_uid >= FIRST_USER_UID) && p->pw_dir[0] == '/' &&
		    strcmp(p->pw_dir, "/nonexistent") != 0)
			found = is_below(p->pw_dir, path);
	(void)fclose(f); /* of memory */
	return found;
}

static bool is_or_holds_ours(const char *path, const char *ours)
{
	return ours && (is_below(ours, path) || is_below(path, ours));
}

static int refuse(const char *path, const char *field, const char *what, struct error *reterr)
{
	return error_set(reterr, ERROR_DENIED, field,
			 "give a directory of your own, such as a git worktree",
			 "%s %s and is never lent to a sandbox", path, what);
}

static int check_place(const struct workspace *w, const char *field,
		       const struct workspace_policy *policy, struct error *reterr)
{
	if (is_system_place(w->path))
		return refuse(w->path, field, "belongs to the system", reterr);
	if (holds_a_home(w->path))
		return refuse(w->path, field, "is a home directory or holds one", reterr);
	if (is_or_holds_ours(w->path, policy->state_dir) ||
	    is_or_holds_ours(w->path, policy->runtime_dir) ||
	    is_or_holds_ours(w->path, policy->config_dir))
		return refuse(w->path, field, "holds or is in sandboxd's own files", reterr);
	return 0;
}

static int not_yours(const char *path, const char *field, uid_t peer, struct error *reterr)
{
	return error_set(reterr, ERROR_DENIED, field, "give a directory that you own",
			 "%s does not belong to uid %u", path, peer);
}

/* What a root daemon sees is not the peer's to know. Groups of his that are not ours do not count,
 * which only makes the answer less telling. */
static bool hidden_from(uid_t peer, const char *path)
{
	CLEANUP_STR char *real = NULL;
	int error_number;

	if (peer == geteuid())
		return false;
	(void)setfsuid(peer);
	real = realpath(path, NULL);
	error_number = real ? 0 : errno;
	(void)setfsuid(geteuid());
	(void)prctl(PR_SET_DUMPABLE, 0); /* it is the host's fs.suid_dumpable now */
	return error_number == EACCES;
}

static int missing(const char *path, const char *field, int error_number, uid_t peer,
		   struct error *reterr)
{
	enum error_kind kind =
		error_number == EACCES || error_number == EPERM ? ERROR_DENIED : ERROR_NOT_FOUND;

	if (hidden_from(peer, path))
		return not_yours(path, field, peer, reterr);
	if (error_is_shortage(error_number))
		return error_set_errno(reterr, error_number, "%s cannot be opened", path);
	return error_set(reterr, kind, field, "give the absolute path of a directory",
			 error_number == ENOTDIR ? "%s is not a directory"
						 : "%s cannot be opened as a directory",
			 path);
}

/* Resolves PATH to its canonical form and holds the directory open. */
static int open_directory(struct workspace *w, const char *path, const char *field, uid_t peer,
			  struct error *reterr)
{
	struct stat before, after;

	w->path = realpath(path, NULL);
	if (!w->path)
		return missing(path, field, errno, peer, reterr);
	if (stat(w->path, &before) < 0)
		return missing(path, field, errno, peer, reterr);
	if (!S_ISDIR(before.st_mode))
		return missing(path, field, ENOTDIR, peer, reterr);
	w->fd = fd_open_no_links(AT_FDCWD, w->path, O_PATH | O_DIRECTORY);
	if (w->fd < 0)
		return missing(path, field, -w->fd, peer, reterr);
	if (fstat(w->fd, &after) < 0)
		return missing(path, field, errno, peer, reterr);
	if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		return error_set(reterr, ERROR_CONFLICT, field, "try again",
				 "%s changed while it was looked at", path);
	w->owner = after.st_uid;
	return 0;
}

static int check_path_text(const char *path, const char *field, struct error *reterr)
{
	if (path[0] != '/')
		return error_set(reterr, ERROR_INVALID_PARAMS, field, "give an absolute path",
				 "a workspace is named by an absolute path");
	if (strlen(path) >= PATH_MAX)
		return error_set(reterr, ERROR_INVALID_PARAMS, field, "give a shorter path",
				 "the path is longer than %d bytes", PATH_MAX - 1);
	return 0;
}

static int workspace_check(struct workspace *w, const struct workspace_params *p, const char *field,
			   const struct workspace_policy *policy, struct error *reterr)
{
	if (check_path_text(p->path, field, reterr) < 0)
		return -1;
	if (open_directory(w, p->path, field, policy->peer, reterr) < 0)
		return -1;
	/* Before anything is said of what is in it: others' directories are none of the peer's
	 * business. */
	if (policy->peer != 0 && w->owner != policy->peer)
		return not_yours(p->path, field, policy->peer, reterr);
	if (check_place(w, field, policy, reterr) < 0)
		return -1;
	if (policy->ignore_git)
		return 0;
	if (!w->read_only && !w->git_config_writable && git_is_own_directory(w->path))
		return error_set(reterr, ERROR_DENIED, field,
				 "give the working tree, or mount it read-only, or say gitConfig: "
				 "writable",
				 "%s is or is in git's own directory, where it could change "
				 "configuration and hooks",
				 w->path);
	return git_inspect(&w->git, w->fd, w->path, w->owner, field, reterr);
}

int workspace_open(struct workspace **ret, const struct workspace_params *p, const char *field,
		   const struct workspace_policy *policy, struct error *reterr)
{
	struct workspace *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set_errno(reterr, -ENOMEM, "no memory for a workspace");
	w->fd = -1;
	w->git.common_fd = -1;
	w->read_only = p->read_only;
	w->git_config_writable = p->git_config_writable;
	if (workspace_check(w, p, field, policy, reterr) < 0) {
		workspace_free(w);
		return -1;
	}
	*ret = w;
	return 0;
}

struct workspace *workspace_free(struct workspace *w)
{
	if (!w)
		return NULL;
	git_layout_deinit(&w->git);
	close_fd(w->fd);
	free(w->path);
	free(w);
	return NULL;
}

const char *workspace_path(const struct workspace *w)
{
	return w->path;
}

bool workspace_read_only(const struct workspace *w)
{
	return w->read_only;
}

bool workspace_git_config_writable(const struct workspace *w)
{
	return w->git_config_writable;
}

uid_t workspace_owner(const struct workspace *w)
{
	return w->owner;
}

int workspace_fd(const struct workspace *w)
{
	return w->fd;
}

const struct git_layout *workspace_git(const struct workspace *w)
{
	return &w->git;
}
