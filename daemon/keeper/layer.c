/* SPDX-License-Identifier: Apache-2.0 */
/* The upper's data directory, or a copy of it, becomes the layer by a rename, so a layer is there
 * whole or not at all. Whiteouts and opaque marks of overlay keep their meaning in a lower layer.
 */

#include "layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy.h"
#include "files.h"
#include "macro.h"
#include "trash.h"
#include "usage.h"
#include "worker.h"

#define LAYER_PATH_MAX 512

/* Relative to the root (copy.h): work files, caches, what is made anew at each start, and what
 * tells who somebody is: a template is for many, a login is not, and one that is copied breaks
 * (tokens that are renewed by one copy are void in the other). */
static const char *const left_out[] = {
	"run/",
	"tmp/",
	"var/tmp/",
	"var/cache/apt/",
	"root/.npm",
	"root/.cache",
	"root/.bash_history",
	"home/agent/.npm",
	"home/agent/.cache",
	"home/agent/.bash_history",
	"home/agent/.claude/.credentials.json",
	"home/agent/.codex/auth.json",
	"home/agent/.gemini/oauth_creds.json",
	"home/agent/.pi/agent/auth.json",
	"home/agent/.local/share/opencode/auth.json",
	"home/agent/.config/gh/hosts.yml",
	"home/agent/.git-credentials",
	"home/agent/.netrc",
	"etc/resolv.conf",
	NULL,
};

static int drop_work_files(const struct tree *t, int data)
{
	CLEANUP_FD int parent = -1;
	char path[128], *name;
	size_t i;
	int r;

	for (i = 0; left_out[i]; i++) {
		(void)snprintf(path, sizeof(path), "/%s", left_out[i]);
		name = path + strlen(path) - 1;
		if (*name == '/')
			*name = '\0';
		name = strrchr(path, '/');
		*name++ = '\0';
		parent = close_fd(parent);
		/* links inside the layer are the sandbox's and not followed */
		parent = beneath_open(data, path[0] ? path + 1 : "", O_RDONLY | O_DIRECTORY);
		if (parent < 0)
			continue;
		r = trash_move(t, parent, name);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int save(const struct layer_job *job, uint64_t *ret_size)
{
	const struct tree *t = job->tree;
	char data[LAYER_PATH_MAX], temporary[LAYER_PATH_MAX];
	CLEANUP_FD int fd = -1;
	int copy, r;

	(void)snprintf(data, sizeof(data), "%s/data", job->id);
	(void)snprintf(temporary, sizeof(temporary), ".%s.tmp", job->layer);
	if (faccessat(t->templates, job->layer, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	fd = dir_open_at(t->upper, data);
	if (fd < 0)
		return fd;
	r = drop_work_files(t, fd);
	if (r < 0)
		return r;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	*ret_size = copy < 0 ? 0 : usage_blocks(copy);
	r = trash_move(t, t->templates, temporary); /* of a keeper that was killed */
	if (r < 0 && r != -ENOENT)
		return r;
	if (renameat(t->upper, data, t->templates, temporary) < 0 ||
	    renameat2(t->templates, temporary, t->templates, job->layer, RENAME_NOREPLACE) < 0)
		return -errno;
	(void)trash_move(t, t->upper, job->id); /* empty now; swept with the next REMOVE */
	return 0;
}

void layer_save(void *arg)
{
	const struct layer_job *job = arg;
	struct worker_result result = { 0 };

	result.error = save(job, &result.size_bytes);
	if (result.error < 0)
		(void)snprintf(result.reason, sizeof(result.reason), "saving layer %s: %s",
			       job->layer, strerror(-result.error));
	worker_answer(&result);
}

/* ---- of a sandbox that goes on ---- */

static int copy_changes(const struct layer_job *job, const char *temporary, uint64_t *ret_size)
{
	const struct tree *t = job->tree;
	struct copy_job copy = { .from = -1, .to = -1, .left_out = left_out };
	CLEANUP_FD int from = -1;
	CLEANUP_FD int to = -1;
	char data[LAYER_PATH_MAX];

	(void)snprintf(data, sizeof(data), "%s/data", job->id);
	from = dir_open_at(t->upper, data);
	if (from < 0)
		return from;
	if (mkdirat(t->templates, temporary, 0700) < 0)
		return -errno;
	to = dir_open_at(t->templates, temporary);
	if (to < 0)
		return to;
	copy.from = from;
	copy.to = to;
	return copy_tree(&copy, ret_size);
}

static int save_copy(const struct layer_job *job, uint64_t *ret_size)
{
	const struct tree *t = job->tree;
	char temporary[LAYER_PATH_MAX];
	int r;

	(void)snprintf(temporary, sizeof(temporary), ".%s.tmp", job->layer);
	if (faccessat(t->templates, job->layer, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	r = copy_changes(job, temporary, ret_size);
	if (r == 0 &&
	    renameat2(t->templates, temporary, t->templates, job->layer, RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0)
		layer_drop_unfinished(t, job->layer);
	return r;
}

void layer_copy(void *arg)
{
	const struct layer_job *job = arg;
	struct worker_result result = { 0 };

	result.error = save_copy(job, &result.size_bytes);
	if (result.error < 0)
		(void)snprintf(result.reason, sizeof(result.reason), "copying to layer %s: %s",
			       job->layer, strerror(-result.error));
	worker_answer(&result);
}

int layer_finish(const struct tree *t, const char *layer, uint64_t *ret_size)
{
	char temporary[LAYER_PATH_MAX];
	int fd;

	(void)snprintf(temporary, sizeof(temporary), ".%s.tmp", layer);
	fd = dir_open_at(t->templates, temporary);
	if (fd < 0)
		return fd;
	*ret_size = usage_blocks(fd);
	return renameat2(t->templates, temporary, t->templates, layer, RENAME_NOREPLACE) < 0
		       ? -errno
		       : 0;
}

void layer_drop_unfinished(const struct tree *t, const char *layer)
{
	char temporary[LAYER_PATH_MAX];

	(void)snprintf(temporary, sizeof(temporary), ".%s.tmp", layer);
	(void)trash_move(t, t->templates, temporary); /* -ENOENT: it is finished, or never begun */
}

void layer_sweep(const struct tree *t)
{
	int fd = openat(t->templates, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		(void)close_fd(fd);
		return;
	}
	while ((e = readdir(d)))
		if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0)
			(void)trash_move(t, t->templates, e->d_name); /* then at the next start */
	(void)closedir(d);
}

int layer_remove(const struct tree *t, const char *layer)
{
	return trash_move(t, t->templates, layer);
}
