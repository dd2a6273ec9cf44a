/* SPDX-License-Identifier: Apache-2.0 */
/* One buffer: read when it is empty, write until it is. Only our own end of the pipe is made
 * non-blocking: the other descriptor is shared with whoever started us. */

#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"

#define BUFFER_SIZE (256u * 1024)

static bool is_passable_device(dev_t device)
{
	unsigned major_number = major(device);
	unsigned minor_number = minor(device);

	/* UNIX98 ptys: 136 to 143; memory devices null, zero, full, random, urandom */
	if (major_number >= 136 && major_number <= 143)
		return true;
	return major_number == 1 && (minor_number == 3 || minor_number == 5 || minor_number == 7 ||
				     minor_number == 8 || minor_number == 9);
}

bool pump_is_passable(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
		return true;
	return S_ISCHR(st.st_mode) && is_passable_device(st.st_rdev);
}

static int make_pipe(struct pump *p, int pipe_fds[2], int own)
{
	p->buffer = malloc(BUFFER_SIZE);
	if (!p->buffer)
		return -ENOMEM;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		int r = -errno;

		free(p->buffer);
		p->buffer = NULL;
		return r;
	}
	(void)fcntl(pipe_fds[own], F_SETPIPE_SZ, BUFFER_SIZE); /* only faster */
	(void)fcntl(pipe_fds[own], F_SETFL, O_NONBLOCK);       /* cannot fail on a pipe of ours */
	return 0;
}

int pump_from_command(struct pump *p, int fd, int *ret_pass)
{
	int pipe_fds[2];
	int r = make_pipe(p, pipe_fds, 0);

	if (r < 0)
		return r;
	p->from = pipe_fds[0];
	p->to = fd;
	p->owns_from = true;
	*ret_pass = pipe_fds[1];
	return 0;
}

int pump_to_command(struct pump *p, int fd, int *ret_pass)
{
	int pipe_fds[2];
	int r = make_pipe(p, pipe_fds, 1);

	if (r < 0)
		return r;
	p->from = fd;
	p->to = pipe_fds[1];
	p->owns_from = false;
	*ret_pass = pipe_fds[0];
	return 0;
}

static void finish(struct pump *p)
{
	if (p->from < 0)
		return;
	close_fd(p->owns_from ? p->from : p->to);
	p->from = p->to = -1;
	p->start = p->end = 0;
}

bool pump_want(const struct pump *p, struct pollfd *poll)
{
	if (p->from < 0)
		return false;
	if (p->start < p->end)
		*poll = (struct pollfd){ .fd = p->to, .events = POLLOUT };
	else
		*poll = (struct pollfd){ .fd = p->from, .events = POLLIN };
	return true;
}

/* Returns false when there is nothing to read now, or ever. */
static bool fill(struct pump *p)
{
	ssize_t n = read(p->from, p->buffer, BUFFER_SIZE);

	if (n > 0) {
		p->start = 0;
		p->end = (size_t)n;
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	finish(p);
	return false;
}

static void flush(struct pump *p)
{
	ssize_t n = write(p->to, p->buffer + p->start, p->end - p->start);

	if (n >= 0)
		p->start += (size_t)n;
	else if (errno != EAGAIN && errno != EINTR)
		finish(p);
}

void pump_move(struct pump *p)
{
	if (p->from >= 0 && p->start == p->end && !fill(p))
		return;
	if (p->from >= 0)
		flush(p);
}

void pump_drain(struct pump *p)
{
	if (!p->owns_from)
		finish(p);
	while (p->from >= 0 && (p->start < p->end || fill(p))) {
		if (message_write(p->to, p->buffer + p->start, p->end - p->start) < 0)
			break;
		p->start = p->end;
	}
	finish(p);
}

void pump_deinit(struct pump *p)
{
	finish(p);
	free(p->buffer);
	p->buffer = NULL;
}
