/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between daemon, keeper and init, where one side has no room for descriptors. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

static struct wire_message out, in;

static void send_with_fds(int socket, uint64_t serial)
{
	wire_begin(&out, 1, 1, serial, sizeof(struct wire_header));
	ck_assert_int_eq(wire_add_fd(&out, dup(socket)), 0);
	ck_assert_int_eq(wire_add_fd(&out, dup(socket)), 1);
	ck_assert_int_eq(wire_send(socket, &out), 0);
	wire_message_done(&out);
}

START_TEST(no_room_for_descriptors)
{
	struct rlimit before, none;
	int pair[2];
	int lowest;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	send_with_fds(pair[0], 7);
	send_with_fds(pair[0], 8);
	lowest = fcntl(pair[0], F_DUPFD, 0);
	ck_assert_int_ge(lowest, 0);
	(void)close(lowest);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)lowest;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(wire_receive(pair[1], &in), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_uint_eq(in.size, sizeof(struct wire_header));
	ck_assert_uint_eq(in.n_fds, 0);
	ck_assert_uint_eq(wire_head(&in)->serial, 7);
	ck_assert_uint_eq(wire_head(&in)->n_fds, 2);
	ck_assert_int_eq(wire_take_fd(&in, 0), -1);
	/* and what follows is whole */
	ck_assert_int_eq(wire_receive(pair[1], &in), 1);
	ck_assert_uint_eq(wire_head(&in)->serial, 8);
	ck_assert_uint_eq(in.n_fds, 2);
	wire_message_done(&in);
	(void)close(pair[0]);
	(void)close(pair[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proto-wire");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	/* valgrind has descriptors of its own beyond the limit; the stage leaves out what has this
	 * tag */
	tcase_set_tags(tcase, "clone");
	tcase_add_test(tcase, no_room_for_descriptors);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
