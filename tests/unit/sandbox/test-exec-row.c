/* SPDX-License-Identifier: Apache-2.0 */
/* When an exec has a row, and when init may forget it. */
#undef NDEBUG
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "exec-harness.h"
#include "macro.h"
#include "util/time.h"

/* Its row is there before init is asked, and its end is written before init may forget it. */
START_TEST(a_detached_one_is_recorded)
{
	uint64_t number;

	params.detach = true;
	number = start_and_hear(null_fd());
	ck_assert_uint_eq(rows, 2); /* that of the last run, too */
	say_started(number, INIT_START_OK, 0);
	batch_error = -ENOSPC;
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
	(void)usleep(30000);
	turn();
	hear_nothing();
	batch_error = 0;
	(void)hear(INIT_ACK);
	ck_assert_uint_eq(rows, 2);
}
END_TEST

START_TEST(what_cannot_be_recorded_is_not_begun)
{
	CLEANUP_ERROR struct error e = { 0 };
	int fds[3] = { -1, -1, -1 };

	params.detach = true;
	params.exec_id = "mine";
	insert_error = -ENOSPC;
	ck_assert_int_eq(exec_start(&manager, &box, &params, fds, &exec, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_LIMIT_REACHED);
	hear_nothing();
	ck_assert_uint_eq(exec_running_in(&manager, &box), 0);
	ck_assert_ptr_null(exec_find(&manager, 7, "mine", NULL));
	insert_error = 0;
	start(-1); /* its id is free */
	(void)hear(INIT_EXEC);
	wire_message_done(said);
}
END_TEST

/* Nobody but its client can come back for it, but he may after a restart. */
START_TEST(a_long_one_is_recorded)
{
	uint64_t number = start_running(null_fd());
	int64_t until = time_monotonic_ms() + PATIENCE_MS;

	ck_assert_uint_eq(rows, 1);
	while (rows == 1 && time_monotonic_ms() < until) {
		turn();
		(void)usleep(1000);
	}
	ck_assert_uint_eq(rows, 2);
	say_exited(number, 0, 0, 0);
	expect(EXEC_CAUSE_EXITED, 0, 0);
	(void)hear(INIT_ACK);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exec-row");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_detached_one_is_recorded);
	tcase_add_test(t, what_cannot_be_recorded_is_not_begun);
	tcase_add_test(t, a_long_one_is_recorded);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
