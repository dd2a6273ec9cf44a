/* SPDX-License-Identifier: Apache-2.0 */
/* `git status` on the host enters every submodule that the index names and believes the
 * configuration that it finds there: core.fsmonitor of `sub/.git/config` is a program that it runs.
 * The index is the agent's to write, and so is everything below the workspace; neither can be
 * mounted over beforehand. So at release each nested `.git` that the agent made or steered is
 * renamed. Nothing is lost, and the user can rename it back after looking at it.
 *
 * Change times say what is the agent's: it can set any but ctime and birth time, and has no clock
 * to turn. A nested repository that was there before and only got commits keeps its name. One that
 * was moved to where it is has old times too; so where its directory changed, what it says counts.
 * So it does where the change fell into the tick in which the claim began: a clone or `git init`
 * just before it has the same time.
 *
 * A `.git` file that is old may name a directory inside the workspace (of a submodule of a nested
 * repository, of a worktree beside its repository), and that may be steered: it is looked at in the
 * same way, and so is the common directory that it belongs to.
 *
 * The walk holds one directory open at a time and remembers paths, not descriptors: depth is
 * bounded by PATH_MAX, beyond which git cannot go either. No link is followed. The sandbox is dead
 * by then, but the owner's other processes are not: renames stay in the directory that was opened.
 */

#include "quarantine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "git-links.h"
#include "macro.h"

#define NAMES_TRIED 1000                /* .git.quarantined.N */
#define TICK_NS_MAX (10 * 1000 * 1000L) /* of the clock that stamps files: at HZ = 100 */
#define NS_PER_S (1000 * 1000 * 1000L)

/* Directories still to be looked at, as paths below the top. */
struct pending {
	char **paths;
	size_t count;
	size_t capacity;
};

static int push(struct pending *p, const char *parent, const char *name)
{
	char *path = NULL;
	char **grown;

	if (p->count == p->capacity) {
		p->capacity = p->capacity ? p->capacity * 2 : 64;
		grown = realloc(p->paths, p->capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		p->paths = grown;
	}
	if (asprintf(&path, "%s%s%s", parent, parent[0] ? "/" : "", name) < 0)
		return -ENOMEM;
	p->paths[p->count++] = path;
	return 0;
}

/* The same tick counts: files get the time of the coarse clock that SINCE was read from, or, where
 * the kernel has finer ones, a later time in that tick. */
static bool is_after(struct statx_timestamp t, const struct timespec *since)
{
	return t.tv_sec > since->tv_sec ||
	       (t.tv_sec == since->tv_sec && t.tv_nsec >= (unsigned)since->tv_nsec);
}

/* Was the entry changed (or, for BORN, made) since then? An absent one was not. */
static bool changed(int dir, const char *name, bool born, const struct timespec *since)
{
	struct statx st;

	if (statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_CTIME | STATX_BTIME, &st) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	if (born && (st.stx_mask & STATX_BTIME) != 0)
		return is_after(st.stx_btime, since);
	return is_after(st.stx_ctime, since);
}

/* Does IS say so of any entry of the hooks, or is there no telling? */
static bool any_hook(int git, bool (*is)(int hooks, const char *name, const struct timespec *since),
		     const struct timespec *since)
{
	int fd = beneath_open(git, "hooks", O_RDONLY | O_DIRECTORY);
	struct dirent *entry;
	bool found = false;
	DIR *d;

	if (fd < 0)
		return fd != -ENOENT;
	d = fdopendir(fd);
	if (!d) {
		close_fd(fd);
		return true;
	}
	while (!found && (entry = readdir(d)) != NULL)
		found = is(dirfd(d), entry->d_name, since);
	(void)closedir(d); /* only read */
	return found;
}

static bool is_changed_hook(int hooks, const char *name, const struct timespec *since)
{
	return name[0] != '.' && changed(hooks, name, false, since);
}

static bool is_real_hook(int hooks, const char *name, const struct timespec *since)
{
	const char *dot = strrchr(name, '.');

	(void)hooks;
	(void)since;
	return name[0] != '.' && (!dot || strcmp(dot, ".sample") != 0);
}

/* What makes git run a program or look elsewhere. */
static const char *const steering[] = { "config", "config.worktree", "commondir", "info/attributes",
					"objects/info/alternates" };

/* What a clone, `git init`, a sparse checkout or an editor write by themselves. Anything else might
 * name a program. */
static const char *const harmless[] = {
	"[core]",
	"[remote \"",
	"[branch \"",
	"[extensions]",
	"[submodule \"",
	"[user]",
	"active",
	"bare",
	"email",
	"fetch",
	"filemode",
	"ignorecase",
	"merge",
	"logallrefupdates",
	"name",
	"precomposeunicode",
	"pushurl",
	"rebase",
	"remote",
	"repositoryformatversion",
	"symlinks",
	"url",
	"vscode-merge-base",
	"worktreeconfig",
};

/* git sets it in a submodule's own directory. */
static bool is_work_tree_above(const char *line)
{
	line += strspn(line, " \t");
	if (strncasecmp(line, "worktree", 8) != 0)
		return false;
	line += 8 + strspn(line + 8, " \t");
	if (line[0] != '=')
		return false;
	line += 1 + strspn(line + 1, " \t");
	return strncmp(line, "../", 3) == 0 && line[strlen(line) - 1] != '\\';
}

/* One line of a configuration, already without its newline. */
static bool line_is_harmless(char *line)
{
	size_t i, n, end;

	line += strspn(line, " \t");
	end = strlen(line);
	if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
		return end == 0 || line[end - 1] != '\\';
	if (line[end - 1] == '\\') /* goes on in the next line */
		return false;
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		n = strlen(harmless[i]);
		if (strncasecmp(line, harmless[i], n) != 0)
			continue;
		if (line[0] == '[') /* a key, or a comment, may follow on the same line */
			return strchr(line, ']') == line + end - 1;
		return line[n + strspn(line + n, " \t")] == '=';
	}
	return false;
}

static bool config_is_harmless(int git, const char *name, bool named)
{
	CLEANUP_STR char *line = NULL;
	int fd = beneath_open(git, name, O_RDONLY | O_NONBLOCK);
	bool fine = true;
	struct stat st;
	size_t size = 0;
	ssize_t n;
	FILE *f;

	if (fd < 0)
		return fd == -ENOENT;
	f = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? fdopen(fd, "re") : NULL;
	if (!f) {
		close_fd(fd);
		return false;
	}
	while (fine && (n = getline(&line, &size, f)) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		fine = strlen(line) + 2 >= (size_t)n &&
		       (line_is_harmless(line) || (named && is_work_tree_above(line)));
	}
	fine = fine && !ferror(f);
	(void)fclose(f); /* only read */
	return fine;
}

static bool says(int git, const char *name, const char *content)
{
	char text[16];

	return file_get_at(git, name, text, sizeof(text)) > 0 && strcmp(text, content) == 0;
}

/* A worktree's own directory says where the rest is. */
static bool says_common(int git)
{
	return says(git, "commondir", "../..\n");
}

/* Does it say nothing, whoever wrote it? So are the files that a claim makes to have something to
 * mount over: a sandbox whose workspace is this very repository may begin and end meanwhile. */
static bool is_neutral(int git, const char *name)
{
	struct statx st;

	if (statx(git, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_SIZE, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR;
	if (!S_ISREG(st.stx_mode))
		return false;
	return st.stx_size == 0 || (strcmp(name, "commondir") == 0 && says(git, name, ".\n"));
}

/* Could a repository with old times run something, had it been moved here? NAMED by a .git file. */
static bool steers(int git, bool named)
{
	if (!is_neutral(git, "commondir") && !(named && says_common(git)))
		return true;
	if (!is_neutral(git, "config.worktree") &&
	    !(named && config_is_harmless(git, "config.worktree", named)))
		return true;
	return !config_is_harmless(git, "config", named) || any_hook(git, is_real_hook, NULL);
}

/* A configuration that names no program may be the owner's work of meanwhile, and is harmless if it
 * is not. */
static bool steering_changed(int git, bool named, const struct timespec *since)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steering); i++)
		if (changed(git, steering[i], false, since) && !is_neutral(git, steering[i]) &&
		    !(strncmp(steering[i], "config", 6) == 0 &&
		      config_is_harmless(git, steering[i], named)))
			return true;
	/* a whole directory may have been moved here, with hooks as old as they like */
	return any_hook(git, is_changed_hook, since) ||
	       (changed(git, "hooks", false, since) && any_hook(git, is_real_hook, since));
}

struct walk {
	int top;
	const char *top_path;
	bool own; /* the top's .git, too */
	const struct timespec *since;
	struct timespec certain; /* not before the claim, whatever the tick */
};

/* ---- .git files ---- */

/* Appends the components of TEXT to PATH, which has none of "." and ".."; false when that leads
 * out. */
static bool append(char path[static PATH_MAX], const char *text)
{
	size_t used = strlen(path), n;
	char *slash;

	for (; *text; text += n) {
		text += strspn(text, "/");
		n = strcspn(text, "/");
		if (n == 0 || (n == 1 && text[0] == '.'))
			continue;
		if (n == 2 && text[0] == '.' && text[1] == '.') {
			if (used == 0)
				return false;
			slash = strrchr(path, '/');
			used = slash ? (size_t)(slash - path) : 0;
		} else if (used + n + 2 > PATH_MAX) {
			return false;
		} else {
			if (used > 0)
				path[used++] = '/';
			memcpy(path + used, text, n);
			used += n;
		}
		path[used] = '\0';
	}
	return true;
}

/* Was any directory on the way to PATH changed, so that something could have been moved there? */
static bool way_changed(const struct walk *w, const char *path)
{
	char parent[PATH_MAX];
	char *slash;

	(void)snprintf(parent, sizeof(parent), "%s", path); /* no longer than that */
	while ((slash = strrchr(parent, '/'))) {
		*slash = '\0';
		if (changed(w->top, parent, false, w->since))
			return true;
	}
	return path[0] != '\0' && changed(w->top, ".", false, w->since);
}

/* PATH below the top is a repository's directory, and MOVED there for all we know. Sets *RET_COMMON
 * if it belongs to a larger one. */
static bool is_steered(const struct walk *w, const char *path, bool moved, bool *ret_common)
{
	CLEANUP_FD int git = -1;

	/* the workspace's own was covered by mounts */
	if (!w->own && (strcmp(path, ".git") == 0 || strncmp(path, ".git/", 5) == 0))
		return false;
	git = beneath_open(w->top, path, O_RDONLY | O_DIRECTORY);
	if (git < 0)
		return git != -ENOENT;
	*ret_common = says_common(git);
	if (steering_changed(git, true, &w->certain))
		return true;
	return (moved || way_changed(w, path) || steering_changed(git, true, w->since)) &&
	       steers(git, true);
}

/* What a .git file or link says: points *RET_TARGET into TEXT, or sets it to NULL when git would
 * stop there. */
static int read_target(int dir, char *text, size_t size, const char **ret_target)
{
	static const char prefix[] = "gitdir: ";
	ssize_t n = readlinkat(dir, ".git", text, size - 1);

	*ret_target = text;
	if (n >= 0) {
		text[n] = '\0';
		return 0;
	}
	n = file_get_at(dir, ".git", text, size);
	if (n < 0)
		return (int)n;
	text[strcspn(text, "\r\n")] = '\0';
	*ret_target = strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : NULL;
	return 0;
}

/* DIR is PATH below the top, and its .git is no directory. */
static bool names_the_agents(const struct walk *w, int dir, const char *path)
{
	char text[PATH_MAX + 16], git[PATH_MAX] = "";
	size_t n = strlen(w->top_path);
	const char *target;
	bool moved = changed(dir, ".git", false, w->since), common = false;

	if (read_target(dir, text, sizeof(text), &target) < 0)
		return true;
	if (!target || (target[0] != '/' && !append(git, path)))
		return false;
	if (target[0] == '/') {
		if (strncmp(target, w->top_path, n) != 0 || (target[n] != '/' && target[n] != '\0'))
			return moved; /* an old one: out of the agent's reach */
		target += n;
	}
	if (!append(git, target))
		return moved;
	if (is_steered(w, git, moved, &common))
		return true;
	return common && append(git, "../..") && is_steered(w, git, moved, &common);
}

/* Does an entry .git name a submodule's or worktree's place in the workspace's own repository? The
 * agent cannot write there, so it steers nothing, whoever made it: the owner adds worktrees below
 * his working tree. Without ".." on the way, for git follows links. */
static bool names_what_is_covered(const struct walk *w, int dir, const char *path)
{
	char text[PATH_MAX + 16];
	size_t n = strlen(w->top_path);
	const char *target;

	if (w->own || read_target(dir, text, sizeof(text), &target) < 0 || !target)
		return false;
	if (target[0] == '/') {
		if (strncmp(target, w->top_path, n) != 0 || target[n] != '/')
			return false;
		target += n + 1;
	} else {
		for (; path; path = strchr(path, '/')) {
			path += path[0] == '/';
			if (strncmp(target, "../", 3) != 0)
				return false;
			target += 3;
		}
	}
	return (strncmp(target, ".git/worktrees/", 15) == 0 ||
		strncmp(target, ".git/modules/", 13) == 0) &&
	       !strstr(target, "..");
}

/* ---- the walk ---- */

static bool is_the_agents(const struct walk *w, int dir, const char *path)
{
	CLEANUP_FD int git = -1;
	struct stat st;

	if (fstatat(dir, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (!S_ISDIR(st.st_mode))
		return !names_what_is_covered(w, dir, path) &&
		       (changed(dir, ".git", false, &w->certain) || names_the_agents(w, dir, path));
	if (changed(dir, ".git", true, &w->certain))
		return true;
	git = beneath_open(dir, ".git", O_RDONLY | O_DIRECTORY);
	if (git < 0)
		return true;
	if (steering_changed(git, false, &w->certain))
		return true;
	if ((changed(dir, ".", false, w->since) || changed(dir, ".git", true, w->since) ||
	     steering_changed(git, false, w->since)) &&
	    steers(git, false))
		return true;
	(void)git_links_remove(git,
			       w->since); /* it stays: what it cannot remove, git cannot open */
	return false;
}

static int rename_aside(int dir)
{
	char name[sizeof(".git" QUARANTINE_SUFFIX) + 8] = ".git" QUARANTINE_SUFFIX;
	unsigned i;

	for (i = 1; i < NAMES_TRIED; i++) {
		if (renameat2(dir, ".git", dir, name, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
		(void)snprintf(name, sizeof(name), ".git" QUARANTINE_SUFFIX ".%u", i); /* fits */
	}
	return -EEXIST;
}

static bool is_directory(int dir, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Looks at one directory: returns 1 if its .git was renamed, 0, or negative errno. */
static int look_at(const struct walk *w, const char *path, struct pending *pending)
{
	int fd = beneath_open(w->top, path, O_RDONLY | O_DIRECTORY);
	struct dirent *entry;
	int r = 0, renamed = 0;
	DIR *d;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ENAMETOOLONG ? 0 : fd;
	d = fdopendir(fd);
	if (!d) {
		close_fd(fd);
		return -ENOMEM;
	}
	if ((path[0] != '\0' || w->own) && is_the_agents(w, fd, path)) {
		r = rename_aside(fd);
		renamed = r == 0;
	}
	while (r == 0 && (entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		/* The workspace's own repository has no work tree inside. */
		if (path[0] == '\0' && !w->own && strcmp(entry->d_name, ".git") == 0)
			continue;
		if (is_directory(fd, entry))
			r = push(pending, path, entry->d_name);
	}
	(void)closedir(d); /* only read */
	return r < 0 ? r : renamed;
}

int quarantine_nested_git(int dir, const char *path, bool own, const struct timespec *since)
{
	long ns = since->tv_nsec + TICK_NS_MAX;
	const struct walk w = { .top = dir,
				.top_path = path,
				.own = own,
				.since = since,
				.certain = { since->tv_sec + ns / NS_PER_S, ns % NS_PER_S } };
	struct pending pending = { 0 };
	int r = push(&pending, "", ""), count = 0, error = 0;
	char *next;

	while (r == 0 && pending.count > 0) {
		next = pending.paths[--pending.count];
		r = look_at(&w, next, &pending);
		free(next);
		if (r > 0)
			count++;
		else if (r < 0)
			error = r;
		r = 0;
	}
	free(pending.paths);
	return error < 0 ? error : count;
}
