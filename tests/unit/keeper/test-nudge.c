/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nudge.h"

/* A stopped child of ours: of this program, or of another. */
static pid_t stopped_child(const char *program)
{
	pid_t pid = fork();

	assert(pid >= 0);
	if (pid == 0) {
		if (program) {
			execl("/bin/sh", "sh", "-c", program, NULL);
			_exit(127);
		}
		(void)raise(SIGSTOP);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, WUNTRACED), pid);
	return pid;
}

START_TEST(who_is_on_its_way_goes_on)
{
	pid_t pid = stopped_child(NULL);
	int status;

	ck_assert_int_eq(nudge(getpid()), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(nudge(getpid()), 0);
}
END_TEST

START_TEST(a_command_stays_stopped)
{
	pid_t pid = stopped_child("kill -STOP $$");

	ck_assert_int_eq(nudge(getpid()), 0);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(nudge(pid), -ENOENT); /* gone */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nudge");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(t, who_is_on_its_way_goes_on);
	tcase_add_test(t, a_command_stays_stopped);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
