/* SPDX-License-Identifier: Apache-2.0 */
/* git follows links when it writes: with `index`, `COMMIT_EDITMSG`, `FETCH_HEAD` or `logs/HEAD`
 * linked to a file of the user's, his next `git add`, `commit` or `fetch` overwrites that file or
 * appends to it, partly with words of the agent's choice. git itself makes no links there (but by
 * core.preferSymlinkRefs), so those that are new are removed, not renamed: a link holds nothing but
 * its target, and a long name has no room for a suffix.
 *
 * As in quarantine.c one directory is open at a time, and paths are remembered. */

#include "git-links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"

struct todo {
	struct todo *next;
	char path[];
};

static int remember(struct todo **list, const char *parent, const char *name)
{
	size_t size = strlen(parent) + strlen(name) + 2;
	struct todo *t = malloc(sizeof(*t) + size);

	if (!t)
		return -ENOMEM;
	(void)snprintf(t->path, size, "%s%s%s", parent, parent[0] ? "/" : "", name); /* fits */
	t->next = *list;
	*list = t;
	return 0;
}

static bool is_new(const struct statx *st, const struct timespec *since)
{
	return st->stx_ctime.tv_sec > since->tv_sec ||
	       (st->stx_ctime.tv_sec == since->tv_sec &&
		st->stx_ctime.tv_nsec >= (unsigned)since->tv_nsec);
}

/* Returns 1 if it was a link and was removed, 0, or negative errno. */
static int take_entry(int dir, const char *path, const struct dirent *entry, struct todo **list,
		      const struct timespec *since)
{
	struct statx st;

	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	if (entry->d_type == DT_DIR)
		return remember(list, path, entry->d_name);
	if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
		return 0;
	if (statx(dir, entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_CTIME, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISDIR(st.stx_mode))
		return remember(list, path, entry->d_name);
	if (!S_ISLNK(st.stx_mode) || !is_new(&st, since))
		return 0;
	return unlinkat(dir, entry->d_name, 0) < 0 ? -errno : 1;
}

static int look_at(int top, const char *path, struct todo **list, const struct timespec *since)
{
	int fd = beneath_open(top, path, O_RDONLY | O_DIRECTORY);
	struct dirent *entry;
	int r, count = 0, error = 0;
	DIR *d;

	if (fd < 0) /* beyond PATH_MAX git cannot go either */
		return fd == -ENOENT || fd == -ENOTDIR || fd == -ENAMETOOLONG ? 0 : fd;
	d = fdopendir(fd);
	if (!d) {
		(void)close_fd(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(d)) != NULL) {
		r = take_entry(fd, path, entry, list, since);
		if (r > 0)
			count++;
		else if (r < 0)
			error = r;
	}
	(void)closedir(d); /* only read */
	return error < 0 ? error : count;
}

int git_links_remove(int dir, const struct timespec *since)
{
	struct todo *list = NULL, *t;
	int r = remember(&list, "", ""), count = 0, error = r;

	while ((t = list)) {
		list = t->next;
		r = look_at(dir, t->path, &list, since);
		if (r > 0)
			count += r;
		else if (r < 0)
			error = r;
		free(t);
	}
	return error < 0 ? error : count;
}
