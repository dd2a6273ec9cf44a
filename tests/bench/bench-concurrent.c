/* SPDX-License-Identifier: Apache-2.0 */
/* Many commands at once: through sandboxd, from several connections with several requests in
 * flight on each, and as bare children with the same number of them alive. Prints the nanoseconds
 * of each, then "elapsed" and those of all together. */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CONNECTIONS_MAX 64
#define IN_FLIGHT_MAX 64
#define LINE_SIZE 65536
#define CHILDREN_MAX 4096

#define REPLY "{\"jsonrpc\":\"2.0\",\"id\":"

struct client {
	int fd;
	uint64_t begun[IN_FLIGHT_MAX]; /* by the request's id */
	size_t length;
	char line[LINE_SIZE];
};

struct load {
	char **sandboxes;
	long n_sandboxes;
	long to_send;
	long to_receive;
	long next; /* whose turn it is */
};

static void send_one(struct load *l, struct client *c, int id)
{
	char line[512];
	int n;

	if (l->to_send-- <= 0)
		return;
	n = snprintf(line, sizeof(line),
		     "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"exec.run\",\"params\":"
		     "{\"sandbox\":\"%s\",\"command\":[\"/bin/true\"]}}\n",
		     id, l->sandboxes[l->next++ % l->n_sandboxes]);
	c->begun[id] = now();
	if (n < 0 || (size_t)n >= sizeof(line) || write(c->fd, line, (size_t)n) != n)
		fail("write");
}

static void take_line(struct load *l, struct client *c, const char *line)
{
	const char *rest = line + strlen(REPLY);
	char *end;
	long id;

	if (strncmp(line, REPLY, strlen(REPLY)) != 0)
		return; /* exec.started */
	id = strtol(rest, &end, 10);
	if (id < 0 || id >= IN_FLIGHT_MAX || !strstr(end, "\"cause\":\"exited\"")) {
		fprintf(stderr, "bench-loop: %.200s\n", line);
		exit(1);
	}
	print_since(c->begun[id]);
	l->to_receive--;
	send_one(l, c, (int)id);
}

static void read_lines(struct load *l, struct client *c)
{
	ssize_t n = read(c->fd, c->line + c->length, sizeof(c->line) - c->length - 1);
	char *begin = c->line, *end;

	if (n <= 0)
		fail("read");
	c->length += (size_t)n;
	c->line[c->length] = '\0';
	while ((end = memchr(begin, '\n', c->length - (size_t)(begin - c->line)))) {
		*end = '\0';
		take_line(l, c, begin);
		begin = end + 1;
	}
	c->length -= (size_t)(begin - c->line);
	memmove(c->line, begin, c->length);
}

static void print_elapsed(uint64_t begin)
{
	printf("elapsed %llu\n", (unsigned long long)(now() - begin));
}

/* SOCKET CONNECTIONS IN-FLIGHT COMMANDS SANDBOX... */
void measure_crowd(int argc, char **argv)
{
	static struct client clients[CONNECTIONS_MAX];
	int count = atoi(argv[1]), in_flight = atoi(argv[2]), poll_fd = epoll_create1(0);
	struct load l = { .sandboxes = argv + 4, .n_sandboxes = argc - 4 };
	uint64_t begin;

	l.to_send = l.to_receive = atol(argv[3]);
	if (poll_fd < 0 || count < 1 || count > CONNECTIONS_MAX || in_flight > IN_FLIGHT_MAX)
		fail("connections");
	for (int i = 0; i < count; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data = { .ptr = &clients[i] } };

		clients[i].fd = dial(argv[0]);
		if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[i].fd, &e) < 0)
			fail("epoll_ctl");
	}
	begin = now();
	for (int id = 0; id < in_flight; id++)
		for (int i = 0; i < count; i++)
			send_one(&l, &clients[i], id);
	while (l.to_receive > 0) {
		struct epoll_event events[CONNECTIONS_MAX];
		int n = epoll_wait(poll_fd, events, CONNECTIONS_MAX, -1);

		if (n < 0)
			fail("epoll_wait");
		for (int i = 0; i < n; i++)
			read_lines(&l, events[i].data.ptr);
	}
	print_elapsed(begin);
}

/* IN-FLIGHT COMMANDS COMMAND...: each child's time is from its spawn to its wait. */
void measure_children(int argc, char **argv)
{
	static struct {
		pid_t pid;
		uint64_t begun;
	} children[CHILDREN_MAX];
	long in_flight = atol(argv[0]), left = atol(argv[1]), alive = 0;
	uint64_t begin = now();

	(void)argc;
	if (in_flight < 1 || in_flight > CHILDREN_MAX)
		fail("in flight");
	while (left > 0 || alive > 0) {
		long i = 0;
		pid_t pid;

		if (left > 0 && alive < in_flight) {
			while (children[i].pid)
				i++;
			children[i].begun = now();
			errno = posix_spawnp(&children[i].pid, argv[2], NULL, NULL, argv + 2,
					     environ);
			if (errno)
				fail(argv[2]);
			left--;
			alive++;
			continue;
		}
		pid = waitpid(-1, NULL, 0);
		if (pid < 0)
			fail("waitpid");
		while (children[i].pid != pid)
			i++;
		print_since(children[i].begun);
		children[i].pid = 0;
		alive--;
	}
	print_elapsed(begin);
}
