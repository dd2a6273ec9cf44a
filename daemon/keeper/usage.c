/* SPDX-License-Identifier: Apache-2.0 */
/* Memory is the proportional share (Pss): pages that processes have in common count once. Processor
 * time is that of the living and of those whom they have reaped; init reaps the orphans. */

#include "usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"

#define USAGE_DEPTH_MAX 256 /* what lies deeper is not counted */
#define USAGE_PATH_MAX 64
#define USAGE_TEXT_MAX 4096

static uint64_t blocks_below(int fd, int depth)
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
		if (!S_ISDIR(st.st_mode)) {
			size += (uint64_t)st.st_blocks * 512 / (st.st_nlink ? st.st_nlink : 1);
			continue;
		}
		size += (uint64_t)st.st_blocks * 512;
		child = depth > 0 ? dir_open_at(fd, e->d_name) : -1;
		if (child >= 0)
			size += blocks_below(child, depth - 1);
	}
	(void)closedir(d);
	return size;
}

uint64_t usage_blocks(int fd)
{
	return blocks_below(fd, USAGE_DEPTH_MAX);
}

static uint64_t blocks_of(int dir, const char *name)
{
	int fd = dir_open_at(dir, name);

	return fd < 0 ? 0 : usage_blocks(fd);
}

/* ---- processes ---- */

static bool same_namespace(int proc, const char *pid, const struct stat *wanted)
{
	char path[USAGE_PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/ns/pid", pid);
	return fstatat(proc, path, &st, 0) == 0 && st.st_ino == wanted->st_ino &&
	       st.st_dev == wanted->st_dev;
}

static uint64_t memory_of(int proc, const char *pid)
{
	char path[USAGE_PATH_MAX], text[USAGE_TEXT_MAX];
	const char *line;

	(void)snprintf(path, sizeof(path), "%s/smaps_rollup", pid);
	if (file_get_at(proc, path, text, sizeof(text)) <= 0)
		return 0; /* a kernel thread, or it has just ended */
	line = strstr(text, "\nPss:");
	return line ? strtoull(line + strlen("\nPss:"), NULL, 10) * 1024 : 0;
}

/* utime, stime, cutime, cstime and num_threads of stat. */
static void add_times(int proc, const char *pid, struct worker_result *r)
{
	char path[USAGE_PATH_MAX], text[USAGE_TEXT_MAX];
	uint64_t ticks[4], threads;
	long hertz = sysconf(_SC_CLK_TCK);
	const char *p;

	(void)snprintf(path, sizeof(path), "%s/stat", pid);
	if (file_get_at(proc, path, text, sizeof(text)) <= 0)
		return;
	p = strrchr(text, ')'); /* the name before it may hold anything */
	if (!p || hertz <= 0 ||
	    sscanf(p + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %*d %*d %" SCNu64,
		   &ticks[0], &ticks[1], &ticks[2], &ticks[3], &threads) != 5)
		return;
	r->pids += threads;
	r->cpu_usec += (ticks[0] + ticks[1] + ticks[2] + ticks[3]) * 1000000 / (uint64_t)hertz;
}

/* True when INIT has a PID namespace of its own, which *RET names: else "its processes" would be
 * those of the whole machine. */
static bool own_namespace(int proc, pid_t init, struct stat *ret)
{
	char path[USAGE_PATH_MAX];
	struct stat ours;

	(void)snprintf(path, sizeof(path), "%d/ns/pid", init);
	return fstatat(proc, path, ret, 0) == 0 && fstatat(proc, "self/ns/pid", &ours, 0) == 0 &&
	       (ret->st_ino != ours.st_ino || ret->st_dev != ours.st_dev);
}

static void add_processes(pid_t init, struct worker_result *r)
{
	const struct dirent *e;
	struct stat wanted;
	DIR *d = opendir("/proc");

	if (!d)
		return;
	if (own_namespace(dirfd(d), init, &wanted)) {
		while ((e = readdir(d))) {
			if (e->d_name[0] < '1' || e->d_name[0] > '9' || strlen(e->d_name) > 16 ||
			    !same_namespace(dirfd(d), e->d_name, &wanted))
				continue;
			r->memory_bytes += memory_of(dirfd(d), e->d_name);
			add_times(dirfd(d), e->d_name, r);
		}
	}
	(void)closedir(d);
}

void usage_measure(void *arg)
{
	const struct usage_job *job = arg;
	const struct tree *t = job->tree;
	struct worker_result result = { 0 };

	if (job->init > 0)
		add_processes(job->init, &result);
	if (job->disk && job->id[0] != '\0') {
		result.size_bytes = blocks_of(t->upper, job->id);
	} else if (job->disk) {
		result.size_bytes = blocks_of(t->upper, ".");
		result.spool_bytes = blocks_of(t->spool, ".");
		result.trash_bytes = blocks_of(t->trash, ".");
	}
	worker_answer(&result);
}
