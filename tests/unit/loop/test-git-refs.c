/* SPDX-License-Identifier: Apache-2.0 */
/* Refs from files as an agent may have left them, and what is different from before. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/git-refs.h"
#include "macro.h"
#include "sandbox/workspace.h"
#include "util/path.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define OTHER "fedcba9876543210fedcba9876543210fedcba98"

static char dir[64];

static const char *at(const char *name)
{
	static char path[160];

	(void)snprintf(path, sizeof(path), "%s/.git/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	static const char *const dirs[] = { "", "objects", "refs", "refs/heads", "refs/tags" };
	size_t i;

	strcpy(dir, "/var/tmp/test-git-refs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		ck_assert_int_eq(mkdir(at(dirs[i]), 0755), 0);
	put("HEAD", "ref: refs/heads/main\n");
	put("refs/heads/main", SHA "\n");
	put("packed-refs", "# pack-refs with: peeled\n" OTHER " refs/heads/main\n" SHA
			   " refs/heads/old\n" SHA " refs/tags/v1\n^" OTHER "\n");
}

static void teardown(void)
{
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

static int read_refs(struct git_refs *ret)
{
	const struct workspace_policy policy = { .peer = getuid() };
	const struct workspace_params params = { .path = dir };
	struct workspace *w = NULL;
	int r;

	ck_assert_int_eq(workspace_open(&w, &params, "workDir", &policy, NULL), 0);
	r = git_refs_read(w, ret);
	(void)workspace_free(w);
	return r;
}

START_TEST(a_file_counts_before_a_line)
{
	CLEANUP_REFS struct git_refs refs = { 0 };

	put("refs/heads/main.lock", "");
	put("refs/tags/a", "ref: refs/heads/old\n");
	ck_assert_int_eq(read_refs(&refs), 0);
	ck_assert_str_eq(refs.head, "refs/heads/main");
	ck_assert_uint_eq(refs.refs.count, 4);
	ck_assert_str_eq(refs.refs.items[0], SHA " refs/heads/main");
	ck_assert_str_eq(refs.refs.items[1], SHA " refs/heads/old");
	ck_assert_str_eq(refs.refs.items[2], "@refs/heads/old refs/tags/a");
	ck_assert_str_eq(refs.refs.items[3], SHA " refs/tags/v1");
}
END_TEST

START_TEST(what_changed_is_named)
{
	CLEANUP_REFS struct git_refs before = { 0 }, after = { 0 };
	CLEANUP_STRINGS struct string_list changed = { 0 };

	ck_assert_int_eq(read_refs(&before), 0);
	put("HEAD", SHA "\n");
	put("refs/heads/main", OTHER "\n");
	put("refs/heads/new", SHA "\n");
	put("refs/heads/old", SHA "\n"); /* has a file now: the same ref */
	put("packed-refs", SHA " refs/heads/main\n");
	ck_assert_int_eq(read_refs(&after), 0);
	ck_assert_ptr_null(after.head);
	ck_assert_int_eq(git_refs_compare(&before, &after, before.head, &changed), 0);
	ck_assert_uint_eq(changed.count, 2);
	ck_assert_str_eq(changed.items[0], "refs/heads/new");
	ck_assert_str_eq(changed.items[1], "refs/tags/v1");
	string_list_deinit(&changed);
	ck_assert_int_eq(git_refs_compare(&before, &after, NULL, &changed), 0);
	ck_assert_uint_eq(changed.count, 3);
	ck_assert_str_eq(changed.items[0], "refs/heads/main");
}
END_TEST

/* Nothing is followed or waited for. */
START_TEST(what_an_agent_can_put_there)
{
	CLEANUP_REFS struct git_refs refs = { 0 };
	char name[64];
	int i;

	ck_assert_int_eq(mkfifo(at("refs/heads/fifo"), 0600), 0);
	ck_assert_int_eq(symlink("/etc/passwd", at("refs/heads/link")), 0);
	ck_assert_int_eq(symlink("/proc", at("refs/heads/tree")), 0);
	put("refs/heads/rubbish", "ref: \n");
	ck_assert_int_eq(read_refs(&refs), 0);
	ck_assert_uint_eq(refs.refs.count, 7);
	ck_assert_str_eq(refs.refs.items[0], "? refs/heads/fifo");
	ck_assert_str_eq(refs.refs.items[1], "? refs/heads/link");
	ck_assert_str_eq(refs.refs.items[4], "? refs/heads/rubbish");
	ck_assert_str_eq(refs.refs.items[5], "? refs/heads/tree");
	git_refs_deinit(&refs);
	ck_assert_int_eq(unlink(at("packed-refs")), 0);
	ck_assert_int_eq(mkfifo(at("packed-refs"), 0600), 0);
	ck_assert_int_eq(read_refs(&refs), -E2BIG);
	ck_assert_int_eq(unlink(at("packed-refs")), 0);
	for (i = 0; i <= GIT_REFS_LOOSE_MAX; i++) {
		(void)snprintf(name, sizeof(name), "refs/tags/t%d", i);
		put(name, "");
	}
	ck_assert_int_eq(read_refs(&refs), -E2BIG);
	ck_assert_uint_eq(refs.refs.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("git-refs");
	TCase *t = tcase_create("git-refs");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_file_counts_before_a_line);
	tcase_add_test(t, what_changed_is_named);
	tcase_add_test(t, what_an_agent_can_put_there);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
