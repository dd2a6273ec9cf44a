/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of outputs, counted in characters; sentences about ends. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loop/run-text.h"
#include "macro.h"
#include "sandbox/exec.h"

#define BAD "\xef\xbf\xbd"

static const struct {
	const char *data;
	size_t size;
	uint64_t characters;
	const char *want;
} tails[] = {
	{ "", 0, 10, "" },
	{ NULL, 0, 10, "" },
	{ "abc", 3, 10, "abc" },
	{ "abc", 3, 3, "abc" },
	{ "abc", 3, 2, "bc" },
	{ "abc", 3, 0, "" },
	{ "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10, 2, "\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10, 3, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "\xa4"
	  "b",
	  2, 10, BAD "b" },          /* cut off in front */
	{ "b\xc3", 2, 10, "b" BAD }, /* and behind */
	{ "a\0b", 3, 10, "a" BAD "b" },
	{ "a\xff\xfe"
	  "b",
	  4, 2, BAD "b" },
	{ "\xed\xa0\x80", 3, 10, BAD BAD BAD }, /* a surrogate */
	{ "\xff\xff\xff\xff", 4, 10, BAD BAD BAD BAD },
};

START_TEST(the_end_is_whole_characters)
{
	char *text = run_text_tail(tails[_i].data, tails[_i].size, tails[_i].characters);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, tails[_i].want);
	free(text);
}
END_TEST

static const struct {
	struct exec_result result;
	int64_t timeout_ms;
	const char *want;
} endings[] = {
	{ { .cause = EXEC_CAUSE_EXITED }, 1, "exited with status 0" },
	{ { .cause = EXEC_CAUSE_EXITED, .exit_code = 3 }, 1, "exited with status 3" },
	{ { .cause = EXEC_CAUSE_SIGNALED, .signal = SIGSEGV }, 1, "was killed by signal 11" },
	{ { .cause = EXEC_CAUSE_OOM, .signal = SIGKILL },
	  1,
	  "was killed by signal 9 (out of memory)" },
	{ { .cause = EXEC_CAUSE_TIMEOUT }, 1200000, "timed out after 1200 s" },
	{ { .cause = EXEC_CAUSE_TIMEOUT }, 1500, "timed out after 1500 ms" },
	{ { .cause = EXEC_CAUSE_CANCELLED }, 1, "was cancelled" },
	{ { .cause = EXEC_CAUSE_LEASE_REVOKED }, 1, "was ended because its lease was revoked" },
	{ { .cause = EXEC_CAUSE_DISK_FULL },
	  1,
	  "was ended because no space was left for its output" },
	{ { .cause = EXEC_CAUSE_SANDBOX_LOST }, 1, "was lost with its sandbox" },
	{ { .cause = EXEC_CAUSE_NEVER_STARTED, .start_errno = ENOENT },
	  1,
	  "could not be started: No such file or directory" },
};

START_TEST(every_cause_has_its_words)
{
	char *text = run_text_ending(&endings[_i].result, endings[_i].timeout_ms);

	ck_assert_ptr_nonnull(text);
	ck_assert_str_eq(text, endings[_i].want);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop/run-text");
	TCase *t = tcase_create("run-text");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, the_end_is_whole_characters, 0, (int)ARRAY_SIZE(tails));
	tcase_add_loop_test(t, every_cause_has_its_words, 0, (int)ARRAY_SIZE(endings));
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
