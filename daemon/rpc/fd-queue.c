/* SPDX-License-Identifier: Apache-2.0 */
/* A short array whose head is index 0: at most 64 entries move when some are taken. */

#include "rpc/fd-queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "macro.h"
#include "util/dispose.h"

/* Device numbers that the kernel fixes (Documentation/admin-guide/devices.txt). */
#define MAJOR_MEMORY 1
#define MAJOR_TTY_AUX 5
#define MINOR_PTMX 2
#define MAJOR_PTS_FIRST 136
#define MAJOR_PTS_LAST 143

static bool push(struct fd_queue *q, int fd)
{
	if (q->count == RPC_FDS_MAX) {
		(void)dispose_fd(fd);
		return false;
	}
	q->fds[q->count++] = fd;
	return true;
}

static bool push_all(struct fd_queue *q, struct cmsghdr *c)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;

	for (size_t i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
		fits &= push(q, fd);
	}
	return fits;
}

int fd_queue_receive(struct fd_queue *q, struct msghdr *m)
{
	bool fits = !(m->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			fits &= push_all(q, c);
	return fits ? 0 : -EMFILE;
}

int fd_queue_take(struct fd_queue *q, int *fds, size_t n)
{
	if (n > q->count)
		return -ENOENT;
	memcpy(fds, q->fds, n * sizeof(*fds));
	q->count -= n;
	memmove(q->fds, q->fds + n, q->count * sizeof(*q->fds));
	return 0;
}

void fd_queue_close(struct fd_queue *q)
{
	while (q->count > 0)
		(void)dispose_fd(q->fds[--q->count]);
}

static const char *device_refused(dev_t device)
{
	unsigned low = minor(device), high = major(device);

	if (high == MAJOR_MEMORY)
		switch (low) {
		case 3: /* null */
		case 5: /* zero */
		case 7: /* full */
		case 8: /* random */
		case 9: /* urandom */
			return NULL;
		default:
			return "is a device";
		}
	if (high >= MAJOR_PTS_FIRST && high <= MAJOR_PTS_LAST)
		return NULL;
	if (high == MAJOR_TTY_AUX && low == MINOR_PTMX)
		return NULL;
	return "is a device";
}

const char *fd_kind_refused(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct statx st;

	/* a file system that does not answer is not asked */
	if (flags < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return "cannot be examined";
	/* Opens no file, but can be reopened as one. */
	if (flags & O_PATH)
		return "was opened with O_PATH";
	switch (st.stx_mode & S_IFMT) {
	case S_IFIFO:
	case S_IFSOCK:
		return NULL;
	case S_IFCHR:
		return device_refused(makedev(st.stx_rdev_major, st.stx_rdev_minor));
	case S_IFREG:
		return "is a file: pass a pipe and pump it";
	case S_IFDIR:
		return "is a directory";
	default:
		return "is of a kind that is not accepted";
	}
}
