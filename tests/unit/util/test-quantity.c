/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "macro.h"
#include "util/quantity.h"

struct quantity_case {
	const char *text;
	int result;
	int64_t value;
};

static void check_values(int (*parse)(const char *, int64_t *), const struct quantity_case *cases,
			 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t value = -7;

		ck_assert_msg(parse(cases[i].text, &value) == cases[i].result, "%s", cases[i].text);
		ck_assert_int_eq(value, cases[i].result == 0 ? cases[i].value : -7);
	}
}

START_TEST(sizes)
{
	static const struct quantity_case cases[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "64K", 0, 65536 },
		{ "512M", 0, 512LL << 20 },
		{ "4G", 0, 4LL << 30 },
		{ "2T", 0, 2LL << 40 },
		{ "2GiB", 0, 2LL << 30 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "12Q", -EINVAL, 0 },
		{ "12MB", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "9999999T", -ERANGE, 0 },
	};

	check_values(quantity_size, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(durations)
{
	static const struct quantity_case cases[] = {
		{ "0", 0, 0 },           { "500ms", 0, 500 },
		{ "30s", 0, 30000 },     { "15min", 0, 900000 },
		{ "15m", 0, 900000 },    { "1h", 0, 3600000 },
		{ "2d", 0, 172800000 },  { "1h30min", 0, 5400000 },
		{ "1min30s", 0, 90000 }, { "", -EINVAL, 0 },
		{ "30", -EINVAL, 0 },    { "1h30", -EINVAL, 0 },
		{ "s", -EINVAL, 0 },     { "-1s", -EINVAL, 0 },
		{ "1.5h", -EINVAL, 0 },  { "1 s", -EINVAL, 0 },
		{ "1y", -EINVAL, 0 },    { "99999999999999999d", -ERANGE, 0 },
	};

	check_values(quantity_duration, cases, ARRAY_SIZE(cases));
}
END_TEST

struct text_case {
	int64_t value;
	const char *text;
};

static void check_texts(void (*print)(int64_t, char *), int (*parse)(const char *, int64_t *),
			const struct text_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[QUANTITY_TEXT_SIZE];
		int64_t value = -1;

		print(cases[i].value, text);
		ck_assert_str_eq(text, cases[i].text);
		ck_assert_int_eq(parse(text, &value), 0);
		ck_assert_int_eq(value, cases[i].value);
	}
}

START_TEST(sizes_as_text)
{
	static const struct text_case cases[] = {
		{ 0, "0" },
		{ 1000, "1000" },
		{ 8 << 20, "8M" },
		{ 1025 << 10, "1025K" },
		{ 1LL << 53, "8192T" },
		{ INT64_MAX, "9223372036854775807" },
	};

	check_texts(quantity_size_text, quantity_size, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(durations_as_text)
{
	static const struct text_case cases[] = {
		{ 0, "0s" },
		{ 1, "1ms" },
		{ 1000, "1s" },
		{ 7200000, "2h" },
		{ 5400000, "1h30min" },
		{ 61001, "1min1s1ms" },
		{ 86400000, "24h" },
		{ INT64_MAX, "2562047788015h12min55s807ms" },
	};

	check_texts(quantity_duration_text, quantity_duration, cases, ARRAY_SIZE(cases));
}
END_TEST

START_TEST(cpus)
{
	static const struct quantity_case cases[] = {
		{ "1", 0, 1000 },
		{ "1.5", 0, 1500 },
		{ "0.25", 0, 250 },
		{ "0.001", 0, 1 },
		{ "1.", -EINVAL, 0 },
		{ ".5", -EINVAL, 0 },
		{ "1.2345", -EINVAL, 0 },
		{ "x", -EINVAL, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
	};

	check_values(quantity_cpus, cases, ARRAY_SIZE(cases));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quantity");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, sizes);
	tcase_add_test(t, durations);
	tcase_add_test(t, sizes_as_text);
	tcase_add_test(t, durations_as_text);
	tcase_add_test(t, cpus);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
