/* SPDX-License-Identifier: Apache-2.0 */
/* Seqpacket messages with descriptors. No allocation and no state: a message is the caller's. The
 * struct at the start is plain memory in host order, so the only parsing is in wire_string(). */

#include "wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

void wire_begin(struct wire_message *m, uint16_t version, uint16_t type, uint64_t serial,
		size_t struct_size)
{
	struct wire_header *h = wire_head(m);

	memset(m->data, 0, struct_size);
	m->size = struct_size;
	m->n_fds = 0;
	h->version = version;
	h->type = type;
	h->serial = serial;
}

int wire_add_bytes(struct wire_message *m, const void *data, size_t size, uint32_t *ret_offset)
{
	if (size > WIRE_MESSAGE_MAX - m->size)
		return -EMSGSIZE;
	if (size > 0)
		memcpy(m->data + m->size, data, size);
	*ret_offset = (uint32_t)m->size;
	m->size += size;
	return 0;
}

int wire_add_string(struct wire_message *m, size_t at, const char *text)
{
	struct wire_str s = { 0, 0 };
	size_t length;
	int r;

	if (text) {
		length = strlen(text);
		r = wire_add_bytes(m, text, length + 1, &s.offset);
		if (r < 0)
			return r;
		s.length = (uint32_t)length;
	}
	memcpy(m->data + at, &s, sizeof(s));
	return 0;
}

int wire_add_fd(struct wire_message *m, int fd)
{
	if (m->n_fds == WIRE_FDS_MAX) {
		(void)close(fd); /* it was given to us */
		return -EMSGSIZE;
	}
	m->fds[m->n_fds++] = fd;
	return (int)m->n_fds - 1;
}

int wire_send(int socket, struct wire_message *m)
{
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control;
	struct iovec iov = { m->data, m->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct wire_header *h = wire_head(m);
	struct cmsghdr *const c = &control.align;
	ssize_t n;

	h->size = (uint32_t)m->size;
	h->n_fds = (uint32_t)m->n_fds;
	if (m->n_fds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
		memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->n_fds);
	}
	do
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void take_control(struct wire_message *m, struct msghdr *msg)
{
	struct cmsghdr *c;
	size_t count;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(m->fds + m->n_fds, CMSG_DATA(c), count * sizeof(int));
		m->n_fds += count;
	}
}

int wire_receive(int socket, struct wire_message *m)
{
	union {
		struct cmsghdr align;
		char data[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control;
	struct iovec iov = { m->data, sizeof(m->data) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	const struct wire_header *h = wire_head(m);
	ssize_t n;

	m->n_fds = 0;
	m->size = 0;
	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_control(m, &msg);
	if (n == 0 && m->n_fds == 0)
		return 0;
	m->size = (size_t)n;
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == MSG_CTRUNC && m->size >= sizeof(*h) &&
	    h->size == m->size && h->n_fds > m->n_fds) {
		wire_message_done(m);
		return -EMFILE;
	}
	if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || m->size < sizeof(*h) ||
	    h->size != m->size || h->n_fds != m->n_fds) {
		wire_message_done(m);
		return -EBADMSG;
	}
	return 1;
}

const char *wire_string(const struct wire_message *m, struct wire_str s, bool *bad)
{
	const char *text;

	if (s.offset == 0)
		return NULL;
	if (s.offset < sizeof(struct wire_header) || s.offset >= m->size ||
	    s.length >= m->size - s.offset) {
		*bad = true;
		return NULL;
	}
	text = (const char *)m->data + s.offset;
	if (text[s.length] != '\0' || memchr(text, '\0', s.length)) {
		*bad = true;
		return NULL;
	}
	return text;
}

int wire_take_fd(struct wire_message *m, size_t i)
{
	int fd;

	if (i >= m->n_fds)
		return -1;
	fd = m->fds[i];
	m->fds[i] = -1;
	return fd;
}

void wire_message_done(struct wire_message *m)
{
	size_t i;

	for (i = 0; i < m->n_fds; i++)
		if (m->fds[i] >= 0)
			(void)close(m->fds[i]); /* whatever it says, it is gone */
	m->n_fds = 0;
}
