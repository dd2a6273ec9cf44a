/* SPDX-License-Identifier: Apache-2.0 */
/* What freezer.c writes and waits for, on files that stand for a cgroup's; tests/integration
 * freezes real ones. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "files.h"
#include "macro.h"

static char top[32];
static struct cgroups c;

static void put(const char *path, const char *text)
{
	CLEANUP_FD int fd = openat(c.list[0].fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void expect(const char *path, const char *text)
{
	char buf[64];

	ck_assert_int_gt(file_get_at(c.list[0].fd, path, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, text);
}

static void set_up(void)
{
	(void)snprintf(top, sizeof(top), "/tmp/freezer-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	c = (struct cgroups){ .count = 1 };
	c.list[0] = (struct cgroup_hierarchy){ open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
					       KEEPER_CONTROLLER_FREEZER, 1 };
	ck_assert_int_ge(c.list[0].fd, 0);
	ck_assert_int_eq(mkdirat(c.list[0].fd, "box", 0755), 0);
}

static void tear_down(void)
{
	static const char *const files[] = { "box/freezer.state", "box/cgroup.freeze",
					     "box/cgroup.events" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlinkat(c.list[0].fd, files[i], 0); /* not every test has each */
	ck_assert_int_eq(unlinkat(c.list[0].fd, "box", AT_REMOVEDIR), 0);
	(void)close(c.list[0].fd);
	ck_assert_int_eq(rmdir(top), 0);
}

START_TEST(test_v1)
{
	put("box/freezer.state", "THAWED");
	ck_assert_int_eq(cgroup_freeze_begin(&c, "box", true), 0);
	expect("box/freezer.state", "FROZEN");
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", true), 1);
	ck_assert_int_eq(cgroup_freeze_begin(&c, "box", false), 0);
	expect("box/freezer.state", "THAWED");
}
END_TEST

START_TEST(test_v1_asks_again)
{
	put("box/freezer.state", "FREEZING");
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", true), 0);
	expect("box/freezer.state", "FROZENNG"); /* written over, as a file takes it */
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", true), 1);
}
END_TEST

START_TEST(test_v2)
{
	c.list[0].version = 2;
	put("box/cgroup.freeze", "0");
	put("box/cgroup.events", "populated 1\nfrozen 0\n");
	ck_assert_int_eq(cgroup_freeze_begin(&c, "box", true), 0);
	expect("box/cgroup.freeze", "1");
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", true), 0);
	put("box/cgroup.events", "populated 1\nfrozen 1\n");
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", true), 1);
	ck_assert_int_eq(cgroup_freeze_begin(&c, "box", false), 0);
	expect("box/cgroup.freeze", "0");
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", false), 0);
}
END_TEST

START_TEST(test_nothing_to_write_to)
{
	ck_assert_int_eq(cgroup_freeze_begin(&c, "box", true), -ENOENT);
	c.list[0].controllers = KEEPER_CONTROLLER_MEMORY;
	ck_assert_int_eq(cgroup_freeze_begin(&c, "box", true), -EOPNOTSUPP);
	ck_assert_int_eq(cgroup_freeze_done(&c, "box", true), -EOPNOTSUPP);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("freezer");
	TCase *t = tcase_create("freezer");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_v1);
	tcase_add_test(t, test_v1_asks_again);
	tcase_add_test(t, test_v2);
	tcase_add_test(t, test_nothing_to_write_to);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
