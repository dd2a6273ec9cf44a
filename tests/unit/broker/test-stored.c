/* SPDX-License-Identifier: Apache-2.0 */
/* The answer that a broker keeps: found for the same request and key, and for nothing else. */
#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stored.h"

static const uint8_t key[BROKER_KEY_BYTES] = { 1, 2, 3 };
static const uint8_t request[] = "refresh_token=old";
static const uint8_t answer[] = "{\"access_token\":\"planted-token\"}";
static uint8_t body[BROKER_ANSWER_MAX];
static int fd;

static void set_up(void)
{
	ck_assert_int_ge(sodium_init(), 0);
	fd = memfd_create("stored", 0);
	ck_assert_int_ge(fd, 0);
	memset(body, 0, sizeof(body));
}

static void tear_down(void)
{
	ck_assert_int_eq(close(fd), 0);
}

static int read_for(const uint8_t *k, const uint8_t *r, size_t size, size_t *ret_size)
{
	return stored_read(fd, k, r, size, body, ret_size);
}

START_TEST(nothing)
{
	size_t size;

	ck_assert_int_eq(read_for(key, request, sizeof(request), &size), STORED_NONE);
	ck_assert_int_eq(stored_reserve(fd), 0);
	ck_assert_int_eq(read_for(key, request, sizeof(request), &size), STORED_NONE);
}
END_TEST

START_TEST(found_again)
{
	struct stat st;
	size_t size = 0;
	char *text;

	ck_assert_int_eq(stored_reserve(fd), 0);
	ck_assert_int_eq(stored_write(fd, key, request, sizeof(request), answer, sizeof(answer)),
			 0);
	ck_assert_int_eq(read_for(key, request, sizeof(request), &size), 0);
	ck_assert_uint_eq(size, sizeof(answer));
	ck_assert_mem_eq(body, answer, sizeof(answer));
	/* what was reserved is given back, and nothing is there in plain */
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_lt(st.st_size, 256);
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(text, MAP_FAILED);
	ck_assert_ptr_null(memmem(text, (size_t)st.st_size, "planted", 7));
	ck_assert_int_eq(munmap(text, (size_t)st.st_size), 0);
}
END_TEST

START_TEST(largest)
{
	static uint8_t big[BROKER_ANSWER_MAX + 1];
	size_t size = 0;

	memset(big, 'x', sizeof(big));
	ck_assert_int_eq(stored_write(fd, key, request, sizeof(request), big, sizeof(big)), -EFBIG);
	ck_assert_int_eq(stored_write(fd, key, request, sizeof(request), big, BROKER_ANSWER_MAX),
			 0);
	ck_assert_int_eq(read_for(key, request, sizeof(request), &size), 0);
	ck_assert_uint_eq(size, BROKER_ANSWER_MAX);
	ck_assert_mem_eq(body, big, BROKER_ANSWER_MAX);
}
END_TEST

START_TEST(another_request_or_key)
{
	static const uint8_t other_key[BROKER_KEY_BYTES] = { 1, 2, 4 };
	static const uint8_t other[] = "refresh_token=new";
	size_t size;

	ck_assert_int_eq(stored_write(fd, key, request, sizeof(request), answer, sizeof(answer)),
			 0);
	ck_assert_int_eq(read_for(key, other, sizeof(other), &size), STORED_NONE);
	ck_assert_int_eq(read_for(other_key, request, sizeof(request), &size), STORED_NONE);
	ck_assert_int_eq(read_for(key, request, sizeof(request), &size), 0);
}
END_TEST

/* Cut or changed anywhere, it is nothing. */
START_TEST(damaged)
{
	struct stat st;
	size_t size;
	off_t at;

	ck_assert_int_eq(stored_write(fd, key, request, sizeof(request), answer, sizeof(answer)),
			 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	for (at = 0; at < st.st_size; at++) {
		char byte, changed;

		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		changed = (char)(byte ^ 4);
		ck_assert_int_eq(pwrite(fd, &changed, 1, at), 1);
		ck_assert_int_eq(read_for(key, request, sizeof(request), &size), STORED_NONE);
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
	ck_assert_int_eq(read_for(key, request, sizeof(request), &size), 0);
	for (at = st.st_size - 1; at >= 0; at--) {
		ck_assert_int_eq(ftruncate(fd, at), 0);
		ck_assert_int_eq(read_for(key, request, sizeof(request), &size), STORED_NONE);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stored");
	TCase *t = tcase_create("stored");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, nothing);
	tcase_add_test(t, found_again);
	tcase_add_test(t, largest);
	tcase_add_test(t, another_request_or_key);
	tcase_add_test(t, damaged);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
