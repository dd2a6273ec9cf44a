/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "macro.h"
#include "util/space.h"

#define MIB (1ull << 20)

START_TEST(floors)
{
	static const struct {
		uint64_t total, floor;
	} cases[] = {
		{ 0, 0 },
		{ 64 * MIB, 64 * MIB / 10 },
		{ 640 * MIB, 64 * MIB },
		{ 6400 * MIB, 64 * MIB },
		{ 20000 * MIB, 200 * MIB },
		{ 1024000 * MIB, 1024 * MIB },
		{ UINT64_MAX, 1024 * MIB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(space_floor(cases[i].total) == cases[i].floor, "%zu", i);
}
END_TEST

START_TEST(look)
{
	struct space s;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(space_look(fd, SPACE_FLOOR_DEFAULT, &s), 0);
	ck_assert(s.total_bytes > 0 && s.free_bytes <= s.total_bytes);
	ck_assert_uint_eq(s.floor_bytes, space_floor(s.total_bytes));
	ck_assert_int_eq(space_look(fd, 0, &s), 0);
	ck_assert_uint_eq(s.floor_bytes, 0);
	ck_assert_int_eq(space_look(fd, 12345, &s), 0);
	ck_assert_uint_eq(s.floor_bytes, 12345);
	(void)close(fd);
	ck_assert_int_eq(space_look(-1, 0, &s), -EBADF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("space");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, floors);
	tcase_add_test(t, look);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
