/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "macro.h"
#include "sandbox/exec-budget.h"
#include "sandbox/exec-internal.h"

#define N 4

static struct exec_budget budget;
static struct exec execs[N];
struct exec_follow {
	LIST_ENTRY(exec_follow) entry;
};
static struct exec_follow reader;

static void setup(void)
{
	size_t i;

	exec_budget_init(&budget, 100);
	for (i = 0; i < N; i++) {
		execs[i] =
			(struct exec){ .home = (struct home *)(void *)&budget }; /* in the table */
		LIST_INIT(&execs[i].followers);
	}
}

static void write_to(size_t i, uint64_t start, uint64_t end)
{
	execs[i].facts.stream[KEEPER_STREAM_STDOUT].start = start;
	execs[i].facts.stream[KEEPER_STREAM_STDOUT].end = end;
	exec_budget_count(&budget, &execs[i]);
}

static void end_at(size_t i, int64_t ms)
{
	execs[i].facts.result.completed_at_ms = ms;
	exec_budget_ended(&budget, &execs[i]);
}

START_TEST(sums)
{
	write_to(0, 0, 60);
	execs[0].facts.stream[KEEPER_STREAM_STDERR].end = 5;
	write_to(0, 0, 60);
	write_to(1, 0, 30);
	ck_assert_uint_eq(budget.bytes, 95);
	ck_assert(!exec_budget_is_over(&budget));
	write_to(1, 0, 36);
	ck_assert(exec_budget_is_over(&budget));
	write_to(0, 50, 90); /* the oldest bytes were punched out */
	ck_assert_uint_eq(budget.bytes, 40 + 5 + 36);
	exec_budget_forget(&budget, &execs[0]);
	exec_budget_forget(&budget, &execs[0]);
	ck_assert_uint_eq(budget.bytes, 36);
	execs[1].facts.spool_dropped = true;
	exec_budget_forget(&budget, &execs[1]);
	exec_budget_count(&budget, &execs[1]);
	ck_assert_uint_eq(budget.bytes, 0);
}
END_TEST

START_TEST(whose_goes)
{
	write_to(0, 0, 100); /* runs */
	write_to(1, 0, 10);
	write_to(2, 0, 10);
	ck_assert_ptr_null(exec_budget_next(&budget));
	end_at(2, 1000);
	end_at(1, 500); /* a row that is loaded later, and ended sooner */
	end_at(3, 1);   /* wrote nothing */
	ck_assert_ptr_eq(exec_budget_next(&budget), &execs[1]);
	LIST_INSERT_HEAD(&execs[1].followers, &reader, entry);
	ck_assert_ptr_eq(exec_budget_next(&budget), &execs[2]);
	exec_budget_forget(&budget, &execs[2]);
	ck_assert_ptr_null(exec_budget_next(&budget));
	ck_assert(exec_budget_is_over(&budget));
	LIST_INIT(&execs[1].followers);
	ck_assert_ptr_eq(exec_budget_next(&budget), &execs[1]);
}
END_TEST

START_TEST(limits)
{
	ck_assert_uint_eq(exec_budget_default(1000), 100);
	ck_assert_uint_eq(exec_budget_default(UINT64_MAX), 4ull << 30);
	exec_budget_init(&budget, 0);
	write_to(0, 0, UINT64_MAX / 2);
	ck_assert(!exec_budget_is_over(&budget));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec-budget");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, sums);
	tcase_add_test(t, whose_goes);
	tcase_add_test(t, limits);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
