/* SPDX-License-Identifier: Apache-2.0 */
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "io.h"
#include "macro.h"
#include "overlay.h"
#include "record.h"
#include "skeleton.h"
#include "trash.h"

/* The kernel refuses a volatile upper with a work directory that was used: always a new one. */
static int renew_work(const struct creation *c)
{
	char path[CREATION_PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/work", c->job->id);
	r = trash_move(c->job->tree, c->job->tree->upper, path);
	if (r < 0 && r != -ENOENT)
		return r;
	return dir_make_at(c->job->tree->upper, path, (struct owned){ 0, 0700 });
}

/* NAME in `upper`: what an overlay needs, and an empty record for a claim to write into. */
static int make_upper(const struct runtime_job *job, const char *name, bool exists)
{
	const int upper = job->tree->upper;
	char path[CREATION_PATH_MAX];
	int r;

	if (mkdirat(upper, name, 0700) < 0 && (errno != EEXIST || !exists))
		return -errno;
	(void)snprintf(path, sizeof(path), "%s/data", name);
	r = dir_make_at(upper, path, (struct owned){ ids_root(job->ids), 0755 });
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/work", name);
	r = dir_make_at(upper, path, (struct owned){ 0, 0700 });
	if (r == 0)
		record_prepare(job->tree, name);
	return r;
}

/* New directories, not those of a removed sandbox: whatever was in them cannot show again, and ext4
 * puts each new one where there is room. In emptied ones it has to step over the inodes that were
 * just deleted there: mounting and writing took 1.7 ms of processor time instead of 0.4. Looking
 * for that room takes 140 us, so one is made beforehand. */
int root_make_upper(struct creation *c)
{
	const struct runtime_job *job = c->job;
	char path[CREATION_PATH_MAX];
	int r;

	if (job->flags & KEEPER_CREATE_REUSE) {
		(void)snprintf(path, sizeof(path), "%s/data", job->id);
		r = faccessat(job->tree->upper, path, F_OK, 0) < 0 ? -errno : 0;
		return r < 0 ? r : renew_work(c);
	}
	if (renameat2(job->tree->upper, TREE_NEXT_UPPER, job->tree->upper, job->id,
		      RENAME_NOREPLACE) == 0) {
		c->upper_made = true;
		return 0;
	}
	if (!job->mounts) /* mostly not there, unless a keeper died over the same create */
		(void)trash_move(job->tree, job->tree->upper, job->id);
	r = make_upper(job, job->id, job->mounts != NULL); /* then a claim was before us */
	c->upper_made = r != -EEXIST;
	return r;
}

void root_prepare_upper(const struct runtime_job *job)
{
	const int upper = job->tree->upper;

	if (faccessat(upper, TREE_NEXT_UPPER, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	/* it is whole when it gets its name; another worker may be at it, too */
	if (make_upper(job, TREE_RAW_UPPER, false) < 0 ||
	    renameat2(upper, TREE_RAW_UPPER, upper, TREE_NEXT_UPPER, RENAME_NOREPLACE) < 0)
		(void)trash_move(job->tree, upper, TREE_RAW_UPPER); /* not there, or next time */
}

/* With the host's network its resolver is the sandbox's too. Absent on the host: the skeleton's
 * empty one stays. */
int root_copy_resolver(const struct creation *c)
{
	const struct owned as = { ids_root(c->job->ids), 0644 };
	char path[CREATION_PATH_MAX], text[8192];
	CLEANUP_FD int host = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	CLEANUP_FD int etc = -1;
	ssize_t n;
	int r;

	n = host < 0 ? -1 : read(host, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	text[n] = '\0';
	(void)snprintf(path, sizeof(path), "%s/data/etc", c->job->id);
	r = dir_make_at(c->job->tree->upper, path, (struct owned){ as.uid, 0755 });
	if (r < 0)
		return r;
	/* since the last stop it is the sandbox's: perhaps a link, out to the host's own */
	etc = beneath_open(c->job->tree->upper, path, O_RDONLY | O_DIRECTORY);
	if (etc < 0)
		return etc;
	if (unlinkat(etc, "resolv.conf", 0) < 0 && errno != ENOENT)
		return -errno;
	return file_make_at(etc, "resolv.conf", text, as);
}

bool root_is_own(const struct runtime_job *job)
{
	const char *lowest = job->n_lowers > 0 ? job->lowers[job->n_lowers - 1] : "";
	size_t length = strlen(lowest), suffix = strlen(KEEPER_ROOT_SUFFIX);

	return length > suffix && strcmp(lowest + length - suffix, KEEPER_ROOT_SUFFIX) == 0;
}

int root_mount(struct creation *c)
{
	static char lowers[KEEPER_LOWERS_MAX][CREATION_PATH_MAX];
	const char *list[KEEPER_LOWERS_MAX + 2];
	const struct runtime_job *job = c->job;
	char upper[CREATION_PATH_MAX], work[CREATION_PATH_MAX];
	struct overlay o = { list, upper, work };
	size_t i;

	for (i = 0; i < job->n_lowers; i++) {
		(void)snprintf(lowers[i], sizeof(lowers[i]), TREE_STATE "/templates/%s",
			       job->lowers[i]);
		list[i] = lowers[i];
	}
	if (!root_is_own(job))
		list[i++] = TREE_SKELETON;
	list[i] = NULL;
	(void)snprintf(upper, sizeof(upper), TREE_STATE "/upper/%s/data", job->id);
	(void)snprintf(work, sizeof(work), TREE_STATE "/upper/%s/work", job->id);
	if (mkdirat(job->tree->merged, job->id, 0755) < 0 && errno != EEXIST)
		return -errno;
	return overlay_mount(&o, c->merged);
}

int root_add_git_config(const struct creation *c, const char *text)
{
	const uid_t root = ids_root(c->job->ids);
	char path[CREATION_PATH_MAX];
	CLEANUP_FD int etc = -1;
	CLEANUP_FD int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/etc", c->job->id);
	/* a saved template may have anything there */
	etc = beneath_open(c->job->tree->merged, path, O_RDONLY | O_DIRECTORY);
	if (etc < 0)
		return etc;
	fd = openat(etc, "gitconfig", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 || fchown(fd, root, root) < 0)
		return -errno;
	return io_write_all(fd, text, strlen(text));
}

/* Opening for writing copies a file up, a change of owner to what it is a directory. The sandbox
 * may run by now: nothing else may come of it. */
void root_copy_up(const struct creation *c)
{
	static const char *const directories[] = { "home/agent", "tmp" };
	CLEANUP_FD int root = dir_open_at(c->job->tree->merged, c->job->id);
	CLEANUP_FD int config = -1;
	int fd;
	size_t i;

	if (root < 0)
		return;
	config = beneath_open(root, "etc/gitconfig", O_WRONLY | O_NONBLOCK | O_NOCTTY);
	for (i = 0; i < ARRAY_SIZE(directories); i++) {
		fd = beneath_open(root, directories[i], O_RDONLY | O_DIRECTORY);
		if (fd >= 0)
			(void)fchown(fd, (uid_t)-1, (gid_t)-1);
		(void)close_fd(fd);
	}
}
