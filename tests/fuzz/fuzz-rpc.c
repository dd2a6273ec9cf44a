/* SPDX-License-Identifier: Apache-2.0 */
/* Frame, JSON and dispatch together: the input reaches a real server in slices of 7 bytes, through
 * a socket, and handlers that keep, cancel, stream or drop what they get. A byte 0xfe in the input
 * is not sent: it sends a descriptor beside the byte after it. 0xfd lets the client read. */

#include <event2/event.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "macro.h"
#include "methods.h"
#include "rpc/request.h"
#include "rpc/server.h"

#define SLICE 7
#define HELD_MAX 64
#define MARK_FD 0xfe
#define MARK_READ 0xfd

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What lives as long as the process: a server is made once, a connection for each input. */
static struct {
	struct event_base *base;
	struct server *server;
	struct sockaddr_un address;
	int null;
	struct request *held[HELD_MAX];
	size_t held_count;
} fuzz;

static void forget(const struct request *r)
{
	for (size_t i = 0; i < fuzz.held_count; i++)
		if (fuzz.held[i] == r)
			fuzz.held[i--] = fuzz.held[--fuzz.held_count];
}

static void on_cancel(struct request *r, void *userdata)
{
	struct error e = { 0 };

	(void)userdata;
	forget(r);
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "cancelled");
	request_fail(r, &e);
}

static void on_disconnect(struct request *r, void *userdata)
{
	(void)userdata;
	forget(r);
	request_reply(r, NULL);
}

static void hold(struct request *r, void *userdata)
{
	static const struct request_watch watch = { .on_cancel = on_cancel,
						    .on_disconnect = on_disconnect };

	(void)userdata;
	if (fuzz.held_count == HELD_MAX) {
		request_reply(r, NULL);
		return;
	}
	fuzz.held[fuzz.held_count++] = r;
	request_watch(r, &watch, NULL);
}

static void echo(struct request *r, void *userdata)
{
	(void)userdata;
	request_notify(r, "exec.started", json_object_get(request_id(r)));
	if (request_fd_count(r) > 1)
		close_fd(request_take_fd(r, 1));
	request_reply(r, json_object_get(request_id(r)));
}

static method_handler *const handlers[METHOD_MAX] = {
	[METHOD_SANDBOX_CREATE] = echo, [METHOD_SANDBOX_GET] = echo,   [METHOD_EXEC_RUN] = echo,
	[METHOD_EXEC_WAIT] = hold,      [METHOD_EXEC_ATTACH] = hold,   [METHOD_EXEC_READ] = echo,
	[METHOD_EXEC_WRITE] = echo,     [METHOD_EXEC_SIGNAL] = echo,   [METHOD_EXEC_RESIZE] = echo,
	[METHOD_TEMPLATE_BUILD] = echo, [METHOD_TEMPLATE_LIST] = echo,
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	socklen_t size = sizeof(sa_family_t);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)argc;
	(void)argv;
	/* The kernel picks an abstract name: nothing is left behind. */
	fuzz.address.sun_family = AF_UNIX;
	if (fd < 0 || bind(fd, (struct sockaddr *)&fuzz.address, size) < 0 || listen(fd, 8) < 0)
		abort();
	fuzz.base = event_base_new();
	fuzz.null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!fuzz.base || fuzz.null < 0 ||
	    server_new(&fuzz.server, &(struct server_config){
					     .base = fuzz.base,
					     .listen_fd = fd,
					     .handlers = handlers,
				     }) < 0)
		abort();
	size = sizeof(fuzz.address);
	if (getsockname(fd, (struct sockaddr *)&fuzz.address, &size) < 0)
		abort();
	return 0;
}

static void run(void)
{
	event_base_loop(fuzz.base, EVLOOP_NONBLOCK);
}

static int connect_client(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Autobound names are a NUL and five digits. */
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 6;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&fuzz.address, size) < 0)
		abort();
	run();
	return fd;
}

static ssize_t send_slice(int fd, const uint8_t *data, size_t size, int passed)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	uint8_t copy[SLICE];
	struct iovec iov = { .iov_base = copy, .iov_len = size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(copy, data, size);
	if (passed >= 0) {
		struct cmsghdr *h;

		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &passed, sizeof(passed));
	}
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void drain(int fd)
{
	static char bytes[65536];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void play(int fd, const uint8_t *data, size_t size)
{
	int passed = -1;

	while (size > 0) {
		size_t n = 0;

		if (*data == MARK_FD || *data == MARK_READ) {
			if (*data == MARK_FD)
				passed = fuzz.null;
			else
				drain(fd);
			data++;
			size--;
			continue;
		}
		while (n < SLICE && n < size && data[n] != MARK_FD && data[n] != MARK_READ)
			n++;
		if (send_slice(fd, data, n, passed) < 0)
			return;
		passed = -1;
		data += n;
		size -= n;
		run();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = connect_client();

	play(fd, data, size);
	while (fuzz.held_count > HELD_MAX / 2)
		request_reply(fuzz.held[--fuzz.held_count], NULL);
	run();
	drain(fd);
	close_fd(fd);
	for (int i = 0; i < 3; i++)
		run();
	if (server_connection_count(fuzz.server) != 0 ||
	    server_requests_in_flight(fuzz.server) != 0)
		abort(); /* something was kept that belonged to a client that is gone */
	return 0;
}
