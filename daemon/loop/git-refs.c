/* SPDX-License-Identifier: Apache-2.0 */
/* A ref is a file below refs/ of the common directory, or else a line of packed-refs there. Both
 * were perhaps written by an agent: no link is followed, nothing is waited for, and there is an end
 * to how much is read. What a worktree has for itself alone (refs/bisect, refs/worktree) lies
 * elsewhere and is not looked at. */

#include "loop/git-refs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/git-head.h"
#include "macro.h"
#include "sandbox/git.h"
#include "sandbox/workspace.h"
#include "util/fd.h"

#define DEPTH_MAX 32
#define VALUE_SIZE 1024
#define SHA_DIGITS "0123456789abcdef"

struct reading {
	int common;
	struct string_list refs; /* not sorted; a file comes before a line of the same name */
	size_t loose;
};

static const char *name_of(const char *ref)
{
	return strchr(ref, ' ') + 1;
}

static int add(struct reading *r, const char *value, const char *name)
{
	if (r->refs.count >= GIT_REFS_MAX)
		return -E2BIG;
	return string_list_take(&r->refs, string_format("%s %s", value, name));
}

/* ---- files ---- */

/* What LINE says, as git_refs has it; it stays valid as long as LINE. */
static const char *value_of(char *line)
{
	size_t length;

	line[strcspn(line, "\n")] = '\0';
	length = strlen(line);
	if ((length == 40 || length == 64) && strspn(line, SHA_DIGITS) == length)
		return line;
	if (string_starts(line, "ref: ") && !strchr(line + 5, ' ') && line[5] != '\0') {
		line[4] = '@';
		return line + 4;
	}
	return "?";
}

static int read_file(struct reading *r, const char *name)
{
	CLEANUP_FD int fd = fd_open_beneath(r->common, name, O_RDONLY | O_NONBLOCK);
	char line[VALUE_SIZE];
	struct stat st;

	if (++r->loose > GIT_REFS_LOOSE_MAX)
		return -E2BIG;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return add(r, "?",
			   name); /* a link, a fifo: what it is does not count, that it is does */
	line[fd_read_at(fd, line, sizeof(line) - 1, 0)] = '\0';
	return add(r, value_of(line), name);
}

static int read_directory(struct reading *r, const char *path, int depth);

static int read_entry(struct reading *r, const char *path, const struct dirent *d, int depth)
{
	static const char lock[] = ".lock";
	size_t n = strlen(d->d_name);
	char name[PATH_MAX];
	struct stat st;

	if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
	    (n > sizeof(lock) - 1 && strcmp(d->d_name + n - (sizeof(lock) - 1), lock) == 0))
		return 0;
	if ((size_t)snprintf(name, sizeof(name), "%s/%s", path, d->d_name) >= sizeof(name))
		return -E2BIG;
	if (d->d_type == DT_DIR)
		return read_directory(r, name, depth + 1);
	if (d->d_type == DT_UNKNOWN && fstatat(r->common, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return read_directory(r, name, depth + 1);
	return read_file(r, name);
}

static int read_directory(struct reading *r, const char *path, int depth)
{
	CLEANUP_FD int fd = fd_open_beneath(r->common, path, O_RDONLY | O_DIRECTORY);
	const struct dirent *d;
	DIR *dir;
	int e = 0;

	if (fd < 0)
		return fd == -ENOENT && depth > 0 ? 0 : fd; /* git removes empty ones */
	if (depth > DEPTH_MAX || ++r->loose > GIT_REFS_LOOSE_MAX)
		return -E2BIG;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	(void)TAKE_FD(fd); /* DIR has it */
	while (e == 0 && (d = readdir(dir)))
		e = read_entry(r, path, d, depth);
	(void)closedir(dir); /* only read from */
	return e;
}

/* ---- packed-refs ---- */

/* "SHA NAME"; others are its head and what annotated tags lead to. */
static int add_line(struct reading *r, char *line)
{
	char *space = strchr(line, ' ');

	line[strcspn(line, "\n")] = '\0';
	if (!space || line[0] == '#' || line[0] == '^' || space[1] == '\0')
		return 0;
	*space = '\0';
	return add(r, value_of(line), space + 1);
}

static int read_packed(struct reading *r)
{
	CLEANUP_FD int fd = fd_open_beneath(r->common, "packed-refs", O_RDONLY | O_NONBLOCK);
	CLEANUP_STR char *text = NULL;
	char *line, *rest;
	struct stat st;
	size_t size;
	int e = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > GIT_PACKED_REFS_MAX)
		return -E2BIG;
	rest = text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	size = fd_read_at(fd, text, (size_t)st.st_size, 0);
	text[size] = '\0';
	if (strlen(text) < size)
		return -EBADMSG; /* it would hide what is behind */
	while (e == 0 && (line = strsep(&rest, "\n")))
		e = add_line(r, line);
	return e;
}

/* ---- all ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(name_of(*(const char *const *)a), name_of(*(const char *const *)b));
}

/* Of REFS the first N_FILES are files, and what they say counts where there is a line of that name,
 * too. */
static int merge(struct string_list *refs, size_t n_files, struct string_list *ret)
{
	size_t i = 0, k = n_files;
	int order, e = 0;

	if (refs->count == 0)
		return 0;
	qsort(refs->items, n_files, sizeof(*refs->items), compare_names);
	qsort(refs->items + n_files, refs->count - n_files, sizeof(*refs->items), compare_names);
	while (e == 0 && (i < n_files || k < refs->count)) {
		order = i == n_files       ? 1
			: k == refs->count ? -1
					   : compare_names(&refs->items[i], &refs->items[k]);
		if (order <= 0)
			e = string_list_add(ret, refs->items[i++]);
		else
			e = string_list_add(ret, refs->items[k]);
		if (order >= 0)
			k++;
	}
	return e;
}

/* The branch that HEAD in OWN names, or NULL. */
static char *read_head(int own)
{
	char line[VALUE_SIZE];
	CLEANUP_FD int fd = fd_open_beneath(own, "HEAD", O_RDONLY | O_NONBLOCK);
	const char *value;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	line[fd_read_at(fd, line, sizeof(line) - 1, 0)] = '\0';
	value = value_of(line);
	return value[0] == '@' ? strdup(value + 1) : NULL;
}

int git_refs_read(const struct workspace *w, struct git_refs *ret)
{
	CLEANUP_FD int own = -1, common = -1;
	struct reading r = { 0 };
	size_t n_files;
	int e = git_open_directories(w, &own, &common);

	if (e < 0)
		return e;
	*ret = (struct git_refs){ 0 };
	r.common = common;
	e = read_directory(&r, "refs", 0);
	n_files = r.refs.count;
	if (e == 0)
		e = read_packed(&r);
	if (e == 0)
		e = merge(&r.refs, n_files, &ret->refs);
	string_list_deinit(&r.refs);
	if (e == 0)
		ret->head = read_head(own);
	else
		git_refs_deinit(ret);
	return e;
}

void git_refs_deinit(struct git_refs *r)
{
	free(r->head);
	string_list_deinit(&r->refs);
	*r = (struct git_refs){ 0 };
}

int git_refs_compare(const struct git_refs *before, const struct git_refs *after, const char *own,
		     struct string_list *ret)
{
	const struct string_list *a = &before->refs, *b = &after->refs;
	size_t i = 0, k = 0;
	const char *ref;
	int order, e = 0;

	while (e == 0 && (i < a->count || k < b->count)) {
		order = i == a->count   ? 1
			: k == b->count ? -1
					: compare_names(&a->items[i], &b->items[k]);
		ref = order <= 0 ? a->items[i] : b->items[k];
		if ((order != 0 || strcmp(ref, b->items[k]) != 0) &&
		    !string_equal(name_of(ref), own))
			e = string_list_add(ret, name_of(ref));
		i += order <= 0;
		k += order >= 0;
	}
	return e;
}
