/* SPDX-License-Identifier: Apache-2.0 */
/* The measuring half of the bench: repeats one thing, prints how long each repetition took in
 * nanoseconds, one per line. Static and libc only, so that the same program runs inside a sandbox
 * and its own cost is the same on both sides of a ratio.
 *
 *   process N COMMAND...        posix_spawn and wait, own stdio
 *   piped N COMMAND...          the same with two pipes that are read to their end
 *   drain N COMMAND...          the same with one pipe and large reads (throughput)
 *   rpc SOCKET N LINE [FD]      send LINE (its id is set here), wait for the reply; FD: with three
 *                               descriptors of /dev/null
 *   create SOCKET N             sandbox.create, timed; sandbox.remove, not timed
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "bench-loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void wait_for(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) < 0)
		fail("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "bench-loop: the command ended with %x\n", (unsigned)status);
		exit(1);
	}
}

static void process(char **argv)
{
	pid_t pid;

	errno = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (errno)
		fail(argv[0]);
	wait_for(pid);
}

/* Reads both to their end. */
static void read_all(int a, int b)
{
	static char buffer[1 << 20];
	struct pollfd fds[2] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN } };

	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 2, -1) < 0)
			fail("poll");
		for (int i = 0; i < 2; i++) {
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			if (read(fds[i].fd, buffer, sizeof(buffer)) <= 0) {
				(void)close(fds[i].fd);
				fds[i].fd = -1;
			}
		}
	}
}

/* With one or two pipes. */
static void piped(char **argv, bool two)
{
	posix_spawn_file_actions_t actions;
	int out[2], err[2] = { -1, -1 };
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || (two && pipe2(err, O_CLOEXEC) < 0))
		fail("pipe");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	if (two)
		(void)posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	errno = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (errno)
		fail(argv[0]);
	(void)close(out[1]);
	if (two)
		(void)close(err[1]);
	read_all(out[0], err[0]);
	wait_for(pid);
	(void)posix_spawn_file_actions_destroy(&actions);
}

static int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		fail(path);
	memcpy(a.sun_path, path, strlen(path));
	if (connect(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)) < 0)
		fail(path);
	return fd;
}

static void send_line(int fd, const char *line, int passed)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)line, strlen(line) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[3] = { passed, passed, passed };

	if (passed >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	}
	if (sendmsg(fd, &m, 0) != (ssize_t)iov.iov_len)
		fail("sendmsg");
}

/* Reads lines until one is a reply; notifications before it are passed over. */
static void await_reply(int fd)
{
	static char buffer[1 << 20];
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, buffer + have, sizeof(buffer) - 1 - have);
		char *end;

		if (n <= 0)
			fail("read");
		have += (size_t)n;
		buffer[have] = 0;
		while ((end = strchr(buffer, '\n'))) {
			bool reply = false;

			*end = 0;
			if (strstr(buffer, "\"error\":{")) {
				fprintf(stderr, "bench-loop: %s\n", buffer);
				exit(1);
			}
			reply = !strstr(buffer, "\"method\":") || strstr(buffer, "\"result\":");
			have -= (size_t)(end + 1 - buffer);
			memmove(buffer, end + 1, have + 1);
			if (reply)
				return;
		}
	}
}

static void measure_rpc(char **argv)
{
	int fd = dial(argv[0]);
	long n = atol(argv[1]);
	int passed = argv[3] ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	size_t size = strlen(argv[2]) + 2;
	char *line = malloc(size);

	if (!line)
		fail("malloc");
	(void)snprintf(line, size, "%s\n", argv[2]);
	for (long i = 0; i < n; i++) {
		uint64_t begin = now();

		send_line(fd, line, passed);
		await_reply(fd);
		printf("%llu\n", (unsigned long long)(now() - begin));
	}
	free(line);
	(void)close(fd);
}

static void measure_create(char **argv)
{
	int fd = dial(argv[0]);
	long n = atol(argv[1]);

	for (long i = 0; i < n; i++) {
		char line[256];
		uint64_t begin;

		(void)snprintf(line, sizeof(line),
			       "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sandbox.create\","
			       "\"params\":{\"name\":\"bench-%d-%ld\"}}\n",
			       (int)getpid(), i);
		begin = now();
		send_line(fd, line, -1);
		await_reply(fd);
		printf("%llu\n", (unsigned long long)(now() - begin));
		(void)snprintf(line, sizeof(line),
			       "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"sandbox.remove\","
			       "\"params\":{\"sandbox\":\"bench-%d-%ld\"}}\n",
			       (int)getpid(), i);
		send_line(fd, line, -1);
		await_reply(fd);
	}
	(void)close(fd);
}

static void measure_command(const char *kind, char **argv)
{
	long n = atol(argv[0]);

	for (long i = 0; i < n; i++) {
		uint64_t begin = now();

		if (strcmp(kind, "process") == 0)
			process(argv + 1);
		else
			piped(argv + 1, strcmp(kind, "piped") == 0);
		printf("%llu\n", (unsigned long long)(now() - begin));
	}
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: bench-loop process|piped|drain|rpc|create ...\n");
		return 2;
	}
	if (strcmp(argv[1], "rpc") == 0)
		measure_rpc(argv + 2);
	else if (strcmp(argv[1], "create") == 0)
		measure_create(argv + 2);
	else
		measure_command(argv[1], argv + 2);
	return 0;
}
