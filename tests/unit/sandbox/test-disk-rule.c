/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "macro.h"
#include "sandbox/disk-rule.h"

#define MIB (1ull << 20)
#define FREE (1000 * MIB)

static struct disk_rule rule;

static void setup(void)
{
	disk_rule_init(&rule, 100 * MIB, FREE, 0);
}

static enum disk_verdict look(uint64_t used_mib, bool busy, bool settled)
{
	const struct disk_look l = { .used = used_mib * MIB,
				     .free = FREE - used_mib * MIB,
				     .busy = busy,
				     .settled = settled };

	return disk_rule_look(&rule, &l);
}

START_TEST(looks_when_it_may_matter)
{
	ck_assert(!disk_rule_due(&rule, FREE, 1000000)); /* nothing was written: never */
	ck_assert(!disk_rule_due(&rule, FREE - 49 * MIB, 29999));
	ck_assert(disk_rule_due(&rule, FREE - 49 * MIB, 30000));
	ck_assert(disk_rule_due(&rule, FREE - 50 * MIB, 0));
	ck_assert(disk_rule_due(&rule, FREE + 50 * MIB, 0)); /* something was removed */
	ck_assert_int_eq(look(90, true, true), DISK_FINE);
	ck_assert(!disk_rule_due(&rule, FREE - 90 * MIB - 4 * MIB, 0));
	ck_assert(disk_rule_due(&rule, FREE - 90 * MIB - 5 * MIB, 0));
	ck_assert_int_eq(look(100, true, true), DISK_FINE); /* just full */
	ck_assert(!disk_rule_due(&rule, FREE - 100 * MIB, 0));
	ck_assert(disk_rule_due(&rule, FREE - 100 * MIB - 4096, 0));
	ck_assert(disk_rule_due(&rule, UINT64_MAX, 0));
	disk_rule_restart(&rule);
	ck_assert(disk_rule_due(&rule, FREE - 100 * MIB, 0));
}
END_TEST

START_TEST(waits)
{
	ck_assert_int_eq(disk_rule_wait(&rule, true), 200);
	ck_assert_int_eq(disk_rule_wait(&rule, false), 2000);
	disk_rule_init(&rule, 1000 * MIB, FREE, 0);
	ck_assert_int_eq(disk_rule_wait(&rule, true), 1000);
	disk_rule_init(&rule, INT64_MAX, FREE, 0);
	ck_assert_int_eq(disk_rule_wait(&rule, true), 5000);
	rule.took_ms = 700; /* many files */
	ck_assert_int_eq(disk_rule_wait(&rule, true), 7000);
	rule.took_ms = INT64_MAX;
	ck_assert_int_eq(disk_rule_wait(&rule, true), 30000);
}
END_TEST

START_TEST(commands_are_ended_once)
{
	ck_assert_int_eq(look(101, true, true), DISK_END_COMMANDS);
	ck_assert(
		disk_rule_due(&rule, FREE - 101 * MIB, 0)); /* how much they write until they end */
	ck_assert_int_eq(look(130, true, false), DISK_FINE);
	ck_assert_int_eq(look(140, true, true), DISK_FINE); /* another one runs already */
	ck_assert(!rule.settling);
	/* what is there is not its fault */
	ck_assert_int_eq(look(140, true, true), DISK_FINE);
	ck_assert_int_eq(look(141, true, true), DISK_FINE);
	ck_assert_int_eq(look(142, true, true), DISK_END_COMMANDS);
}
END_TEST

START_TEST(room_that_was_made_is_kept)
{
	ck_assert_int_eq(look(140, true, true), DISK_END_COMMANDS);
	ck_assert_int_eq(look(140, false, true), DISK_FINE);
	ck_assert_int_eq(look(120, true, true), DISK_FINE);
	ck_assert_int_eq(look(121, true, true), DISK_FINE);
	ck_assert_int_eq(look(122, true, true), DISK_END_COMMANDS);
	ck_assert_int_eq(look(122, false, true), DISK_FINE);
	ck_assert_int_eq(look(50, true, true), DISK_FINE); /* below: all is as it was */
	ck_assert_int_eq(look(100, true, true), DISK_FINE);
	ck_assert_int_eq(look(101, true, true), DISK_END_COMMANDS);
}
END_TEST

START_TEST(nobody_is_there_to_be_ended)
{
	ck_assert_int_eq(look(110, false, true), DISK_FINE); /* it passed the cap and was gone */
	ck_assert_int_eq(look(111, false, true), DISK_FINE);
	ck_assert_int_eq(look(112, false, true), DISK_STOP);
	disk_rule_restart(&rule);
	ck_assert_int_eq(look(112, true, true), DISK_FINE); /* a start, and somebody removes */
	ck_assert_int_eq(look(114, true, true), DISK_END_COMMANDS);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk-rule");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, looks_when_it_may_matter);
	tcase_add_test(t, waits);
	tcase_add_test(t, commands_are_ended_once);
	tcase_add_test(t, room_that_was_made_is_kept);
	tcase_add_test(t, nobody_is_there_to_be_ended);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
