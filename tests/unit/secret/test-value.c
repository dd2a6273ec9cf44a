/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of values. That it is zeroed and locked is libsodium's; that it is used is ours. */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "secret/value.h"

START_TEST(names)
{
	char longest[SECRET_NAME_MAX + 2];

	memset(longest, 'a', sizeof(longest));
	longest[SECRET_NAME_MAX + 1] = '\0';
	ck_assert(!secret_name_is_good(longest));
	longest[SECRET_NAME_MAX] = '\0';
	ck_assert(secret_name_is_good(longest));
	ck_assert(secret_name_is_good("claude_setup_token"));
	ck_assert(secret_name_is_good("-a.b"));
	ck_assert(!secret_name_is_good(""));
	ck_assert(!secret_name_is_good(".a"));
	ck_assert(!secret_name_is_good("a/b"));
	ck_assert(!secret_name_is_good("a b"));
	ck_assert(!secret_name_is_good("\xc3\xa4"));
}
END_TEST

START_TEST(counted)
{
	struct secret_value *v, *second;
	uint8_t *data;

	ck_assert_int_eq(secret_value_new(5, &v, &data), 0);
	ck_assert_mem_eq(data, "\0\0\0\0\0", 6);
	memcpy(data, "12345", 5);
	second = secret_value_ref(v);
	ck_assert_ptr_null(secret_value_unref(v));
	ck_assert_uint_eq(secret_value_size(second), 5);
	ck_assert_str_eq((const char *)secret_value_data(second), "12345");
	ck_assert_ptr_null(secret_value_unref(second));
	ck_assert_ptr_null(secret_value_unref(NULL));
}
END_TEST

/* Memory of small ones is kept, and nothing of what they were is in it. */
START_TEST(used_again)
{
	struct secret_value *v[8];
	uint8_t *data;
	char nothing[101] = { 0 };

	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 8; i++) {
			ck_assert_int_eq(secret_value_new(100 - i, &v[i], &data), 0);
			ck_assert_mem_eq(data, nothing, 101 - i);
			memset(data, 'x', 100 - i);
			ck_assert_uint_eq(secret_value_size(v[i]), 100 - i);
		}
		for (size_t i = 0; i < 8; i++)
			secret_value_unref(v[i]);
	}
}
END_TEST

START_TEST(sizes)
{
	struct secret_value *v;
	uint8_t *data;

	ck_assert_int_eq(secret_value_new(0, &v, &data), 0);
	ck_assert_int_eq(data[0], 0);
	secret_value_unref(v);
	ck_assert_int_eq(secret_value_new(SECRET_VALUE_MAX, &v, &data), 0);
	ck_assert_int_eq(data[SECRET_VALUE_MAX], 0);
	secret_value_unref(v);
	ck_assert_int_eq(secret_value_new(SECRET_VALUE_MAX + 1, &v, &data), -ENOMEM);
}
END_TEST

/* The flags that the kernel has for the mapping which holds AT, from smaps. */
static void flags_of(const void *at, char *flags, size_t size)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long first, end;
	char line[512];
	int inside = 0;

	flags[0] = '\0';
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			inside = (uintptr_t)at >= first && (uintptr_t)at < end;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			(void)snprintf(flags, size, "%s", line);
	}
	(void)fclose(f);
}

START_TEST(guarded)
{
	struct secret_value *v;
	char flags[512];
	uint8_t *data;

	ck_assert_int_eq(secret_value_new(100, &v, &data), 0);
	flags_of(data, flags, sizeof(flags));
	ck_assert_msg(strstr(flags, " dd"), "it would be in a core file: %s", flags);
	ck_assert_msg(strstr(flags, " dc"), "a child would have it: %s", flags);
	secret_value_unref(v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("value");
	TCase *t = tcase_create("value");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_test(t, names);
	tcase_add_test(t, counted);
	tcase_add_test(t, used_again);
	tcase_add_test(t, sizes);
	tcase_add_test(t, guarded);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
