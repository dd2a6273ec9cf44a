/* SPDX-License-Identifier: Apache-2.0 */
/* init stands in vfork until what it starts has executed the command. For one system call before
 * that the child is within reach of the agent's signals (init/spawn.c), and a SIGSTOP then holds
 * init up too. Nobody in the sandbox can undo it but another process of the agent's; we can, from
 * outside. What runs the agent's programs is left alone: its stops are the agent's business. */

#include "nudge.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"
#include "macro.h"

#define PATH_SIZE 64

static bool same_program(pid_t a, pid_t b)
{
	char path[PATH_SIZE];
	struct stat sa, sb;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", a);
	if (stat(path, &sa) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", b);
	return stat(path, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* The state is behind the name, which may hold anything. */
static bool is_stopped(pid_t pid)
{
	char path[PATH_SIZE], text[256];
	const char *end;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_get_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		return false;
	end = strrchr(text, ')');
	return end && strncmp(end, ") T ", 4) == 0;
}

static bool go_on(pid_t pid, pid_t init)
{
	CLEANUP_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);

	return pidfd >= 0 && is_stopped(pid) && same_program(pid, init) &&
	       syscall(SYS_pidfd_send_signal, pidfd, SIGCONT, NULL, 0u) == 0;
}

int nudge(pid_t init)
{
	char path[PATH_SIZE];
	FILE *children;
	int count = 0;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", init, init);
	children = fopen(path, "re");
	if (!children)
		return -errno;
	while (fscanf(children, "%d", &pid) == 1)
		count += go_on(pid, init);
	(void)fclose(children); /* only read from */
	return count;
}
