/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "macro.h"
#include "rpc/fd-queue.h"

START_TEST(accepts_streams_and_harmless_devices)
{
	static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					       "/dev/urandom" };
	int pipes[2], pair[2];
	CLEANUP_FD int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_ptr_null(fd_kind_refused(pipes[i]));
		ck_assert_ptr_null(fd_kind_refused(pair[i]));
		close_fd(pipes[i]);
		close_fd(pair[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		CLEANUP_FD int fd = open(devices[i], O_RDONLY | O_CLOEXEC);

		ck_assert_ptr_null(fd_kind_refused(fd));
	}
	if (terminal >= 0 && unlockpt(terminal) == 0) {
		CLEANUP_FD int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);

		ck_assert_ptr_null(fd_kind_refused(terminal));
		ck_assert_ptr_null(fd_kind_refused(slave));
	}
}
END_TEST

static void expect_refused(int fd)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_nonnull(fd_kind_refused(fd));
	close_fd(fd);
}

START_TEST(refuses_everything_else)
{
	char path[] = "/tmp/sandboxd-fd-XXXXXX";

	expect_refused(mkstemp(path));
	expect_refused(open(path, O_PATH | O_CLOEXEC));
	(void)unlink(path);
	expect_refused(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	expect_refused(open("/dev/null", O_PATH | O_CLOEXEC));
	expect_refused(memfd_create("x", MFD_CLOEXEC));
	expect_refused(eventfd(0, EFD_CLOEXEC));
	expect_refused(epoll_create1(EPOLL_CLOEXEC));
	ck_assert_ptr_nonnull(fd_kind_refused(-1));
}
END_TEST

START_TEST(keeps_the_order)
{
	struct fd_queue q = { .fds = { 101, 102, 103, 104 }, .count = 4 };
	int fds[4];

	ck_assert_int_eq(fd_queue_take(&q, fds, 5), -ENOENT);
	ck_assert_uint_eq(q.count, 4);
	ck_assert_int_eq(fd_queue_take(&q, fds, 1), 0);
	ck_assert_int_eq(fds[0], 101);
	ck_assert_int_eq(fd_queue_take(&q, fds, 2), 0);
	ck_assert_int_eq(fds[0], 102);
	ck_assert_int_eq(fds[1], 103);
	ck_assert_int_eq(fd_queue_take(&q, fds, 0), 0);
	ck_assert_int_eq(fd_queue_take(&q, fds, 1), 0);
	ck_assert_int_eq(fds[0], 104);
	ck_assert_uint_eq(q.count, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rpc/fd-queue");
	TCase *t = tcase_create("fd-queue");
	SRunner *runner;
	int failed;

	tcase_add_test(t, accepts_streams_and_harmless_devices);
	tcase_add_test(t, refuses_everything_else);
	tcase_add_test(t, keeps_the_order);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
