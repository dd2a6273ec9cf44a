/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxd may send to init: several messages through a real socket into init's own loop. What
 * acts on the machine (starting, listening, terminals) is replaced here by looking at what it got.
 *
 * Input: messages of { u8 flags, u16 length, bytes }. Flags: 1 makes the header say the right size
 * and number of descriptors, 2 sends the rest of the input as a sealed memfd first, the next two
 * bits are how many others follow. */

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init/files.h"
#include "init/net.h"
#include "init/server.h"
#include "init/terminal.h"
#include "macro.h"

#define TURNS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t touched;

static void touch_strings(char *const *strings)
{
	for (; *strings; strings++)
		touched += strlen(*strings);
}

int spawn_run(const struct spawn *s, struct spawned *ret)
{
	const struct payload *p = s->payload;
	const char *rest = payload_getenv(p, "PATH");
	char candidate[SEARCH_PATH_MAX];
	size_t i, k;

	touched += strlen(p->workdir);
	touch_strings(p->argv);
	touch_strings(p->envp);
	for (i = 0; i < p->filec; i++)
		for (k = 0; k < p->files[i].size; k++)
			touched += (uint8_t)p->files[i].data[k];
	while (payload_search_next(&rest, p->argv[0], candidate))
		touched += strlen(candidate);
	for (i = 0; i < 3; i++)
		if (fcntl(s->stdio[i], F_GETFD) < 0)
			abort(); /* every one of them is open */
	memset(ret, 0, sizeof(*ret));
	ret->start_error = INIT_START_NOT_FOUND;
	ret->error = -ENOENT;
	return 1;
}

int net_listen(const struct init_listen *l)
{
	touched += l->port;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int files_put(const struct files_place *p, uint32_t mode, const char *data, size_t size)
{
	size_t i;

	touched += strlen(p->path) + p->uid + p->gid + mode;
	for (i = 0; i < size; i++)
		touched += (uint8_t)data[i];
	return size % 2 ? -ENOSPC : 0;
}

int files_remove(const struct files_place *p)
{
	touched += strlen(p->path);
	return 0;
}

void net_loopback_up(void)
{
}

int terminal_open(uint32_t uid, uint16_t rows, uint16_t cols, int *ret_master, int *ret_slave)
{
	touched += uid + rows + cols;
	*ret_master = open("/dev/null", O_RDWR | O_CLOEXEC);
	*ret_slave = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

static int sealed(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)!write(fd, data, size);
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK);
	return fd;
}

static void send_raw(int socket, struct wire_message *m, uint8_t flags)
{
	struct iovec iov = { m->data, m->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if ((flags & 1) != 0 && m->size >= sizeof(struct wire_header))
		(void)wire_send(socket, m);
	else
		(void)sendmsg(socket, &msg, MSG_NOSIGNAL);
}

/* Sends the next message of the input; returns how much of it that took. */
static size_t send_next(int socket, struct wire_message *m, const uint8_t *data, size_t size)
{
	uint8_t flags = data[0];
	size_t length = (size_t)data[1] | (size_t)data[2] << 8;
	int i;

	if (length > size - 3)
		length = size - 3;
	m->n_fds = 0;
	m->size = length;
	memcpy(m->data, data + 3, length);
	if ((flags & 2) != 0)
		(void)wire_add_fd(m, sealed(data + 3 + length, size - 3 - length));
	for (i = (flags >> 2) & 3; i > 0; i--)
		(void)wire_add_fd(m, open("/dev/null", O_RDWR | O_CLOEXEC));
	send_raw(socket, m, flags);
	wire_message_done(m);
	return 3 + length;
}

static void reset(struct server *s, int socket, int null)
{
	uint64_t id;
	size_t i;

	s->listener = s->signals = -1;
	s->null = null;
	for (i = 0; i < INIT_CONNECTIONS_MAX; i++)
		s->connections[i] = -1;
	s->connections[0] = socket;
	s->controller = 0;
	s->patience_ms = s->orphan_ms = 1000000;
	s->shutdown = false;
	s->killer.active = false;
	s->tree.processes.fd = s->tree.sweep.fd = s->tree.children.fd = -1;
	s->jobs.count = 0;
	s->lent.count = 0;
	s->lent.failed = 0;
	for (id = 1; id <= 3; id++) /* ended ones, of which nothing is left */
		jobs_add(&s->jobs, id, -1, id)->running = false;
	for (i = 0; i < s->jobs.count; i++)
		s->jobs.entries[i].mark = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct server server;
	static struct wire_message m;
	int pair[2], delay = 0, turn;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	reset(&server, pair[0], null);
	for (turn = 0; turn < TURNS_MAX && size > 3; turn++) {
		size_t taken = send_next(pair[1], &m, data, size);

		data += taken;
		size -= taken;
		delay = 0;
		if (!server_turn(&server, &delay) || server.connections[0] < 0)
			break;
	}
	(void)close_fd(server.connections[0]);
	(void)close_fd(pair[1]);
	(void)close_fd(null);
	return 0;
}
