/* SPDX-License-Identifier: Apache-2.0 */
/* The usual line goes out whole with one sendmsg from the caller's memory and is never copied. Only
 * what the socket did not take is queued. Descriptors ride with the first byte of their line (the
 * contract's rule), so a line that was begun needs them no more. */

#include "send-queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bounds.h"
#include "macro.h"

struct send_line {
	struct send_line *next;
	size_t sent;
	size_t size;
	size_t n_fds;
	int fds[RPC_FDS_MAX];
	char text[];
};

static void send_line_free(struct send_line *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_fds; i++)
		close_fd(l->fds[i]);
	free(l);
}
DEFINE_CLEANUP(struct send_line *, send_line_free);

void send_queue_init(struct send_queue *q)
{
	*q = (struct send_queue){ .head = NULL };
	q->tail = &q->head;
}

/* Returns how much was sent, 0 when the socket is full, or negative errno. */
static long send_some(int socket, const char *text, size_t size, const int *fds, size_t n_fds)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)text, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * RPC_FDS_MAX)];
	ssize_t n;

	if (n_fds > 0) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)control;

		memset(control, 0, sizeof control);
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return (long)n;
}

static int queue_line(struct send_queue *q, const char *text, size_t size, const int *fds,
		      size_t n_fds)
{
	CLEANUP(send_line_freep) struct send_line *l = malloc(sizeof *l + size);

	if (!l)
		return -ENOMEM;
	l->next = NULL;
	l->sent = 0;
	l->size = size;
	l->n_fds = 0;
	for (size_t i = 0; i < n_fds; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);

		if (fd < 0)
			return -errno;
		l->fds[l->n_fds++] = fd;
	}
	memcpy(l->text, text, size);
	q->bytes += size;
	*q->tail = TAKE_PTR(l);
	q->tail = &(*q->tail)->next;
	return 0;
}

int send_queue_add(struct send_queue *q, int socket, const char *text, size_t size, const int *fds,
		   size_t n_fds)
{
	long n = 0;
	int r;

	if (!q->head) {
		n = send_some(socket, text, size, fds, n_fds);
		if (n < 0)
			return (int)n;
		if ((size_t)n == size)
			return 0;
		if (n > 0)
			n_fds = 0;
	}
	/* a begun line must go on, whatever its size */
	if (n == 0 && q->bytes + size > SEND_QUEUE_BYTES_MAX)
		return -ENOBUFS;
	r = queue_line(q, text + n, size - (size_t)n, fds, n_fds);
	return r < 0 && n > 0 ? -EPIPE : r; /* half a line is out: nothing can follow it */
}

static void drop_fds(struct send_line *l)
{
	for (size_t i = 0; i < l->n_fds; i++)
		close_fd(l->fds[i]);
	l->n_fds = 0;
}

static void pop_line(struct send_queue *q)
{
	struct send_line *l = q->head;

	q->head = l->next;
	if (!q->head)
		q->tail = &q->head;
	q->bytes -= l->size;
	send_line_free(l);
}

int send_queue_flush(struct send_queue *q, int socket)
{
	while (q->head) {
		struct send_line *l = q->head;
		long n = send_some(socket, l->text + l->sent, l->size - l->sent, l->fds, l->n_fds);

		if (n <= 0)
			return (int)n;
		drop_fds(l);
		l->sent += (size_t)n;
		if (l->sent == l->size)
			pop_line(q);
	}
	return 0;
}

bool send_queue_is_empty(const struct send_queue *q)
{
	return !q->head;
}

void send_queue_deinit(struct send_queue *q)
{
	while (q->head)
		pop_line(q);
}
