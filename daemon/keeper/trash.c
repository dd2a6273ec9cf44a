/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox can make trees of any depth, so nothing here descends: a directory that is not empty is
 * moved up into the trash itself and met again in the next round. Constant memory, two descriptors.
 */

#include "trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"
#include "worker.h"

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

/* Unique over processes and restarts: time, pid and a counter. */
static void fresh_name(char *buf, size_t size)
{
	static uint32_t count;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
	(void)snprintf(buf, size, "%llx%08lx-%x-%x", (unsigned long long)now.tv_sec,
		       (unsigned long)now.tv_nsec, (unsigned int)getpid(), count++);
}

int trash_move(const struct tree *t, int dir, const char *path)
{
	char name[64];

	fresh_name(name, sizeof(name));
	return renameat(dir, path, t->trash, name) < 0 ? -errno : 0;
}

/* Returns false when the entry resists. */
static bool remove_entry(int trash, int dir, const char *entry)
{
	char name[64];

	if (unlinkat(dir, entry, 0) == 0)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return errno == ENOENT;
	if (unlinkat(dir, entry, AT_REMOVEDIR) == 0)
		return true;
	fresh_name(name, sizeof(name));
	return renameat(dir, entry, trash, name) == 0;
}

/* Empties one directory of the trash and removes it. */
static bool empty_directory(int trash, const char *name)
{
	const struct dirent *e;
	int fd = dir_open_at(trash, name);
	bool good = true;
	DIR *d;

	if (fd < 0)
		return unlinkat(trash, name, 0) == 0;
	(void)fchmod(fd, 0700); /* a work directory of overlay has mode 0 */
	d = fdopendir(fd);
	if (!d) {
		(void)close_fd(fd);
		return false;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			good = remove_entry(trash, fd, e->d_name) && good;
	(void)closedir(d);
	return unlinkat(trash, name, AT_REMOVEDIR) == 0 && good;
}

/* One pass. Returns how many were removed or opened up. */
static size_t sweep(int trash)
{
	int fd = openat(trash, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;
	size_t done = 0;
	DIR *d;

	if (fd < 0)
		return 0;
	d = fdopendir(fd);
	if (!d) {
		(void)close_fd(fd);
		return 0;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    empty_directory(trash, e->d_name))
			done++;
	(void)closedir(d);
	return done;
}

void trash_empty(void *arg)
{
	const struct tree *t = arg;
	const struct sched_param idle = { 0 };
	struct worker_result result = { 0 };

	worker_answer(&result);
	/* best effort: at normal priority it is only less polite */
	(void)setpriority(PRIO_PROCESS, 0, 19);
	(void)sched_setscheduler(0, SCHED_IDLE, &idle);
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
	while (sweep(t->trash) > 0)
		;
}

void trash_remove_flat(int parent, const char *name)
{
	CLEANUP_FD int fd = dir_open_at(parent, name);
	const struct dirent *e;
	int copy;
	DIR *d;

	if (fd < 0)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		(void)close_fd(copy);
		return;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    unlinkat(fd, e->d_name, 0) < 0)
			trash_remove_flat(fd, e->d_name);
	(void)closedir(d);
	(void)unlinkat(parent, name, AT_REMOVEDIR); /* on our own tmpfs; retried by nobody */
}
