/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/exec-stdin.h"

static struct event_base *base;
static struct exec_stdin *in;
static int fds[2];
static int written; /* what the callback said; 1: nothing yet */

static void setup(void)
{
	assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	base = event_base_new();
	assert(base);
	assert(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	assert(exec_stdin_new(&in, base) == 0);
	written = 1;
}

static void teardown(void)
{
	in = exec_stdin_free(in);
	(void)close_fd(fds[0]);
	event_base_free(base);
}

static void turn(void)
{
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static void on_written(int error, void *userdata)
{
	assert(userdata == &written);
	written = error;
}

static size_t drain_pipe(size_t wanted)
{
	static char buf[65536];
	size_t got = 0;
	ssize_t n;

	while (got < wanted) {
		n = read(fds[0], buf, sizeof(buf));
		if (n < 0) {
			assert(errno == EAGAIN);
			turn();
			continue;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return got;
}

START_TEST(waits_for_its_descriptor_then_ends)
{
	struct stdin_waiter *w = NULL;
	char buf[16];

	ck_assert_int_eq(exec_stdin_write(in, "abc", 3, on_written, &written, &w), 1);
	exec_stdin_close(in);
	exec_stdin_close(in);
	ck_assert_int_eq(exec_stdin_write(in, "d", 1, on_written, &written, &w), -EPIPE);
	ck_assert_int_eq(exec_stdin_attach(in, fds[1], false), 0);
	turn();
	ck_assert_int_eq(read(fds[0], buf, sizeof(buf)), 3);
	ck_assert_int_eq(read(fds[0], buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(big_write_is_answered_when_read)
{
	const size_t size = 1024 * 1024;
	struct stdin_waiter *w = NULL;
	char *data = calloc(1, size);

	ck_assert_int_eq(exec_stdin_attach(in, fds[1], false), 0);
	ck_assert_int_eq(exec_stdin_write(in, data, size, on_written, &written, &w), 0);
	turn();
	ck_assert_int_eq(written, 1);
	exec_stdin_close(in);
	ck_assert_uint_eq(drain_pipe(size), size);
	turn();
	ck_assert_int_eq(written, 0);
	ck_assert_int_eq(read(fds[0], data, 1), 0);
	free(data);
}
END_TEST

START_TEST(forgotten_writer_hears_nothing)
{
	const size_t size = 1024 * 1024;
	struct stdin_waiter *w = NULL;
	char *data = calloc(1, size);

	ck_assert_int_eq(exec_stdin_attach(in, fds[1], false), 0);
	ck_assert_int_eq(exec_stdin_write(in, data, size, on_written, &written, &w), 0);
	exec_stdin_forget(w);
	ck_assert_uint_eq(drain_pipe(size), size);
	turn();
	ck_assert_int_eq(written, 1);
	free(data);
}
END_TEST

START_TEST(too_much_is_refused)
{
	struct stdin_waiter *w = NULL;
	char *data = calloc(1, EXEC_STDIN_PENDING_MAX);

	ck_assert_int_eq(exec_stdin_write(in, data, EXEC_STDIN_PENDING_MAX, NULL, NULL, &w), 0);
	ck_assert_int_eq(exec_stdin_write(in, data, 1, NULL, NULL, &w), -ENOBUFS);
	free(data);
}
END_TEST

START_TEST(reader_gone)
{
	const size_t size = 1024 * 1024;
	struct stdin_waiter *w = NULL;
	char *data = calloc(1, size);

	ck_assert_int_eq(exec_stdin_attach(in, fds[1], false), 0);
	ck_assert_int_eq(exec_stdin_write(in, data, size, on_written, &written, &w), 0);
	fds[0] = close_fd(fds[0]);
	turn();
	ck_assert_int_eq(written, -EPIPE);
	ck_assert_int_eq(exec_stdin_write(in, data, 1, on_written, &written, &w), -EPIPE);
	free(data);
}
END_TEST

START_TEST(free_tells_who_waits)
{
	const size_t size = 1024 * 1024;
	struct stdin_waiter *w = NULL;
	char *data = calloc(1, size);

	ck_assert_int_eq(exec_stdin_write(in, data, size, on_written, &written, &w), 0);
	in = exec_stdin_free(in);
	ck_assert_int_eq(written, -EPIPE);
	free(data);
}
END_TEST

START_TEST(terminal_ends_with_its_character)
{
	struct stdin_waiter *w = NULL;
	int master, terminal, keeper;
	char buf[16];

	ck_assert_int_eq(openpty(&master, &terminal, NULL, NULL, NULL), 0);
	ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	keeper = dup(master); /* a terminal without any master is hung up */
	ck_assert_int_ge(keeper, 0);
	ck_assert_int_eq(exec_stdin_write(in, "hi\n", 3, NULL, NULL, &w), 1);
	exec_stdin_close(in);
	ck_assert_int_eq(exec_stdin_attach(in, master, true), 0);
	turn();
	ck_assert_int_eq(read(terminal, buf, sizeof(buf)), 3);
	ck_assert_int_eq(read(terminal, buf, sizeof(buf)), 0);
	(void)close(terminal);
	(void)close(keeper);
}
END_TEST

static void set_canonical(int terminal, bool on)
{
	struct termios t;

	ck_assert_int_eq(tcgetattr(terminal, &t), 0);
	if (on)
		t.c_lflag |= ICANON;
	else
		t.c_lflag &= ~(tcflag_t)ICANON;
	t.c_lflag &= ~(tcflag_t)ECHO;
	ck_assert_int_eq(tcsetattr(terminal, TCSANOW, &t), 0);
}

/* As a shell with line editing does: what was the end of file is a byte then. */
START_TEST(terminal_that_changes_its_mode_hears_the_end)
{
	struct stdin_waiter *w = NULL;
	int master, terminal;
	char buf[16];
	ssize_t n;

	ck_assert_int_eq(openpty(&master, &terminal, NULL, NULL, NULL), 0);
	ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(exec_stdin_attach(in, master, true), 0);
	exec_stdin_close(in);
	set_canonical(terminal, false);
	ck_assert_int_eq(read(terminal, buf, sizeof(buf)), 1); /* lost */
	set_canonical(terminal, true);
	ck_assert_int_eq(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(terminal, buf, sizeof(buf))) < 0) {
		ck_assert_int_eq(errno, EAGAIN);
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0); /* 1: nothing to come */
	}
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(exec_stdin_write(in, "x", 1, NULL, NULL, &w), -EPIPE);
	(void)close(terminal);
}
END_TEST

START_TEST(terminal_ends_within_a_line)
{
	struct stdin_waiter *w = NULL;
	int master, terminal;
	char buf[16];

	ck_assert_int_eq(openpty(&master, &terminal, NULL, NULL, NULL), 0);
	ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(exec_stdin_attach(in, master, true), 0);
	ck_assert_int_eq(exec_stdin_write(in, "a\nhi", 4, NULL, NULL, &w), 1);
	exec_stdin_close(in);
	ck_assert_int_eq(read(terminal, buf, sizeof(buf)), 2);
	ck_assert_int_eq(read(terminal, buf, sizeof(buf)), 2);
	ck_assert_int_eq(read(terminal, buf, sizeof(buf)), 0);
	(void)close(terminal);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec-stdin");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, waits_for_its_descriptor_then_ends);
	tcase_add_test(t, big_write_is_answered_when_read);
	tcase_add_test(t, forgotten_writer_hears_nothing);
	tcase_add_test(t, too_much_is_refused);
	tcase_add_test(t, reader_gone);
	tcase_add_test(t, free_tells_who_waits);
	tcase_add_test(t, terminal_ends_with_its_character);
	tcase_add_test(t, terminal_that_changes_its_mode_hears_the_end);
	tcase_add_test(t, terminal_ends_within_a_line);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
