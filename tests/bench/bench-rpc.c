/* SPDX-License-Identifier: Apache-2.0 */
/* How long requests take: one and the same line, and sandboxes that come and go. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define REFILL_POLL_NS 2000000L
#define REFILL_POLLS 5000 /* 10 s */

void measure_rpc(int argc, char **argv)
{
	int fd = dial(argv[0]);
	long n = atol(argv[1]);
	int passed = argc > 3 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	size_t size = strlen(argv[2]) + 2;
	char *line = malloc(size);

	if (!line)
		fail("malloc");
	(void)snprintf(line, size, "%s\n", argv[2]);
	for (long i = 0; i < n; i++) {
		uint64_t begin = now();

		send_line(fd, line, passed);
		(void)await_reply(fd);
		print_since(begin);
	}
	free(line);
	(void)close(fd);
}

/* Until no pool is making a spare: what is measured next has the machine for itself. */
static void await_pool(int fd)
{
	const struct timespec pause = { 0, REFILL_POLL_NS };

	for (int i = 0; i < REFILL_POLLS; i++) {
		const char *reply =
			call(fd, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"pool.list\"}\n");
		const char *starting = strstr(reply, "\"starting\":");

		if (starting && strtol(starting + strlen("\"starting\":"), NULL, 10) == 0 &&
		    !strstr(reply, "\"ready\":0"))
			return;
		(void)nanosleep(&pause, NULL);
	}
	fprintf(stderr, "bench-loop: the pool is not refilled\n");
	exit(1);
}

static void expect_launch(const char *reply, const char *type)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "\"launchType\":\"%s\"", type);
	if (strstr(reply, text))
		return;
	fprintf(stderr, "bench-loop: not %s: %s\n", type, reply);
	exit(1);
}

/* SOCKET N cold|warm PARAMS [exec PARAMS]: the sandbox's removal is not timed. */
void measure_sandbox(int argc, char **argv)
{
	int fd = dial(argv[0]);
	long n = atol(argv[1]);
	const char *type = argv[2], *params = argv[3];

	for (long i = 0; i < n; i++) {
		char name[64];
		uint64_t begin;

		(void)snprintf(name, sizeof(name), "bench-%d-%ld", (int)getpid(), i);
		if (strcmp(type, "warm") == 0)
			await_pool(fd);
		begin = now();
		expect_launch(call(fd,
				   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sandbox.create\","
				   "\"params\":{\"name\":\"%s\"%s}}\n",
				   name, params),
			      type);
		if (argc > 5)
			(void)call(fd,
				   "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"exec.run\","
				   "\"params\":"
				   "{\"sandbox\":\"%s\",\"command\":[\"/bin/true\"]%s}}\n",
				   name, argv[5]);
		print_since(begin);
		(void)call(fd,
			   "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"sandbox.remove\","
			   "\"params\":{\"sandbox\":\"%s\",\"force\":true}}\n",
			   name);
	}
	(void)close(fd);
}
