/* SPDX-License-Identifier: Apache-2.0 */
/* Directories are held by descriptors, so nothing that was renamed or replaced in the meantime is
 * touched; no symlink is followed. */

#include "release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"
#include "worker.h"

struct made {
	struct made *next;
	int dir;
	struct stat was;
	char *name;
	char *content;
};

void release_init(struct release *r)
{
	memset(r, 0, sizeof(*r));
}

static struct made *made_free(struct made *m)
{
	if (m) {
		(void)close_fd(m->dir);
		free(m->name);
		free(m->content);
		free(m);
	}
	return NULL;
}

void release_deinit(struct release *r)
{
	struct made *m;
	size_t i;

	while ((m = r->made)) {
		r->made = m->next;
		(void)made_free(m);
	}
	for (i = 0; i < r->n_roots; i++)
		(void)close_fd(r->roots[i]);
	release_init(r);
}

int release_note_made(struct release *r, int dir, const char *name, const char *content)
{
	struct made *m;

	if (r->n_made >= RELEASE_MADE_MAX)
		return -E2BIG;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->dir = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	m->name = strdup(name);
	m->content = strdup(content);
	if (m->dir < 0 || !m->name || !m->content ||
	    fstatat(m->dir, name, &m->was, AT_SYMLINK_NOFOLLOW) < 0) {
		(void)made_free(m);
		return -ENOMEM;
	}
	m->next = r->made;
	r->made = m;
	r->n_made++;
	return 0;
}

void release_note_root(struct release *r, int root)
{
	int fd;

	if (r->n_roots == RELEASE_ROOTS_MAX)
		return;
	fd = fcntl(root, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		r->roots[r->n_roots++] = fd;
}

static bool still_ours(const struct made *m)
{
	size_t size = strlen(m->content) + 2;
	CLEANUP_STR char *now = malloc(size);
	struct stat st;

	return now && fstatat(m->dir, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && st.st_dev == m->was.st_dev && st.st_ino == m->was.st_ino &&
	       file_get_at(m->dir, m->name, now, size) >= 0 && strcmp(now, m->content) == 0;
}

void release_unmake(struct release *r)
{
	struct made *m;

	for (m = r->made; m; m = m->next)
		if (still_ours(m))
			(void)unlinkat(m->dir, m->name, 0); /* its directory may be gone */
}

static void give_back_entry(int dir, const char *name, const struct stat *st)
{
	if (st->st_uid == 0 && st->st_gid == 0)
		return;
	(void)fchownat(dir, name, 0, 0, AT_SYMLINK_NOFOLLOW); /* read-only or unmapped: stays */
}

/* Takes FD over. */
static void give_back_below(int fd, dev_t device, int depth)
{
	const struct dirent *e;
	struct stat st;
	int child;
	DIR *d = fdopendir(fd);

	if (!d) {
		(void)close_fd(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		give_back_entry(fd, e->d_name, &st);
		if (!S_ISDIR(st.st_mode) || st.st_dev != device || depth == 0)
			continue;
		child = dir_open_at(fd, e->d_name);
		if (child >= 0)
			give_back_below(child, device, depth - 1);
	}
	(void)closedir(d);
}

void release_give_back(void *arg)
{
	const struct release *r = arg;
	struct worker_result result = { 0 };
	struct stat st;
	size_t i;
	int fd;

	for (i = 0; i < r->n_roots; i++) {
		fd = dir_open_at(r->roots[i], ".");
		if (fd < 0 || fstat(fd, &st) < 0) {
			(void)close_fd(fd);
			continue;
		}
		give_back_below(fd, st.st_dev, RELEASE_DEPTH_MAX);
	}
	worker_answer(&result);
}
