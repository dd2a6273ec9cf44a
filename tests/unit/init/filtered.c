/* SPDX-License-Identifier: Apache-2.0 */
#include "filtered.h"

#include <time.h>

#include "sandbox/seccomp.h"

struct harness h;

struct harness_exec as_agent(const char *const *argv)
{
	return (struct harness_exec){ .argv = argv, .uid = 1000, .gid = 1000 };
}

double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set_up(enum harness_kind kind)
{
	int filter = -1;

	ck_assert_int_eq(seccomp_program_new(&filter, SECCOMP_PROFILE_PATH), 0);
	harness_start(&h, kind, filter, 300);
}

static void set_up_binary(void)
{
	set_up(HARNESS_BINARY);
}

static void set_up_library(void)
{
	set_up(HARNESS_LIBRARY);
}

static void tear_down(void)
{
	harness_stop(&h);
}

static TCase *new_case(const char *name, void (*start)(void), void (*add)(TCase *c))
{
	TCase *c = tcase_create(name);

	tcase_add_checked_fixture(c, start, tear_down);
	tcase_set_timeout(c, 120);
	add(c);
	return c;
}

int filtered_run(const char *suite, void (*add)(TCase *c), TCase *alone)
{
	Suite *s = suite_create(suite);
	SRunner *runner;
	int failed;

	suite_add_tcase(s, new_case("binary", set_up_binary, add));
	suite_add_tcase(s, new_case("library", set_up_library, add));
	if (alone)
		suite_add_tcase(s, alone);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
