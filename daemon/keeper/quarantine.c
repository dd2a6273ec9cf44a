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
#include "macro.h"

#define NAMES_TRIED 1000 /* .git.quarantined.N */

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

/* The same tick counts: files get the coarse clock's time, which SINCE was read from, too. */
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

/* Does IS say so of any entry of the hooks (the directory itself is "."), or is there no telling?
 */
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
	return strcmp(name, "..") != 0 && changed(hooks, name, false, since);
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

/* What a clone or `git init` writes by itself. Anything else might name a program. */
static const char *const harmless[] = {
	"[core]",
	"[remote \"",
	"[branch \"",
	"[user]",
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
};

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
		if (line[0] == '[') /* a key may follow on the same line */
			return line[end - 1] == ']';
		return line[n + strspn(line + n, " \t")] == '=';
	}
	return false;
}

static bool config_is_harmless(int git)
{
	CLEANUP_STR char *line = NULL;
	int fd = beneath_open(git, "config", O_RDONLY | O_NONBLOCK);
	bool fine = true;
	size_t size = 0;
	ssize_t n;
	FILE *f;

	if (fd < 0)
		return fd == -ENOENT;
	f = fdopen(fd, "re");
	if (!f) {
		close_fd(fd);
		return false;
	}
	while (fine && (n = getline(&line, &size, f)) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		fine = strlen(line) + 2 >= (size_t)n && line_is_harmless(line);
	}
	fine = fine && !ferror(f);
	(void)fclose(f); /* only read */
	return fine;
}

/* Could a repository with old times run something, had it been moved here? */
static bool steers(int git)
{
	return faccessat(git, "commondir", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       faccessat(git, "config.worktree", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       !config_is_harmless(git) || any_hook(git, is_real_hook, NULL);
}

static bool is_the_agents(int dir, const struct timespec *since)
{
	CLEANUP_FD int git = -1;
	struct stat st;
	size_t i;

	if (fstatat(dir, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (!S_ISDIR(st.st_mode))
		return changed(dir, ".git", false, since);
	if (changed(dir, ".git", true, since))
		return true;
	git = beneath_open(dir, ".git", O_RDONLY | O_DIRECTORY);
	if (git < 0)
		return true;
	for (i = 0; i < ARRAY_SIZE(steering); i++)
		if (changed(git, steering[i], false, since))
			return true;
	return any_hook(git, is_changed_hook, since) ||
	       (changed(dir, ".", false, since) && steers(git));
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

struct walk {
	int top;
	bool own; /* the top's .git, too */
	const struct timespec *since;
};

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
	if ((path[0] != '\0' || w->own) && is_the_agents(fd, w->since)) {
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

int quarantine_nested_git(int dir, bool own, const struct timespec *since)
{
	const struct walk w = { .top = dir, .own = own, .since = since };
	struct pending pending = { 0 };
	int r = push(&pending, "", ""), count = 0, error = 0;
	char *path;

	while (r == 0 && pending.count > 0) {
		path = pending.paths[--pending.count];
		r = look_at(&w, path, &pending);
		free(path);
		if (r > 0)
			count++;
		else if (r < 0)
			error = r;
		r = 0;
	}
	free(pending.paths);
	return error < 0 ? error : count;
}
