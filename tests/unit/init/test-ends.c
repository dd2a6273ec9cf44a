/* SPDX-License-Identifier: Apache-2.0 */
/* How execs end: by signals, with all that they left behind, and while everybody stands still. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filtered.h"

static void leave(const char *program, const char *mode, const char *count, uint32_t expected)
{
	const char *const argv[] = { program, mode, count, NULL };
	struct harness_exec e = as_agent(argv);
	uint64_t exec = harness_exec(&h, &e);
	struct init_exited x = harness_exited(&h, exec);
	char out[4096];

	ck_assert_int_eq(x.exit_code, 0);
	ck_assert_uint_eq(x.alive, expected);
	ck_assert_uint_eq(harness_kill(&h, exec).killed, expected);
	ck_assert_uint_eq(harness_kill(&h, exec).killed, expected); /* once more: the same answer */
	harness_ref(&h, INIT_ACK, exec);
	ck_assert_int_eq(harness_shell(&h, 1000, "! pgrep 'victim|unreadable'", out, sizeof(out)),
			 0);
}

START_TEST(leftovers)
{
	leave("/tmp/victim", "hide", "1", 1);
	leave("/tmp/victim", "hide", "20", 20);
	leave("/tmp/victim", "half-dead", "3", 3);
	leave("/tmp/unreadable", "hide", "2", 2);
	leave("/tmp/unreadable", "half-dead", "2", 2);
}
END_TEST

START_TEST(leftovers_of_others)
{
	const char *const hide[] = { "/tmp/victim", "hide", "2", NULL };
	const char *const run_true[] = { "true", NULL };
	const char *const wait_long[] = { "sleep", "1000", NULL };
	struct harness_exec e = as_agent(hide);
	struct harness_exec sleeper = as_agent(wait_long);
	uint64_t running = harness_exec(&h, &sleeper);
	uint64_t kept = harness_exec(&h, &e);
	uint64_t exec;
	char out[256];

	ck_assert_uint_eq(harness_exited(&h, kept).alive, 2);
	harness_ref(&h, INIT_ACK, kept); /* leftovers: keep */
	exec = harness_exec(&h, &e);
	ck_assert_uint_eq(harness_exited(&h, exec).alive, 2);
	ck_assert_uint_eq(harness_kill(&h, exec).killed, 2);
	ck_assert_int_eq(harness_shell(&h, 1000, "test $(pgrep victim | wc -l) = 2 && pgrep sleep",
				       out, sizeof(out)),
			 0);
	e.argv = run_true;
	ck_assert_uint_eq(harness_exited(&h, harness_exec(&h, &e)).alive, 0);
	/* A kill of a running one: first its end, then that all are gone. */
	harness_ref(&h, INIT_KILL, running);
	ck_assert_int_eq(harness_exited(&h, running).signal, SIGKILL);
	ck_assert_uint_eq(((struct init_gone *)harness_expect(&h, INIT_GONE))->killed, 0);
}
END_TEST

static void end_bomb(const char *mode, const char *count)
{
	const char *const argv[] = { "/tmp/victim", mode, count, NULL };
	const char *const wait_long[] = { "sleep", "1000", NULL };
	struct harness_exec e = as_agent(argv);
	struct harness_exec other = { .argv = wait_long, .uid = 1001, .gid = 1001 };
	uint64_t sleeper = harness_exec(&h, &other);
	uint64_t exec;
	double begin;
	char out[256];

	e.nproc_limit = 400;
	exec = harness_exec(&h, &e);
	ck_assert_uint_gt(harness_exited(&h, exec).alive, 0);
	(void)usleep(300000);
	begin = seconds();
	ck_assert_uint_gt(harness_kill(&h, exec).killed, 0);
	(void)printf("%s ended in %.3f s\n", mode, seconds() - begin);
	ck_assert_int_eq(harness_shell(&h, 1001,
				       "! pgrep victim && pgrep sleep && "
				       "! ps -o stat= -C sleep | grep T",
				       out, sizeof(out)),
			 0);
	harness_ref(&h, INIT_KILL, sleeper);
	(void)harness_exited(&h, sleeper);
	(void)harness_expect(&h, INIT_GONE);
}

START_TEST(fork_bomb)
{
	end_bomb("bomb", "4");
}
END_TEST

START_TEST(hopping)
{
	end_bomb("hop", "3");
}
END_TEST

static int32_t send_signal(uint64_t exec, int number, enum init_signal_target target)
{
	struct init_signal m = { .exec = exec, .signal = number, .target = target };

	wire_begin(&h.message, INIT_WIRE_VERSION, INIT_SIGNAL, 9, sizeof(m));
	m.header = *wire_head(&h.message);
	memcpy(h.message.data, &m, sizeof(m));
	harness_send(&h);
	return ((struct wire_header *)harness_expect(&h, INIT_DONE))->error;
}

/* One in its group and one in a session of its own; returns when that one is there. */
static uint64_t start_tree(void)
{
	const char *const argv[] = { "/bin/sh", "-c",
				     "sleep 1000 & setsid sh -c 'echo; exec sleep 1000' & wait",
				     NULL };
	struct harness_exec e = as_agent(argv);
	uint64_t exec;
	int fds[2];
	char c;

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	e.fds[1] = fds[1];
	exec = harness_exec(&h, &e);
	(void)close(fds[1]);
	ck_assert_int_eq(read(fds[0], &c, 1), 1);
	(void)close(fds[0]);
	return exec;
}

START_TEST(signals)
{
	const char *const wait_long[] = { "sleep", "1000", NULL };
	struct harness_exec e = as_agent(wait_long);
	uint64_t exec = harness_exec(&h, &e);
	char out[256];

	ck_assert_int_eq(send_signal(exec, SIGUSR1, INIT_TARGET_LEADER), 0);
	ck_assert_int_eq(harness_exited(&h, exec).signal, SIGUSR1);
	ck_assert_int_eq(send_signal(exec, SIGTERM, INIT_TARGET_LEADER), -ESRCH);
	ck_assert_int_eq(send_signal(4711, SIGTERM, INIT_TARGET_ALL), -ESRCH);
	exec = start_tree();
	ck_assert_int_eq(send_signal(exec, SIGTERM, INIT_TARGET_GROUP), 0);
	/* The one in a session of its own is left; the other may still be dying. */
	ck_assert_uint_ge(harness_exited(&h, exec).alive, 1);
	ck_assert_uint_ge(harness_kill(&h, exec).killed, 1);
	exec = start_tree();
	ck_assert_int_eq(send_signal(exec, SIGTERM, INIT_TARGET_ALL), 0);
	(void)harness_exited(&h, exec);
	(void)harness_shell(&h, 1000, "while pgrep sleep; do :; done", out, sizeof(out));
	ck_assert_uint_eq(harness_kill(&h, exec).killed, 0);
	ck_assert_int_eq(harness_kill(&h, 4711).header.error, -ESRCH);
}
END_TEST

static int32_t ask_all(enum init_message_type type)
{
	wire_begin(&h.message, INIT_WIRE_VERSION, (uint16_t)type, 8, sizeof(struct wire_header));
	harness_send(&h);
	return ((struct wire_header *)harness_expect(&h, INIT_DONE))->error;
}

/* Init gives up after a second, in which each process of a bomb needs a turn on a busy machine. */
static int32_t stop_all(void)
{
	int32_t r;

	do
		r = ask_all(INIT_STOP_ALL);
	while (r == -ETIMEDOUT);
	return r;
}

/* Bytes that come out of FD until it is quiet for MS. */
static size_t drain(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buffer[8192];
	size_t total = 0;
	ssize_t n;

	while (total < 1000000 && poll(&p, 1, ms) > 0) {
		n = read(fd, buffer, sizeof(buffer));
		if (n <= 0)
			break;
		total += (size_t)n;
	}
	return total;
}

START_TEST(everybody_stands_still)
{
	const char *const busy[] = { "/bin/sh", "-c",
				     "(setsid sh -c 'while :; do echo x; done') & "
				     "while :; do echo y; done",
				     NULL };
	struct harness_exec e = as_agent(busy);
	char text[256], script[128];
	uint64_t exec;
	int p[2];

	ck_assert_int_eq(harness_shell(&h, 1000,
				       "sleep 1000 >/dev/null 2>&1 & p=$!; sleep 0.3; kill -STOP "
				       "$p; echo $p",
				       text, sizeof(text)),
			 0);
	(void)snprintf(script, sizeof(script), "grep State: /proc/%d/status", atoi(text));
	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	e.fds[1] = p[1];
	exec = harness_exec(&h, &e);
	(void)close(p[1]);
	ck_assert_uint_gt(drain(p[0], 5000), 0);
	ck_assert_int_eq(stop_all(), 0);
	ck_assert_int_eq(stop_all(), 0); /* once more is no harm */
	(void)drain(p[0], 200);          /* what the pipe held */
	ck_assert_uint_eq(drain(p[0], 300), 0);
	ck_assert_int_eq(ask_all(INIT_CONT_ALL), 0);
	ck_assert_uint_gt(drain(p[0], 5000), 0);
	ck_assert_int_eq(harness_shell(&h, 1000, script, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "T (stopped)")); /* as its user left it */
	harness_ref(&h, INIT_KILL, exec);
	(void)harness_exited(&h, exec);
	ck_assert_uint_ge(((struct init_gone *)harness_expect(&h, INIT_GONE))->killed, 1);
	(void)close(p[0]);
}
END_TEST

START_TEST(killed_while_it_stands_still)
{
	const char *const bomb[] = { "/tmp/victim", "bomb", "2", NULL };
	const char *const other[] = { "sleep", "1000", NULL };
	struct harness_exec e = as_agent(bomb);
	char text[64];
	uint64_t exec;

	e.nproc_limit = 200;
	exec = harness_exec(&h, &e);
	(void)harness_exited(&h, exec);
	e.argv = other;
	e.uid = e.gid = 1001;
	(void)harness_exec(&h, &e); /* so that the bomb is not alone */
	ck_assert_int_eq(stop_all(), 0);
	ck_assert_uint_ge(harness_kill(&h, exec).killed, 2);
	ck_assert_int_eq(ask_all(INIT_CONT_ALL), 0);
	ck_assert_int_eq(harness_shell(&h, 1001, "echo on", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "on\n");
}
END_TEST

static void add(TCase *c)
{
	tcase_add_test(c, leftovers);
	tcase_add_test(c, leftovers_of_others);
	tcase_add_test(c, fork_bomb);
	tcase_add_test(c, hopping);
	tcase_add_test(c, signals);
	tcase_add_test(c, everybody_stands_still);
	tcase_add_test(c, killed_while_it_stands_still);
}

int main(void)
{
	if (geteuid() != 0)
		return 77; /* the maps are root's to write */
	return filtered_run("init-ends", add, NULL);
}
