/* SPDX-License-Identifier: Apache-2.0 */
/* What of a secret's value the keeper is told to cover. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/spool-mask.h"
#include "util/fd.h"

/* Reads the next one of FD: its length, or -1 at the end. */
static ssize_t next(int fd, char *ret, size_t room)
{
	uint32_t size;
	ssize_t n = read(fd, &size, sizeof(size));

	if (n == 0)
		return -1;
	ck_assert_int_eq(n, sizeof(size));
	ck_assert_uint_lt(size, room);
	ck_assert_int_eq(read(fd, ret, size), (ssize_t)size);
	ret[size] = '\0';
	return (ssize_t)size;
}

static int make(const char *value)
{
	const struct bytes b = { value, strlen(value) };
	int fd = -1;

	ck_assert_int_eq(spool_mask_new(&b, 1, &fd), 0);
	if (fd >= 0)
		ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void expect(const char *value, const char *const *parts)
{
	CLEANUP_FD int fd = make(value);
	char part[512];
	size_t i;

	ck_assert_int_ge(fd, 0);
	for (i = 0; parts[i]; i++) {
		ck_assert_int_ge(next(fd, part, sizeof(part)), KEEPER_MASK_MIN);
		ck_assert_str_eq(part, parts[i]);
	}
	ck_assert_int_eq(next(fd, part, sizeof(part)), -1);
	ck_assert_int_eq(write(fd, "x", 1), -1); /* sealed */
}

START_TEST(test_token)
{
	const char *const whole[] = { "sk-ant-oat01-abcdefghijklmnop", NULL };

	expect("sk-ant-oat01-abcdefghijklmnop", whole);
	expect("  sk-ant-oat01-abcdefghijklmnop\r\n", whole);
}
END_TEST

START_TEST(test_lines_and_words)
{
	const char *const parts[] = { "\"access_token\": \"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\",",
				      "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "\"id\": \"12345678\"",
				      NULL };

	expect("{\n  \"access_token\": \"eyJhbGciOiJSUzI1NiJ9.e30.c2ln\",\n"
	       "  \"id\": \"12345678\"\n}\n",
	       parts);
}
END_TEST

START_TEST(test_words_of_other_files)
{
	const char *const npmrc[] = { "//npm.example.org/:_authToken=npm_0123456789abcdefghij",
				      "npm_0123456789abcdefghij", NULL };
	const char *const aws[] = { "AWS_SECRET=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE",
				    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE", NULL };
	const char *const key[] = {
		"\"KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQ/EFAASCBKc==\\n-----END\"",
		"MIIEvQIBADANBgkqhkiG9w0BAQ", "MIIEvQIBADANBgkqhkiG9w0BAQ/EFAASCBKc", NULL
	};

	expect(npmrc[0], npmrc);
	expect(aws[0], aws);
	expect(key[0], key);
}
END_TEST

START_TEST(test_short)
{
	ck_assert_int_eq(make("1234567"), -1);
	ck_assert_int_eq(make(""), -1);
	ck_assert_int_eq(make("        \n         \n"), -1);
}
END_TEST

START_TEST(test_long)
{
	const size_t size = KEEPER_MASK_MAX + KEEPER_MASK_MIN;
	char *value = malloc(size + 1), *part = malloc(size + 1);
	int fd;

	ck_assert(value && part);
	memset(value, ',', size);
	value[size] = '\0';
	fd = make(value);
	ck_assert_int_eq(next(fd, part, size), KEEPER_MASK_MAX);
	ck_assert_int_eq(next(fd, part, size), KEEPER_MASK_MIN);
	ck_assert_int_eq(next(fd, part, size), -1);
	(void)close(fd);
	free(value);
	free(part);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spool-mask");
	TCase *tc = tcase_create("spool-mask");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, test_token);
	tcase_add_test(tc, test_lines_and_words);
	tcase_add_test(tc, test_words_of_other_files);
	tcase_add_test(tc, test_short);
	tcase_add_test(tc, test_long);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
