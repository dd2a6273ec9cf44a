/* SPDX-License-Identifier: Apache-2.0 */
/* HEAD is a commit, or "ref: NAME" where NAME is a file or a line of packed-refs in the common
 * directory. An agent may have written all of it: no link is followed, nothing is waited for, and
 * only hexadecimal digits come out. */

#include "loop/git-head.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/git.h"
#include "sandbox/workspace.h"
#include "util/fd.h"

#define REF_SIZE 4096
#define REF_PREFIX "ref: "

/* The first line of a plain file; negative errno. */
static int read_line(int dir, const char *path, char *line, size_t size)
{
	CLEANUP_FD int fd = fd_open_beneath(dir, path, O_RDONLY | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	n = pread(fd, line, size - 1, 0);
	if (n < 0)
		return -errno;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static int take_sha(const char *text, size_t length, char ret[static GIT_SHA_SIZE])
{
	if ((length != 40 && length != 64) || strspn(text, "0123456789abcdef") < length)
		return -ENOENT;
	memcpy(ret, text, length);
	ret[length] = '\0';
	return 0;
}

/* "SHA NAME" is a line of it. */
static int find_packed(int common, const char *name, char ret[static GIT_SHA_SIZE])
{
	CLEANUP_FD int fd = fd_open_beneath(common, "packed-refs", O_RDONLY | O_NONBLOCK);
	CLEANUP_STR char *line = NULL;
	size_t room = 0;
	struct stat st;
	char *space;
	FILE *file;
	int r = -ENOENT;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > GIT_PACKED_REFS_MAX)
		return -ENOENT;
	file = fdopen(fd, "r");
	if (!file)
		return -errno;
	(void)TAKE_FD(fd); /* FILE has it */
	while (r == -ENOENT && getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		space = strchr(line, ' ');
		if (space && strcmp(space + 1, name) == 0)
			r = take_sha(line, (size_t)(space - line), ret);
	}
	(void)fclose(file); /* only read from */
	return r;
}

static int resolve(int own, int common, char ret[static GIT_SHA_SIZE])
{
	char line[REF_SIZE], sha[REF_SIZE];
	const char *name = line + strlen(REF_PREFIX);
	int r = read_line(own, "HEAD", line, sizeof(line));

	if (r < 0)
		return r;
	if (strncmp(line, REF_PREFIX, strlen(REF_PREFIX)) != 0)
		return take_sha(line, strlen(line), ret);
	if (strncmp(name, "refs/", strlen("refs/")) != 0)
		return -ENOENT;
	if (read_line(common, name, sha, sizeof(sha)) == 0)
		return take_sha(sha, strlen(sha), ret);
	return find_packed(common, name, ret);
}

int git_open_directories(const struct workspace *w, int *ret_own, int *ret_common)
{
	const struct git_layout *git = workspace_git(w);
	CLEANUP_FD int own = -1;
	char path[PATH_MAX];
	int common;

	if (!git || git->kind == GIT_NONE)
		return -ENOENT;
	(void)snprintf(path, sizeof(path), "worktrees/%s", git->name ? git->name : "");
	own = git->kind == GIT_REPOSITORY
		      ? fd_open_beneath(workspace_fd(w), ".git", O_PATH | O_DIRECTORY)
		      : fd_open_beneath(git->common_fd, path, O_PATH | O_DIRECTORY);
	if (own < 0)
		return own;
	common = fcntl(git->kind == GIT_REPOSITORY ? own : git->common_fd, F_DUPFD_CLOEXEC, 3);
	if (common < 0)
		return -errno;
	*ret_own = TAKE_FD(own);
	*ret_common = common;
	return 0;
}

int git_head_read(const struct workspace *w, char ret[static GIT_SHA_SIZE])
{
	CLEANUP_FD int own = -1, common = -1;
	int r = git_open_directories(w, &own, &common);

	return r < 0 ? r : resolve(own, common, ret);
}
