/* SPDX-License-Identifier: Apache-2.0 */
/* HEAD from files as an agent may have left them. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/git-head.h"
#include "sandbox/workspace.h"
#include "util/path.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define OTHER "fedcba9876543210fedcba9876543210fedcba98"

static char dir[64];

static void put(const char *name, const char *text)
{
	char path[160];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static void make(const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void setup(void)
{
	static const char *const dirs[] = { ".git", ".git/objects", ".git/refs", ".git/refs/heads",
					    ".git/refs/heads/a" };

	strcpy(dir, "/var/tmp/test-git-head-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make(dirs[i]);
	put(".git/config", "");
}

static void teardown(void)
{
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

static int head(char sha[static GIT_SHA_SIZE])
{
	const struct workspace_policy policy = { .peer = getuid() };
	const struct workspace_params params = { .path = dir };
	struct workspace *w = NULL;
	int r;

	ck_assert_int_eq(workspace_open(&w, &params, "workDir", &policy, NULL), 0);
	r = git_head_read(w, sha);
	(void)workspace_free(w);
	return r;
}

START_TEST(a_branch_a_commit_a_packed_one)
{
	char sha[GIT_SHA_SIZE];

	put(".git/HEAD", "ref: refs/heads/a/b\n");
	ck_assert_int_lt(head(sha), 0); /* no commit yet */
	put(".git/packed-refs", "# pack-refs with: peeled\n" OTHER " refs/heads/a\n" SHA
				" refs/heads/a/b\n^" OTHER "\n");
	ck_assert_int_eq(head(sha), 0);
	ck_assert_str_eq(sha, SHA);
	put(".git/refs/heads/a/b", OTHER "\n");
	ck_assert_int_eq(head(sha), 0);
	ck_assert_str_eq(sha, OTHER);
	put(".git/HEAD", SHA "\n");
	ck_assert_int_eq(head(sha), 0);
	ck_assert_str_eq(sha, SHA);
}
END_TEST

START_TEST(what_an_agent_can_put_there)
{
	static const char *const heads[] = {
		"",
		"ref: \n",
		"ref: ../../../etc/passwd\n",
		"ref: refs/../../outside\n",
		"ref: refs/heads/link\n",
		"ref: refs/heads/fifo\n",
		"ref: refs/heads/text\n",
		"ref: refs/heads\n",
		SHA SHA "\n",
		"0123\n",
	};
	char sha[GIT_SHA_SIZE], path[160];

	put("outside", SHA "\n");
	put(".git/refs/heads/text", "; rm -rf /\n");
	(void)snprintf(path, sizeof(path), "%s/.git/refs/heads/link", dir);
	ck_assert_int_eq(symlink("../../../outside", path), 0);
	(void)snprintf(path, sizeof(path), "%s/.git/refs/heads/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		put(".git/HEAD", heads[i]);
		ck_assert_msg(head(sha) < 0, "%s", heads[i]);
	}
	(void)snprintf(path, sizeof(path), "%s/.git/packed-refs", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	put(".git/HEAD", "ref: refs/heads/x\n");
	ck_assert_int_lt(head(sha), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop/git-head");
	TCase *t = tcase_create("git-head");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_branch_a_commit_a_packed_one);
	tcase_add_test(t, what_an_agent_can_put_there);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
