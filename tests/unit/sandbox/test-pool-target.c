/* SPDX-License-Identifier: Apache-2.0 */
/* How many spares, and when again. */

#include "sandbox/pool-target.h"

#include <check.h>
#include <stdlib.h>

#include "sandbox/pool.h"

#define START_MS 1000000

START_TEST(demand_is_that_of_the_last_minute)
{
	struct pool_demand d = { 0 };
	int64_t now = START_MS;
	int i;

	ck_assert_uint_eq(pool_demand_sum(&d, now), 0);
	for (i = 0; i < 120; i++, now += 500)
		pool_demand_note(&d, now);
	ck_assert_uint_eq(pool_demand_sum(&d, now - 500), 120);
	ck_assert_uint_eq(pool_demand_sum(&d, now + 30000), 60 - 2);
	ck_assert_uint_eq(pool_demand_sum(&d, now + 61000), 0);
	pool_demand_note(&d, now + 10 * 3600 * 1000); /* the machine slept */
	ck_assert_uint_eq(pool_demand_sum(&d, now + 10 * 3600 * 1000), 1);
}
END_TEST

START_TEST(a_use_counts_for_an_hour)
{
	struct pool_demand d = { 0 };

	ck_assert(!pool_demand_recent(&d, START_MS));
	pool_demand_note(&d, START_MS);
	ck_assert(pool_demand_recent(&d, START_MS + POOL_USED_MS - 1));
	ck_assert(!pool_demand_recent(&d, START_MS + POOL_USED_MS));
}
END_TEST

START_TEST(target_is_between_min_and_max)
{
	const struct pool_settings none = { .max = 8 }, some = { .min = 3, .max = 8 };
	const struct pool_settings never = { 0 };

	ck_assert_uint_eq(pool_target(&none, 0, false), 0);
	ck_assert_uint_eq(pool_target(&none, 0, true), 1);
	ck_assert_uint_eq(pool_target(&none, 5, true), 5);
	ck_assert_uint_eq(pool_target(&none, 500, true), 8);
	ck_assert_uint_eq(pool_target(&some, 0, false), 3);
	ck_assert_uint_eq(pool_target(&some, 1, true), 3);
	ck_assert_uint_eq(pool_target(&some, 4, true), 4);
	ck_assert_uint_eq(pool_target(&never, 5, true), 0);
}
END_TEST

START_TEST(backoff_grows_after_ten_failures)
{
	unsigned i;

	for (i = 1; i < POOL_FAILURES_MAX; i++)
		ck_assert_int_eq(pool_backoff_ms(i), POOL_RETRY_MS);
	ck_assert_int_eq(pool_backoff_ms(POOL_FAILURES_MAX), POOL_BACKOFF_MS);
	ck_assert_int_eq(pool_backoff_ms(POOL_FAILURES_MAX + 1), 2 * POOL_BACKOFF_MS);
	ck_assert_int_eq(pool_backoff_ms(POOL_FAILURES_MAX + 3), 8 * POOL_BACKOFF_MS);
	ck_assert_int_eq(pool_backoff_ms(POOL_FAILURES_MAX + 30), POOL_BACKOFF_MAX_MS);
	ck_assert_int_eq(pool_backoff_ms(~0u), POOL_BACKOFF_MAX_MS);
}
END_TEST

START_TEST(a_busy_machine_waits_longer)
{
	ck_assert_int_eq(pool_pause_ms(0, 2), POOL_PAUSE_MS);
	ck_assert_int_eq(pool_pause_ms(2000, 2), POOL_PAUSE_MS);
	ck_assert_int_eq(pool_pause_ms(4000, 2), 2 * POOL_PAUSE_BUSY_MS);
	ck_assert_int_eq(pool_pause_ms(1000000, 2), POOL_PAUSE_MAX_MS);
	ck_assert_int_eq(pool_pause_ms(1000, 0), POOL_PAUSE_MS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool-target");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(t, demand_is_that_of_the_last_minute);
	tcase_add_test(t, a_use_counts_for_an_hour);
	tcase_add_test(t, target_is_between_min_and_max);
	tcase_add_test(t, backoff_grows_after_ten_failures);
	tcase_add_test(t, a_busy_machine_waits_longer);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
