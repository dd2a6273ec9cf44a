/* SPDX-License-Identifier: Apache-2.0 */
/* The mark of an exec where no UTS namespaces are shown: it is inherited, and cannot be changed. */

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/mark.h"

#define LOW_ZERO ((void *)(uintptr_t)0x700000000000ull) /* its lower half is 0 */

struct limit {
	uint64_t current;
	uint64_t most;
};

/* 0, or the number of what went wrong. */
static int in_child(void)
{
	struct limit limit = { 5, 5 };
	struct limit *hidden;
	uint64_t mark = 0, seen = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 1;
	if (mark_take(77, &mark) < 0 || mark != 78)
		return 2;
	if (syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &limit, NULL) == 0 || errno != EPERM)
		return 3;
#ifdef SYS_setrlimit
	if (syscall(SYS_setrlimit, RLIMIT_NPROC, &limit) == 0 || errno != EPERM)
		return 4;
#endif
	/* a pointer of which only the upper half is not 0 */
	hidden = mmap(LOW_ZERO, sizeof(limit), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (hidden == LOW_ZERO) {
		*hidden = limit;
		if (syscall(SYS_prlimit64, 0, RLIMIT_NPROC, hidden, NULL) == 0 || errno != EPERM)
			return 5;
	}
	if (mark_read(0, &seen) < 0 || seen != mark)
		return 6;
	limit = (struct limit){ 64, 64 };
	if (syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL) < 0)
		return 7; /* another limit may be changed */
	return 0;
}

START_TEST(cannot_be_changed)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(in_child());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(who_is_gone_has_none)
{
	uint64_t mark;
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(mark_read(pid, &mark), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mark");
	TCase *t = tcase_create("mark");
	SRunner *r;
	int failed;

	tcase_add_test(t, cannot_be_changed);
	tcase_add_test(t, who_is_gone_has_none);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
