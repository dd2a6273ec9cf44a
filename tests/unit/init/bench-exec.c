/* SPDX-License-Identifier: Apache-2.0 */
/* An exec through init against a bare posix_spawn() from the same process, in turns: medians and
 * their ratio. Not a test: `meson compile bench-init-exec`, then run it as root with the test's
 * environment. */

#include <check.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "sandbox/seccomp.h"

#define ROUNDS 2000

static struct harness h;

static double now_usec(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double spawn_once(const char *program)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	char *envp[] = { NULL };
	double begin = now_usec();
	int status = 0;
	pid_t pid;

	ck_assert_int_eq(posix_spawn(&pid, program, NULL, NULL, argv, envp), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return now_usec() - begin;
}

static double exec_once(const char *program, int null)
{
	const char *const argv[] = { program, NULL };
	const struct harness_exec e = {
		.argv = argv, .uid = 1000, .gid = 1000, .fds = { null, null, null }
	};
	double begin = now_usec();
	uint64_t exec = harness_exec(&h, &e);

	(void)harness_exited(&h, exec);
	harness_ref(&h, INIT_ACK, exec);
	return now_usec() - begin;
}

static void measure(const char *label, const char *outside, const char *inside)
{
	static double bare[ROUNDS], ours[ROUNDS];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		bare[i] = spawn_once(outside);
		ours[i] = exec_once(inside, null);
	}
	qsort(bare, ROUNDS, sizeof(double), compare);
	qsort(ours, ROUNDS, sizeof(double), compare);
	(void)printf("%s: n %d, posix_spawn p50 %.0f p95 %.0f us, exec p50 %.0f p95 %.0f us, ratio "
		     "%.2f\n",
		     label, ROUNDS, bare[ROUNDS / 2], bare[ROUNDS * 95 / 100], ours[ROUNDS / 2],
		     ours[ROUNDS * 95 / 100], ours[ROUNDS / 2] / bare[ROUNDS / 2]);
	(void)close(null);
}

START_TEST(exec)
{
	const char *victim = getenv("INIT_VICTIM");
	int filter = -1;

	ck_assert_ptr_nonnull(victim);
	ck_assert_int_eq(seccomp_program_new(&filter, SECCOMP_PROFILE_PATH), 0);
	harness_start(&h, HARNESS_BINARY, -1, 0);
	measure("/bin/true, no filter", "/bin/true", "/bin/true");
	harness_stop(&h);
	harness_start(&h, HARNESS_BINARY, filter, 0);
	measure("/bin/true, filter", "/bin/true", "/bin/true");
	measure("static binary, filter", victim, "/tmp/victim");
	harness_stop(&h);
}
END_TEST

/* The harness asserts by Check, hence a suite. */
int main(void)
{
	Suite *suite = suite_create("bench-init-exec");
	TCase *c = tcase_create("bench");
	SRunner *runner;
	int failed;

	tcase_add_test(c, exec);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK); /* and so without its timeout */
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
