/* SPDX-License-Identifier: Apache-2.0 */
/* The measuring half of the bench: repeats one thing, prints how long each repetition took in
 * nanoseconds, one per line. Static and libc only, so that the same program runs inside a sandbox
 * and its own cost is the same on both sides of a ratio.
 *
 *   process N COMMAND...        posix_spawn and wait, own stdio
 *   piped N COMMAND...          the same with two pipes that are read to their end
 *   drain N COMMAND...          the same with one pipe and large reads (throughput)
 *   wide N COMMAND...           the same with a pipe of 1 MiB, as sandboxd's own are
 *   rpc SOCKET N LINE [FD]      send LINE, wait for the reply; FD: with three descriptors
 *   sandbox SOCKET N cold|warm PARAMS [exec PARAMS]
 *                               sandbox.create with a name and PARAMS (",key:value..."), and
 *                               exec of true, with PARAMS, timed; sandbox.remove, not timed
 *   ping PROTOCOL SOCKET CONNECTIONS IN-FLIGHT BATCHES SIZE
 *                               nanoseconds per request, of each batch
 *   crowd SOCKET CONNECTIONS IN-FLIGHT COMMANDS SANDBOX...
 *                               exec.run of true, so many at once
 *   children IN-FLIGHT COMMANDS COMMAND...
 *                               posix_spawn, with so many alive
 *   spin                        keeps a processor busy until its parent ends
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define WIDE_PIPE (1 << 20)

void fail(const char *what)
{
	fprintf(stderr, "bench-loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void print_since(uint64_t begin)
{
	printf("%llu\n", (unsigned long long)(now() - begin));
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

enum pipes {
	PIPES_TWO,
	PIPES_ONE,
	PIPES_ONE_WIDE,
};

static void piped(char **argv, enum pipes pipes)
{
	const bool two = pipes == PIPES_TWO;
	posix_spawn_file_actions_t actions;
	int out[2], err[2] = { -1, -1 };
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || (two && pipe2(err, O_CLOEXEC) < 0))
		fail("pipe");
	if (pipes == PIPES_ONE_WIDE && fcntl(out[1], F_SETPIPE_SZ, WIDE_PIPE) < 0)
		fail("F_SETPIPE_SZ");
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

static void measure_process(int argc, char **argv)
{
	long n = atol(argv[0]);

	(void)argc;
	for (long i = 0; i < n; i++) {
		uint64_t begin = now();

		process(argv + 1);
		print_since(begin);
	}
}

static void measure_piped(char **argv, enum pipes pipes)
{
	long n = atol(argv[0]);

	for (long i = 0; i < n; i++) {
		uint64_t begin = now();

		piped(argv + 1, pipes);
		print_since(begin);
	}
}

static void measure_two(int argc, char **argv)
{
	(void)argc;
	measure_piped(argv, PIPES_TWO);
}

static void measure_one(int argc, char **argv)
{
	(void)argc;
	measure_piped(argv, PIPES_ONE);
}

static void measure_wide(int argc, char **argv)
{
	(void)argc;
	measure_piped(argv, PIPES_ONE_WIDE);
}

static void spin(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail("prctl");
	for (;;)
		__asm__ volatile(""); /* what else would end a loop without effect */
}

static const struct mode {
	const char *name;
	int arguments; /* at least */
	void (*run)(int argc, char **argv);
} modes[] = {
	{ "process", 2, measure_process },   { "piped", 2, measure_two },
	{ "drain", 2, measure_one },         { "wide", 2, measure_wide },
	{ "rpc", 3, measure_rpc },           { "sandbox", 4, measure_sandbox },
	{ "ping", 6, measure_ping },         { "crowd", 5, measure_crowd },
	{ "children", 3, measure_children }, { "spin", 0, spin },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (argc < 2 || strcmp(argv[1], modes[i].name) != 0 ||
		    argc - 2 < modes[i].arguments)
			continue;
		modes[i].run(argc - 2, argv + 2);
		return 0;
	}
	fprintf(stderr, "usage: bench-loop "
			"process|piped|drain|wide|rpc|sandbox|ping|crowd|children|spin ...\n");
	return 2;
}
