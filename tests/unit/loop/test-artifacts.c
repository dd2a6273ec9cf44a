/* SPDX-License-Identifier: Apache-2.0 */
/* What the script prints is read; what it would never print is not. And the script itself, on
 * repositories that the test makes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "loop/artifacts-output.h"
#include "loop/artifacts.h"
#include "macro.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"
#define OUTPUT_MAX (8u << 20)
#define PATCH_MAX "65536"

static struct artifacts_result result;
static char top[64];

static void setup(void)
{
	memset(&result, 0, sizeof(result));
	(void)snprintf(top, sizeof(top), "/tmp/test-artifacts.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void teardown(void)
{
	char command[128];

	artifacts_result_deinit(&result);
	(void)snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

/* ---- the parser ---- */

#define PARSE(text) artifacts_parse(&result, text, sizeof(text) - 1)

START_TEST(reads_every_record)
{
	ck_assert_int_eq(PARSE("head\0"
			       "40\0" SHA "base\0"
			       "40\0" SHA "uncommitted\0"
			       "1\0"
			       "1"
			       "unreachable\0"
			       "0\0"
			       "touched\0"
			       "8\0"
			       "b\0a\nb\0b\0"
			       "patch\0"
			       "3\0"
			       "x\0y"
			       "end\0"
			       "0\0"),
			 0);
	ck_assert_str_eq(result.head_sha, SHA);
	ck_assert_str_eq(result.base_sha, SHA);
	ck_assert(result.uncommitted);
	ck_assert(!result.unreachable_commits);
	ck_assert_uint_eq(result.touched.count, 2);
	ck_assert_str_eq(result.touched.items[0], "a\nb");
	ck_assert_str_eq(result.touched.items[1], "b");
	ck_assert_ptr_null(result.touched.items[2]);
	ck_assert_uint_eq(result.patch_size, 3);
	ck_assert_mem_eq(result.patch, "x\0y", 3);
	ck_assert_ptr_null(result.empty_because);
}
END_TEST

START_TEST(what_is_packed_is_read_again)
{
	struct artifacts_result packed = { .judged = true,
					   .uncommitted = true,
					   .touched_truncated = true };
	CLEANUP_STR char *block = NULL;
	size_t size = 0;

	packed.head_sha = strdup(SHA);
	packed.patch = strdup("x");
	packed.patch_size = 2; /* with its NUL */
	packed.empty_because = strdup("git_failed: it");
	ck_assert_int_eq(string_list_add(&packed.touched, "a\nb"), 0);
	ck_assert_int_eq(string_list_add(&packed.touched, "c"), 0);
	ck_assert_int_eq(string_list_add(&packed.gits, "d/.git"), 0);
	ck_assert_int_eq(artifacts_pack(&packed, &block, &size), 0);
	artifacts_result_deinit(&packed);
	ck_assert_int_eq(artifacts_parse(&result, block, size), 0);
	ck_assert_str_eq(result.head_sha, SHA);
	ck_assert_ptr_null(result.base_sha);
	ck_assert(result.judged && result.uncommitted && !result.unreachable_commits);
	ck_assert(result.touched_truncated);
	ck_assert_uint_eq(result.touched.count, 2);
	ck_assert_str_eq(result.touched.items[0], "a\nb");
	ck_assert_uint_eq(result.gits.count, 1);
	ck_assert_str_eq(result.gits.items[0], "d/.git");
	ck_assert_uint_eq(result.patch_size, 2);
	ck_assert_mem_eq(result.patch, "x", 2);
	ck_assert_str_eq(result.empty_because, "git_failed: it");
}
END_TEST

START_TEST(keeps_what_came_before_the_end_was_missing)
{
	ck_assert_int_eq(PARSE("head\0"
			       "40\0" SHA "patch\0"
			       "9\0"
			       "short"),
			 -EBADMSG);
	ck_assert_str_eq(result.head_sha, SHA);
	ck_assert_ptr_null(result.patch);
}
END_TEST

START_TEST(refuses_what_the_script_does_not_print)
{
	static const struct {
		const char *text;
		size_t size;
	} bad[] = {
#define BAD(t) { t, sizeof(t) - 1 }
		BAD(""),
		BAD("end"),
		BAD("end\0"
		    "0"),
		BAD("end\0"
		    "0\0more"),
		BAD("nothing\0"
		    "0\0end\0"
		    "0\0"),
		BAD("a key that is too long to be one\0"
		    "0\0"),
		BAD("end\0-0\0"),
		BAD("end\0\0"),
		BAD("end\0 0\0"),
		BAD("patch\0"
		    "18446744073709551616\0"),
		BAD("patch\0"
		    "0\0end\0"
		    "0\0"),
		BAD("head\0"
		    "4\0abcdend\0"
		    "0\0"),
		BAD("head\0"
		    "40\0x123456789abcdef0123456789abcdef01234567end\0"
		    "0\0"),
		BAD("head\0"
		    "40\0" SHA "head\0"
		    "40\0" SHA "end\0"
		    "0\0"),
		BAD("touched\0"
		    "1\0\0end\0"
		    "0\0"),
		BAD("touched\0"
		    "1\0aend\0"
		    "0\0"),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(artifacts_parse(&result, bad[i].text, bad[i].size) == -EBADMSG,
			      "number %zu is taken", i);
		artifacts_result_deinit(&result);
	}
}
END_TEST

START_TEST(names_are_cut_at_their_number)
{
	size_t n = ARTIFACTS_TOUCHED_MAX + 2, used, i;
	CLEANUP_STR char *text = malloc(n * 8 + 64);

	used = (size_t)sprintf(text, "touched%c%zu%c", 0, n * 8, 0);
	for (i = 0; i < n; i++)
		used += (size_t)sprintf(text + used, "n%06zu", i) + 1;
	memcpy(text + used,
	       "end\0"
	       "0",
	       6);
	ck_assert_int_eq(artifacts_parse(&result, text, used + 6), 0);
	ck_assert_uint_eq(result.touched.count, ARTIFACTS_TOUCHED_MAX);
	ck_assert(result.touched_truncated);
}
END_TEST

START_TEST(a_list_that_was_cut_in_a_name_loses_that_name)
{
	size_t used;
	CLEANUP_STR char *text = malloc(ARTIFACTS_NAMES_BYTES_MAX + 64);

	used = (size_t)sprintf(text, "touched%c%u%c", 0, ARTIFACTS_NAMES_BYTES_MAX, 0);
	memset(text + used, 'x', ARTIFACTS_NAMES_BYTES_MAX);
	text[used + 3] = '\0';
	used += ARTIFACTS_NAMES_BYTES_MAX;
	memcpy(text + used,
	       "end\0"
	       "0",
	       6);
	ck_assert_int_eq(artifacts_parse(&result, text, used + 6), 0);
	ck_assert_uint_eq(result.touched.count, 1);
	ck_assert_str_eq(result.touched.items[0], "xxx");
	ck_assert(result.touched_truncated);
}
END_TEST

START_TEST(a_reason_is_one_printable_line)
{
	ck_assert_int_eq(PARSE("failed\0"
			       "14\0"
			       "git_failed: \n\x1b"
			       "end\0"
			       "0\0"),
			 0);
	ck_assert_str_eq(result.empty_because, "git_failed: ??");
}
END_TEST

/* ---- the script ---- */

/* Runs SCRIPT by the shell, in the directory of the test. */
static void sh(const char *script)
{
	size_t size = strlen(script) + sizeof(top) + 512;
	CLEANUP_STR char *text = malloc(size);

	(void)snprintf(text, size,
		       "set -eu; export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n "
		       "GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=a@b; "
		       "exec >/dev/null; cd %s; top=$PWD; %s",
		       top, script);
	ck_assert_msg(system(text) == 0, "%s", script);
}

static void repository(void)
{
	sh("git init -q -b main r; cd r; echo a >a; printf '\\0\\1' >bin; mkdir d; echo x >d/x; "
	   "echo gone >gone; echo '*.o' >.gitignore; git add .; git commit -q -m 1; "
	   "git rev-parse HEAD >../base");
}

/* The script's exit status and output, read into `result`. BASE: names a commit, or "". */
static void look(const char *directory, const char *base, const char *patch_max)
{
	char script[96], command[1024];
	CLEANUP_STR char *output = malloc(OUTPUT_MAX);
	size_t size;
	FILE *f;

	artifacts_result_deinit(&result);
	(void)snprintf(script, sizeof(script), "%s/script", top);
	f = fopen(script, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(artifacts_script, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	/* it can write nothing there, and tries nothing of the kind */
	sh("find $top/r $top/w $top/none ! -type d -printf '%p %T@ %C@\\n' 2>$top/no | sort "
	   ">before || :");
	(void)snprintf(command, sizeof(command),
		       "cd /; base='%s'; [ -z \"$base\" ] || base=$(git -C %s/%s rev-parse "
		       "\"$base\");"
		       "TMPDIR=%s exec sh %s %s/%s \"$base\" %s 1048576 1.5 65536",
		       base, top, directory, top, script, top, directory, patch_max);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	size = fread(output, 1, OUTPUT_MAX, f);
	ck_assert_int_eq(pclose(f), 0);
	sh("find $top/r $top/w $top/none ! -type d -printf '%p %T@ %C@\\n' 2>$top/no | sort >after "
	   "|| :; "
	   "cmp before after");
	ck_assert_int_eq(artifacts_parse(&result, output, size), 0);
}

static void check_touched(const char *const *names)
{
	size_t i;

	for (i = 0; names[i]; i++) {
		ck_assert_msg(i < result.touched.count, "%s is missing", names[i]);
		ck_assert_str_eq(result.touched.items[i], names[i]);
	}
	ck_assert_uint_eq(result.touched.count, i);
}

/* The patch on BASE makes the tree that is there. */
static void check_patch(const char *base)
{
	char path[96], script[512];
	FILE *f;

	ck_assert_msg(result.patch, "no patch: %s", result.empty_because);
	(void)snprintf(path, sizeof(path), "%s/patch", top);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(result.patch, 1, result.patch_size, f), result.patch_size);
	ck_assert_int_eq(fclose(f), 0);
	(void)snprintf(script, sizeof(script),
		       "rm -rf c; git clone -q -n r c; cd c; git read-tree %s; git checkout-index "
		       "-a; "
		       "git apply ../patch; cd ../r; rm -rf sub; mv .git ../kept; cd ..; "
		       "rm -rf c/.git; diff -r c r; mv kept r/.git",
		       base);
	sh(script);
}

#define FILES(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(a_patch_makes_the_same_tree)
{
	repository();
	sh("cd r; echo 2 >>a; git commit -q -a -m 2; echo 3 >>d/x; rm gone; printf '\\0\\2' >bin; "
	   "printf new >\"$(printf 'n\\nl\\377')\"; echo f >f.o; git add -f f.o; ln -s a link; "
	   "echo '#!' >exe; chmod +x exe; : >empty; mkdir -p u/v; echo w >u/v/w; "
	   "echo p >':(exclude)*'; echo p >'*'");
	look("r", "HEAD~1", PATCH_MAX);
	check_touched(FILES("*", ":(exclude)*", "a", "bin", "d/x", "empty", "exe", "f.o", "gone",
			    "link", "n\nl\377", "u/v/w"));
	ck_assert(result.uncommitted);
	ck_assert(!result.unreachable_commits);
	check_patch("HEAD~1");
	look("r", "", PATCH_MAX);
	ck_assert_str_eq(result.base_sha, result.head_sha);
	ck_assert_uint_eq(result.touched.count, 11);
	check_patch("HEAD");
}
END_TEST

START_TEST(files_and_directories_change_places)
{
	repository();
	sh("cd r; rm -r d a; echo file >d; mkdir a; echo in >a/in");
	look("r", "", PATCH_MAX);
	check_touched(FILES("a", "a/in", "d", "d/x"));
	check_patch("HEAD");
}
END_TEST

START_TEST(says_why_there_is_no_patch)
{
	repository();
	look("r", "", PATCH_MAX);
	ck_assert_str_eq(result.empty_because, "no_changes: nothing differs from the base commit");
	ck_assert(!result.uncommitted);
	ck_assert_uint_eq(result.touched.count, 0);
	sh("mkdir none; seq 9999 >r/new");
	look("none", "", PATCH_MAX);
	ck_assert(strncmp(result.empty_because, "no_repository: ", 15) == 0);
	ck_assert_ptr_null(result.head_sha);
	look("r", "", "1000");
	ck_assert(strncmp(result.empty_because, "too_large: ", 11) == 0);
	check_touched(FILES("new"));
	sh("truncate -s 3G r/new");
	look("r", "", PATCH_MAX);
	ck_assert_str_eq(result.empty_because,
			 "too_large: a file that changed has more than 67108864 bytes");
	sh("echo new >r/new");
	look("r", SHA, PATCH_MAX);
	ck_assert(strncmp(result.empty_because, "bad_base: ", 10) == 0);
	ck_assert_ptr_nonnull(result.head_sha);
	look("r", "", "0");
	ck_assert_ptr_null(result.empty_because);
	ck_assert_ptr_null(result.patch);
	check_touched(FILES("new"));
	sh("rm r/.git/HEAD");
	look("r", "", PATCH_MAX);
	ck_assert(strncmp(result.empty_because, "git_failed: fatal: ", 19) == 0);
}
END_TEST

START_TEST(a_repository_without_a_commit)
{
	sh("git init -q r; cd r; echo a >a; echo b >b; git add a");
	look("r", "", PATCH_MAX);
	ck_assert_ptr_null(result.head_sha);
	ck_assert_ptr_null(result.base_sha);
	ck_assert(result.uncommitted);
	check_touched(FILES("a", "b"));
	ck_assert_ptr_nonnull(result.patch);
}
END_TEST

START_TEST(commits_on_no_branch_are_named)
{
	repository();
	sh("cd r; git worktree add -q --detach ../w; cd ../w; echo 2 >>a; git commit -q -a -m 2");
	look("w", "main", PATCH_MAX);
	ck_assert(result.unreachable_commits);
	ck_assert(!result.uncommitted);
	check_touched(FILES("a"));
	ck_assert_ptr_nonnull(result.patch);
	sh("cd w; git checkout -q -b side");
	look("w", "main", PATCH_MAX);
	ck_assert(!result.unreachable_commits);
	sh("echo " SHA " >r/.git/refs/heads/broken");
	look("w", "main", PATCH_MAX);
	ck_assert(result.unreachable_commits); /* nobody knows */
	sh("rm r/.git/refs/heads/broken; cd w; git reset -q --hard HEAD~1");
	look("w", "main", PATCH_MAX);
	check_touched((const char *const[]){ NULL });
}
END_TEST

START_TEST(what_was_staged_or_committed_and_taken_back_is_touched)
{
	repository();
	sh("cd r; echo 2 >>a; git commit -q -a -m 2; git checkout -q HEAD~1 -- a; git reset -q; "
	   "echo s >>d/x; git add d/x; git show HEAD:d/x >d/x");
	look("r", "HEAD~1", PATCH_MAX);
	check_touched(FILES("a", "d/x"));
	ck_assert(result.uncommitted);
	ck_assert(strncmp(result.empty_because, "no_changes: ", 12) == 0);
}
END_TEST

/* An index can say of any file that it did not change. */
START_TEST(an_index_that_lies_is_not_believed)
{
	repository();
	sh("cd r; git update-index --assume-unchanged a; git update-index --skip-worktree d/x; "
	   "echo 2 >>a; echo 2 >>d/x; [ -z \"$(git status --porcelain)\" ]");
	look("r", "", PATCH_MAX);
	check_touched(FILES("a", "d/x"));
	check_patch("HEAD");
	sh("cd r; echo broken >.git/index");
	look("r", "", PATCH_MAX);
	check_touched(FILES("a", "d/x"));
	ck_assert_ptr_nonnull(result.patch);
}
END_TEST

/* Objects that stand for others, and a working tree that is somewhere else. */
START_TEST(a_repository_that_lies_is_not_believed)
{
	repository();
	sh("mkdir elsewhere; cd r; echo 2 >>a; was=$(git rev-parse HEAD); git commit -q -a -m 2; "
	   "git replace $was HEAD; [ -z \"$(git diff $was)\" ]; git config core.worktree "
	   "$top/elsewhere");
	look("r", "main~1", PATCH_MAX);
	check_touched(FILES("a"));
	ck_assert_ptr_nonnull(result.patch);
}
END_TEST

START_TEST(a_repository_around_it_is_another)
{
	repository();
	sh("git init -q .; rm r/.git/HEAD");
	look("r", "", PATCH_MAX);
	ck_assert(strncmp(result.empty_because, "git_failed: fatal: ", 19) == 0);
	sh("mkdir none");
	look("none", "", PATCH_MAX);
	ck_assert(strncmp(result.empty_because, "no_repository: ", 15) == 0);
}
END_TEST

START_TEST(a_sparse_checkout_misses_nothing)
{
	repository();
	sh("cd r; git sparse-checkout set --no-cone /a; [ ! -e bin ]; echo 2 >>a");
	look("r", "", PATCH_MAX);
	check_touched(FILES("a"));
	sh("cd r; echo there >bin");
	look("r", "", PATCH_MAX);
	check_touched(FILES("a", "bin"));
}
END_TEST

/* As git-lfs does: what is committed is not what lies there, and the program between them is not
 * run.
 */
START_TEST(a_filtered_file_is_touched_when_it_was_touched)
{
	repository();
	sh("cd r; git config filter.f.clean 'sed s/long/short/'; echo '*.f filter=f' "
	   ">.gitattributes; "
	   "echo long >a.f; echo long >b.f; git add .; git commit -q -m f; "
	   "[ $(git show HEAD:a.f) = short ]");
	look("r", "", PATCH_MAX);
	check_touched((const char *const[]){ NULL });
	sh("cd r; echo longer >b.f");
	look("r", "", PATCH_MAX);
	check_touched(FILES("b.f"));
}
END_TEST

START_TEST(repositories_inside_are_named)
{
	repository();
	sh("cd r; git init -q sub; echo s >sub/s; cd sub; git add s; git commit -q -m s");
	look("r", "", PATCH_MAX);
	check_touched(FILES("sub/"));
	ck_assert_uint_eq(result.gits.count, 1);
	ck_assert_str_eq(result.gits.items[0], "sub/.git");
	ck_assert(strncmp(result.empty_because, "no_changes: ", 12) == 0);
	sh("cd r; git -c advice.addEmbeddedRepo=false add sub; git commit -q -m sub; "
	   "echo more >>sub/s");
	look("r", "", PATCH_MAX);
	check_touched((const char *const[]){ NULL });
	look("r", "HEAD~1", PATCH_MAX);
	check_touched(FILES("sub"));
}
END_TEST

/* Every program that a repository can make git run leaves a mark. */
START_TEST(nothing_that_is_planted_runs)
{
	repository();
	sh("m() { printf '#!/bin/sh\\ntouch %s/mark-'$1'; cat' $top >$top/$1; chmod +x $top/$1; "
	   "printf %s/%s $top $1; }; cd r; "
	   "git config core.fsmonitor $(m fsmonitor); git config diff.external $(m external); "
	   "git config filter.f.clean $(m clean); git config filter.f.process $(m process); "
	   "git config filter.f.required true; git config diff.d.textconv $(m textconv); "
	   "git config diff.d.command $(m command); git config core.hooksPath $top/hooks; "
	   "git config core.pager $(m pager); git config core.sshCommand $(m ssh); "
	   "git config gpg.program $(m gpg); git config core.alternateRefsCommand $(m refs); "
	   "mkdir $top/hooks; for h in post-index-change pre-commit reference-transaction "
	   "post-checkout; do cp $(m hook) $top/hooks/$h; done; "
	   "printf 'd/x filter=f\\na diff=d\\nnew filter=f\\n' >.gitattributes; "
	   "echo 2 >>a; echo 2 >>d/x; echo n >new; git init -q sub; cd sub; "
	   "git config core.fsmonitor $top/fsmonitor; cd ..; ls $top; rm -f $top/mark-*");
	look("r", "HEAD", PATCH_MAX);
	sh("set -- mark-*; [ \"$*\" = 'mark-*' ]");
	check_touched(FILES(".gitattributes", "a", "d/x", "new", "sub/"));
	ck_assert_ptr_nonnull(result.patch);
	/* they do run otherwise: the test would see it */
	sh("cd r; git -c core.hooksPath= diff || true; [ -e $top/mark-fsmonitor ]");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop-artifacts");
	TCase *parser = tcase_create("parser"), *script = tcase_create("script");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, parser);
	tcase_add_checked_fixture(parser, setup, teardown);
	tcase_add_test(parser, reads_every_record);
	tcase_add_test(parser, what_is_packed_is_read_again);
	tcase_add_test(parser, keeps_what_came_before_the_end_was_missing);
	tcase_add_test(parser, refuses_what_the_script_does_not_print);
	tcase_add_test(parser, names_are_cut_at_their_number);
	tcase_add_test(parser, a_list_that_was_cut_in_a_name_loses_that_name);
	tcase_add_test(parser, a_reason_is_one_printable_line);
	suite_add_tcase(s, script);
	tcase_set_timeout(script, 60);
	tcase_add_checked_fixture(script, setup, teardown);
	tcase_add_test(script, a_patch_makes_the_same_tree);
	tcase_add_test(script, files_and_directories_change_places);
	tcase_add_test(script, says_why_there_is_no_patch);
	tcase_add_test(script, a_repository_without_a_commit);
	tcase_add_test(script, commits_on_no_branch_are_named);
	tcase_add_test(script, what_was_staged_or_committed_and_taken_back_is_touched);
	tcase_add_test(script, an_index_that_lies_is_not_believed);
	tcase_add_test(script, a_repository_that_lies_is_not_believed);
	tcase_add_test(script, a_repository_around_it_is_another);
	tcase_add_test(script, a_sparse_checkout_misses_nothing);
	tcase_add_test(script, a_filtered_file_is_touched_when_it_was_touched);
	tcase_add_test(script, repositories_inside_are_named);
	tcase_add_test(script, nothing_that_is_planted_runs);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
