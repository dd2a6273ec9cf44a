/* SPDX-License-Identifier: Apache-2.0 */
/* The same client for sandboxd's ping and for redis': some connections, on each of which a number
 * of requests is always under way. Both protocols answer each request with one line. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench.h"

#define CONNECTIONS_MAX 1000
#define BATCH_MAX 8192
#define BUFFER_SIZE 65536

struct protocol {
	const char *name;
	const char *request;
	const char *reply; /* what every reply begins with */
};

static const struct protocol protocols[] = {
	{ "sandboxd", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"system.ping\"}\n",
	  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" },
	{ "redis", "*1\r\n$4\r\nPING\r\n", "+PONG" },
};

struct connection {
	int fd;
	size_t begun; /* bytes of the reply's line that have come, compared as far as .reply goes */
};

static const struct protocol *protocol_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return &protocols[i];
	fprintf(stderr, "bench-loop: no protocol %s\n", name);
	exit(2);
}

static void send_requests(const struct connection *c, const struct protocol *p, long count)
{
	static char batch[BATCH_MAX];
	size_t one = strlen(p->request);

	if ((size_t)count * one > sizeof(batch)) {
		fprintf(stderr, "bench-loop: too many requests in flight\n");
		exit(2);
	}
	for (long i = 0; i < count; i++)
		memcpy(batch + (size_t)i * one, p->request, one);
	if (write(c->fd, batch, (size_t)count * one) != (ssize_t)((size_t)count * one))
		fail("write");
}

/* How many replies have ended in what can be read now. */
static long read_replies(struct connection *c, const struct protocol *p)
{
	static char buffer[BUFFER_SIZE];
	size_t expected = strlen(p->reply);
	ssize_t n = read(c->fd, buffer, sizeof(buffer));
	long replies = 0;

	if (n <= 0)
		fail("read");
	for (ssize_t i = 0; i < n; i++) {
		if (c->begun < expected && buffer[i] != p->reply[c->begun]) {
			fprintf(stderr, "bench-loop: not a reply of %s\n", p->name);
			exit(1);
		}
		c->begun++;
		if (buffer[i] == '\n') {
			replies++;
			c->begun = 0;
		}
	}
	return replies;
}

static void open_connections(struct connection *c, int count, int poll_fd, const char *path)
{
	for (int i = 0; i < count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data = { .ptr = &c[i] } };

		c[i] = (struct connection){ .fd = dial(path) };
		if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c[i].fd, &e) < 0)
			fail("epoll_ctl");
	}
}

/* PROTOCOL SOCKET CONNECTIONS IN-FLIGHT BATCHES SIZE: the nanoseconds per request of each batch. */
void measure_ping(int argc, char **argv)
{
	static struct connection connections[CONNECTIONS_MAX];
	const struct protocol *p = protocol_by_name(argv[0]);
	int count = atoi(argv[2]), poll_fd = epoll_create1(EPOLL_CLOEXEC);
	long in_flight = atol(argv[3]), batches = atol(argv[4]), size = atol(argv[5]);
	long done = 0;
	uint64_t begin;

	(void)argc;
	if (poll_fd < 0 || count < 1 || count > CONNECTIONS_MAX)
		fail("connections");
	open_connections(connections, count, poll_fd, argv[1]);
	for (int i = 0; i < count; i++)
		send_requests(&connections[i], p, in_flight);
	begin = now();
	while (batches > 0) {
		struct epoll_event events[64];
		int n = epoll_wait(poll_fd, events, 64, -1);

		if (n < 0)
			fail("epoll_wait");
		for (int i = 0; i < n; i++) {
			long replies = read_replies(events[i].data.ptr, p);

			done += replies;
			if (replies)
				send_requests(events[i].data.ptr, p, replies);
		}
		if (done >= size) {
			printf("%llu\n", (unsigned long long)((now() - begin) / (uint64_t)done));
			done = 0;
			batches--;
			begin = now();
		}
	}
}
