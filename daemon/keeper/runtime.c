/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"
#include "runtime-host.h"
#include "runtime-oci.h"
#include "runtime-runsc.h"
#include "trash.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define PROGRAMS_MAX 16

const struct runtime_kind *runtime_kind(uint32_t number)
{
	switch ((enum keeper_runtime)number) {
	case KEEPER_RUNTIME_CRUN:
		return runtime_crun;
	case KEEPER_RUNTIME_RUNC:
		return runtime_runc;
	case KEEPER_RUNTIME_HOST:
		return &runtime_host;
	case KEEPER_RUNTIME_RUNSC:
		return &runtime_runsc;
	}
	return NULL;
}

int runtime_discard_upper(const struct tree *t, const char *id)
{
	return trash_move(t, t->upper, id);
}

/* ---- programs ---- */

static int sealed_copy(int from)
{
	CLEANUP_FD int fd = -1;
	int r;

#ifdef MFD_EXEC
	fd = memfd_create("runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
#endif
	if (fd < 0) /* before 6.3 every memfd was executable and the flag unknown */
		fd = memfd_create("runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = file_copy(from, fd);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int refresh(struct runtime *r, const char *path)
{
	CLEANUP_FD int from = -1;
	CLEANUP_STR char *copy = NULL;
	struct stat st;
	int fd;

	if (stat(path, &st) < 0)
		return -errno;
	if (r->memfd >= 0 && unchanged(&st, &r->seen))
		return 0;
	from = open(path, O_RDONLY | O_CLOEXEC);
	copy = strdup(path);
	if (from < 0 || !copy || fstat(from, &st) < 0)
		return -errno;
	fd = sealed_copy(from);
	if (fd < 0)
		return fd;
	(void)close_fd(r->memfd);
	free(r->path);
	r->memfd = fd;
	r->path = TAKE_PTR(copy);
	r->seen = st;
	return 0;
}

static void runtime_free(struct runtime *r)
{
	free(r->path);
	(void)close_fd(r->memfd);
	free(r);
}

void runtimes_deinit(struct runtimes *all)
{
	struct runtime *r;

	while ((r = all->list)) {
		all->list = r->next;
		runtime_free(r);
	}
	all->count = 0;
}

int runtimes_get(struct runtimes *all, const char *path, const struct runtime **ret)
{
	struct runtime *r;
	int error;

	for (r = all->list; r && strcmp(r->path, path) != 0; r = r->next)
		;
	if (r) {
		error = refresh(r, path);
		*ret = r;
		return error;
	}
	if (all->count == PROGRAMS_MAX)
		return -E2BIG;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->memfd = -1;
	error = refresh(r, path);
	if (error < 0) {
		runtime_free(r);
		return error;
	}
	r->next = all->list;
	all->list = r;
	all->count++;
	*ret = r;
	return 0;
}
