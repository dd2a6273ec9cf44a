/* SPDX-License-Identifier: Apache-2.0 */
/* OCI runtimes that fail in one way each, for test_faults.py. FAKE_MODE says how; the real crun
 * does the work where some is needed. Static, since the keeper runs a copy of the file in memory.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	FAKE_EARLY,
	FAKE_LATE,
	FAKE_HANG,
	FAKE_HANG_LATE,
	FAKE_CRASH,
	FAKE_NOISY,
	FAKE_LIAR,
	FAKE_STRAY
};

static int run_real(char **argv)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)execv("/usr/bin/crun", argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void hang(void)
{
	(void)signal(SIGTERM, SIG_IGN);
	for (;;)
		(void)pause();
}

/* A process that has nothing by which it is found, but is in the cgroup. */
static void leave_stray(void)
{
	if (fork() != 0)
		return;
	(void)setsid();
	(void)prctl(PR_SET_NAME, "stray");
	(void)close_range(0, ~0U, 0);
	hang();
}

/* 10 MB of text without a newline: nobody may keep all of it. */
static void shout(void)
{
	static char block[1 << 16];

	memset(block, 'E', sizeof(block));
	for (int i = 0; i < 160; i++)
		if (write(2, block, sizeof(block)) < 0)
			return;
}

/* Only what starts a container fails: `delete`, `kill` and `--version` are the real one's. */
static int starts(char **argv)
{
	for (; *argv; argv++)
		if (strcmp(*argv, "run") == 0 || strcmp(*argv, "create") == 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	(void)argc;
	if (!starts(argv))
		return run_real(argv);
	switch (FAKE_MODE) {
	case FAKE_EARLY:
		fprintf(stderr, "fake runtime: refuses early\n");
		return 1;
	case FAKE_LATE:
		(void)run_real(argv);
		fprintf(stderr, "fake runtime: fails late\n");
		return 1;
	case FAKE_STRAY:
		leave_stray();
		hang();
		break;
	case FAKE_HANG:
		hang();
		break;
	case FAKE_HANG_LATE:
		(void)run_real(argv);
		hang();
		break;
	case FAKE_CRASH:
		(void)raise(SIGSEGV);
		break;
	case FAKE_NOISY:
		shout();
		return 1;
	default: /* says that all went well and did nothing */
		return 0;
	}
	return 1;
}
