/* SPDX-License-Identifier: Apache-2.0 */
/* How many ended execs are kept, with those of an earlier daemon in the made-up store. */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bounds.h"
#include "exec-fixture.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "util/fd.h"

static struct manager manager;
static struct config config;
static char directory[] = "/tmp/test-exec-kept-XXXXXX";

static void setup(void)
{
	assert(mkdtemp(directory));
	config = (struct config){ .spool_max = SPOOL_MAX_DEFAULT };
	manager = (struct manager){ .base = event_base_new(), .config = &config, .uid = 7 };
	manager.state_fd = open(directory, O_PATH | O_CLOEXEC);
	box = (struct sandbox){ .has_keeper = true, .has_users = true };
	box.facts = (struct sandbox_facts){ .id = box_id, .name = box_name, .peer = 7, .owner = 7 };
	assert(manager.base && manager.state_fd >= 0);
	keeper_begin(manager.base);
}

static void teardown(void)
{
	exec_table_free(manager.execs);
	keeper_end();
	event_base_free(manager.base);
	(void)close_fd(manager.state_fd);
	(void)rmdir(directory);
}

/* The table as the daemon has it, and what its timer does. */
static void load(struct stored_execs what)
{
	stored = what;
	assert(exec_table_new(&manager, &manager.execs) == 0);
	ck_assert_int_ge(event_base_dispatch(manager.base), 0); /* until the timer is not set */
}

static bool count_one(struct exec *e, void *userdata)
{
	unsigned *n = userdata;

	(void)e;
	(*n)++;
	return true;
}

static unsigned kept_in(const struct sandbox *s)
{
	unsigned n = 0;

	exec_table_each_in(&manager, s, count_one, &n);
	return n;
}

/* The first of the box is one that was found running. */
START_TEST(a_sandbox_keeps_its_last)
{
	load((struct stored_execs){ .of_box = EXECS_KEPT_PER_SANDBOX_MAX + 1 });
	ck_assert_uint_eq(kept_in(&box), EXECS_KEPT_PER_SANDBOX_MAX);
	ck_assert_uint_eq(rows, EXECS_KEPT_PER_SANDBOX_MAX);
	ck_assert_ptr_null(exec_find(&manager, 7, "old", NULL));
	ck_assert_ptr_null(exec_find(&manager, 7, "boxid-0", NULL));
	ck_assert_ptr_nonnull(exec_find(&manager, 7, "boxid-1", NULL));
}
END_TEST

/* More than all may keep, and nearly all of them are of those who have few. */
START_TEST(who_has_few_keeps_them)
{
	const unsigned few = EXECS_KEPT_PER_SANDBOX_MIN - 1;
	unsigned i;

	ck_assert_uint_gt(OTHERS_MAX * few, EXECS_KEPT_MAX);
	load((struct stored_execs){ .of_box = 30, .others = OTHERS_MAX, .of_each = few });
	ck_assert_uint_eq(kept_in(&box), EXECS_KEPT_PER_SANDBOX_MIN);
	ck_assert_ptr_nonnull(exec_find(&manager, 7, "boxid-29", NULL));
	for (i = 0; i < OTHERS_MAX; i++)
		ck_assert_uint_eq(kept_in(&others[i]), few);
	ck_assert_uint_eq(rows, EXECS_KEPT_PER_SANDBOX_MIN + OTHERS_MAX * few);
}
END_TEST

START_TEST(no_more_goes_than_is_too_many)
{
	const unsigned share = EXECS_KEPT_MAX / 33;
	unsigned i;

	load((struct stored_execs){ .of_box = 900, .others = 32, .of_each = share });
	ck_assert_uint_eq(kept_in(&box), EXECS_KEPT_MAX - 32 * share);
	for (i = 0; i < 32; i++)
		ck_assert_uint_eq(kept_in(&others[i]), share);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec-kept");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_sandbox_keeps_its_last);
	tcase_add_test(t, who_has_few_keeps_them);
	tcase_add_test(t, no_more_goes_than_is_too_many);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
