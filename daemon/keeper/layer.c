/* SPDX-License-Identifier: Apache-2.0 */
/* The upper's data directory becomes the layer by two renames, so a layer is there whole or not at
 * all. Whiteouts and opaque marks of overlay keep their meaning in a lower layer. */

#include "layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"
#include "trash.h"
#include "worker.h"

#define LAYER_DEPTH_MAX 256
#define LAYER_PATH_MAX 512

/* Work files of an installation, relative to the root. */
static const char *const left_out[] = {
	"run",
	"tmp",
	"var/tmp",
	"var/cache",
	"root/.npm",
	"root/.cache",
	"home/agent/.npm",
	"home/agent/.cache",
	"etc/resolv.conf",
	"home/agent/.bash_history",
};

static int drop_work_files(const struct tree *t, int data)
{
	CLEANUP_FD int parent = -1;
	const char *slash;
	char dir[64];
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(left_out); i++) {
		slash = strrchr(left_out[i], '/');
		(void)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - left_out[i]) : 0,
			       left_out[i]);
		parent = close_fd(parent);
		/* links inside the layer are the sandbox's and not followed */
		parent = beneath_open(data, dir, O_RDONLY | O_DIRECTORY);
		if (parent < 0)
			continue;
		r = trash_move(t, parent, slash ? slash + 1 : left_out[i]);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

/* Takes FD over. Blocks in use, as du counts them. */
static uint64_t size_below(int fd, int depth)
{
	const struct dirent *e;
	uint64_t size = 0;
	struct stat st;
	int child;
	DIR *d = fdopendir(fd);

	if (!d) {
		(void)close_fd(fd);
		return 0;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		size += (uint64_t)st.st_blocks * 512;
		if (!S_ISDIR(st.st_mode) || depth == 0)
			continue;
		child = dir_open_at(fd, e->d_name);
		if (child >= 0)
			size += size_below(child, depth - 1);
	}
	(void)closedir(d);
	return size;
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
	*ret_size = copy < 0 ? 0 : size_below(copy, LAYER_DEPTH_MAX);
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

int layer_remove(const struct tree *t, const char *layer)
{
	return trash_move(t, t->templates, layer);
}
