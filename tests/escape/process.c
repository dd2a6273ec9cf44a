/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the host, of the sandbox's init, and of another user in the same sandbox. */

#include "escape.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* PID COMM: a process of the host's; neither it nor anything by its name is seen. */
static int see_host(char **argv)
{
	pid_t pid = (pid_t)atoi(argv[0]);
	DIR *d = opendir("/proc");
	struct dirent *e;
	int holes = 0;

	holes += tried(kill(pid, 0) == 0 && pid > 30000, "kill %d 0", (int)pid);
	while (d && (e = readdir(d))) {
		char path[300], comm[64] = "";
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		(void)!read(fd, comm, sizeof(comm) - 1);
		(void)close(fd);
		if (argv[1] && strcmp(comm, argv[1]) == 0)
			holes += tried(true, "see %s as /proc/%s", argv[1], e->d_name);
	}
	if (d)
		(void)closedir(d);
	errno = ESRCH;
	(void)tried(false, "look for %s in /proc", argv[1] ? argv[1] : "?");
	return holes;
}

/* Everything that a signal reaches is inside: the caller looks at its own processes afterwards. */
static int kill_everything(char **argv)
{
	(void)argv;
	(void)signal(SIGTERM, SIG_IGN);
	(void)tried(kill(-1, SIGTERM) == 12345, "kill -1 TERM");
	(void)tried(kill(1, SIGKILL) == 12345, "kill 1 KILL");
	(void)tried(kill(1, SIGTERM) == 12345, "kill 1 TERM");
	(void)tried(kill(1, SIGSTOP) == 12345, "kill 1 STOP");
	(void)tried(kill(1, SIGSEGV) == 12345, "kill 1 SEGV");
	return 0;
}

static int trace_init(char **argv)
{
	char byte = 0;
	struct iovec local = { &byte, 1 };
	struct iovec remote = { (void *)0x400000, 1 };
	int holes = 0;
	int fd;

	(void)argv;
	holes += tried(ptrace(PTRACE_ATTACH, 1, NULL, NULL) == 0, "ptrace attach to 1");
	holes += tried(ptrace(PTRACE_SEIZE, 1, NULL, NULL) == 0, "ptrace seize 1");
	errno = 0;
	holes += tried(process_vm_readv(1, &local, 1, &remote, 1, 0) == 1 || errno == EFAULT,
		       "read memory of 1");
	errno = 0;
	holes += tried(process_vm_writev(1, &local, 1, &remote, 1, 0) == 1 || errno == EFAULT,
		       "write memory of 1");
	fd = (int)syscall(SYS_pidfd_open, 1, 0);
	for (int i = 0; fd >= 0 && i < 16; i++) {
		int got = (int)syscall(SYS_pidfd_getfd, fd, i, 0);

		holes += tried(got >= 0, "pidfd_getfd %d of 1", i);
	}
	return holes;
}

/* PID...: processes in this sandbox that run as another user. */
static int trace_pids(char **argv)
{
	int holes = 0;

	for (; *argv; argv++) {
		pid_t pid = (pid_t)atoi(*argv);
		char path[64];

		holes += tried(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == 0, "ptrace %s", *argv);
		holes += tried(ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0, "seize %s", *argv);
		(void)snprintf(path, sizeof(path), "/proc/%s/mem", *argv);
		holes += tried(open(path, O_RDWR | O_CLOEXEC) >= 0, "open %s", path);
		(void)snprintf(path, sizeof(path), "/proc/%s/environ", *argv);
		if (geteuid() != 0) {
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			char byte;

			holes += tried(fd >= 0 && read(fd, &byte, 1) > 0, "read %s", path);
		}
	}
	return holes;
}

/* A directory of which something can be read: the numbers alone say nothing. */
static bool shows_entries(int fd)
{
	DIR *d = errno == EISDIR ? fdopendir(dup(fd)) : NULL;
	struct dirent *e;
	bool any = false;

	while (d && (e = readdir(d))) {
		char target[64];
		int entry = e->d_name[0] == '.' ? -1 : openat(fd, e->d_name, O_RDONLY | O_CLOEXEC);

		any = any || entry >= 0 || readlinkat(fd, e->d_name, target, sizeof(target)) > 0;
		if (entry >= 0)
			(void)close(entry);
	}
	if (d)
		(void)closedir(d);
	return any;
}

/* What /proc/1 could show of the keeper and the host. */
static int proc_one(char **argv)
{
	static const char *const files[] = {
		"environ", "mem",    "maps", "auxv",      "io",         "syscall",       "stack",
		"pagemap", "fdinfo", "fd",   "map_files", "task/1/mem", "task/1/environ"
	};
	static const char *const links[] = { "exe",    "root",   "cwd",    "ns/mnt",    "ns/user",
					     "ns/net", "ns/pid", "ns/ipc", "ns/cgroup", "fd/3",
					     "fd/0",   "fd/1",   "ns/uts" };
	char path[64], byte;
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd;
		bool readable;

		(void)snprintf(path, sizeof(path), "/proc/1/%s", files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		readable = fd >= 0 && (read(fd, &byte, 1) > 0 || shows_entries(fd));
		holes += tried(readable, "read %s", path);
		if (fd >= 0)
			(void)close(fd);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char target[256];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/1/%s", links[i]);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		holes += tried(n >= 0, "readlink %s %s", path, target);
		holes += tried(open(path, O_RDONLY | O_CLOEXEC) >= 0, "open %s", path);
	}
	return holes;
}

/* Out of the session into the terminal that was lent: TIOCSTI types for its owner. */
static int type_for_owner(char **argv)
{
	static const char text[] = "touch hacked\n";
	int holes = 0;

	(void)argv;
	for (int fd = 0; fd < 3; fd++) {
		size_t done = 0;

		if (!isatty(fd))
			continue;
		(void)syscall(SYS_ioctl, fd, 0x540eUL /* TIOCSCTTY */, 1);
		for (size_t i = 0; i < sizeof(text) - 1; i++)
			if (syscall(SYS_ioctl, fd, 0x5412UL /* TIOCSTI */, &text[i]) == 0)
				done++;
		holes += tried(done > 0, "TIOCSTI on %d (%zu bytes)", fd, done);
		/* the high half is ignored by the kernel and must be by the filter too */
		holes += tried(syscall(SYS_ioctl, fd, 0x100005412UL, "x") == 0,
			       "TIOCSTI with a high half on %d", fd);
		holes += tried(syscall(SYS_ioctl, fd, 0x541cUL /* TIOCLINUX */, "\3") == 0,
			       "TIOCLINUX on %d", fd);
	}
	return holes;
}

const struct attempt process_attempts[] = {
	{ "see-host", WHO_BOTH, "PID NAME", see_host },
	{ "kill-everything", WHO_BOTH, NULL, kill_everything },
	{ "trace-init", WHO_BOTH, NULL, trace_init },
	{ "trace-pids", WHO_BOTH, "PID...", trace_pids },
	{ "proc-one", WHO_BOTH, NULL, proc_one },
	{ "type-for-owner", WHO_BOTH, NULL, type_for_owner },
	{ NULL, 0, NULL, NULL },
};
