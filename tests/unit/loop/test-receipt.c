/* SPDX-License-Identifier: Apache-2.0 */
/* A receipt as a blob and back, and what is none; pairs, which loops keep the same way. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/receipt.h"
#include "macro.h"
#include "util/pairs.h"

START_TEST(comes_back_as_it_was)
{
	struct receipt a = { .outcome = RECEIPT_FAILED,
			     .at_ms = 1700000000000,
			     .execs = 3,
			     .processes_killed = 4,
			     .output_bytes = UINT64_MAX,
			     .cpu_ms = 6,
			     .lock = RECEIPT_LOCK_STAYS };
	struct receipt b = { 0 };
	char *block = NULL;
	size_t size;

	ck_assert_int_eq(string_list_add(&a.sandboxes, "loop-1-claude"), 0);
	ck_assert_int_eq(string_list_add(&a.sandboxes, "loop-1-codex"), 0);
	ck_assert_int_eq(receipt_pack(&a, &block, &size), 0);
	ck_assert_int_eq(receipt_unpack((struct bytes){ block, size }, &b), 0);
	ck_assert_int_eq(b.outcome, RECEIPT_FAILED);
	ck_assert_int_eq(b.at_ms, 1700000000000);
	ck_assert_uint_eq(b.execs, 3);
	ck_assert_uint_eq(b.processes_killed, 4);
	ck_assert_uint_eq(b.output_bytes, UINT64_MAX);
	ck_assert_uint_eq(b.cpu_ms, 6);
	ck_assert_int_eq(b.lock, RECEIPT_LOCK_STAYS);
	ck_assert_uint_eq(b.sandboxes.count, 2);
	ck_assert_str_eq(b.sandboxes.items[1], "loop-1-codex");
	free(block);
	receipt_deinit(&a);
	receipt_deinit(&b);
}
END_TEST

START_TEST(what_is_none_is_refused)
{
	static const struct bytes bad[] = {
		{ "", 0 },
		{ "1\0"
		  "2",
		  4 },
		{ "9\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "0",
		  14 }, /* no such outcome */
		{ "1\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "9",
		  14 }, /* no such lock */
		{ "1\0"
		  "x\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "1\0"
		  "0",
		  14 },
	};
	struct receipt r = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(receipt_unpack(bad[i], &r) < 0, "row %zu", i);
}
END_TEST

START_TEST(pairs_come_back_and_compare)
{
	static const struct pair items[] = { { "A", "1" }, { "B", "" } };
	static const struct pair turned[] = { { "B", "" }, { "A", "1" } };
	static const struct pair other[] = { { "A", "1" }, { "B", "2" } };
	const struct pairs p = { items, 2 }, t = { turned, 2 }, o = { other, 2 },
			   one = { items, 1 };
	struct pairs back = { 0 };
	char *block = NULL;
	size_t size;

	ck_assert_int_eq(pairs_pack(&p, &block, &size), 0);
	ck_assert_int_eq(pairs_unpack((struct bytes){ block, size }, &back), 0);
	ck_assert(pairs_equal(&p, &back));
	ck_assert(pairs_equal(&p, &t));
	ck_assert(!pairs_equal(&p, &o));
	ck_assert(!pairs_equal(&p, &one));
	free(block);
	pairs_deinit(&back);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop/receipt");
	TCase *t = tcase_create("receipt");
	SRunner *runner;
	int failed;

	tcase_add_test(t, comes_back_as_it_was);
	tcase_add_test(t, what_is_none_is_refused);
	tcase_add_test(t, pairs_come_back_and_compare);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
