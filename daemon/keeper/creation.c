/* SPDX-License-Identifier: Apache-2.0 */
#include "creation.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fence.h"
#include "files.h"
#include "macro.h"

void creation_step(struct creation *c, enum keeper_step step)
{
	c->result.step_us[step] = clock_now_us();
}

void creation_begin(struct creation *c, const struct runtime_job *job)
{
	*c = (struct creation){ .job = job, .ready = -1, .output = -1 };
	c->deadline = clock_now_ms() + job->timeout_ms;
	memcpy(c->result.step_us, job->step_us, sizeof(job->step_us));
	creation_step(c, KEEPER_STEP_WORKER);
	(void)snprintf(c->merged, sizeof(c->merged), TREE_PATH "/merged/%s", job->id);
	(void)snprintf(c->bundle, sizeof(c->bundle), TREE_PATH "/bundle/%s", job->id);
}

int creation_fail(struct creation *c, int error, const char *what)
{
	c->result.error = error;
	if (c->result.reason[0] == '\0')
		(void)snprintf(c->result.reason, sizeof(c->result.reason), "%s: %s", what,
			       strerror(-error));
	return error;
}

/* ---- the program ---- */

/* Moves three descriptors to 3, 4, 5 without one overwriting another. */
static int place_fds(const int *fds)
{
	int high[INIT_FD_COUNT];
	size_t i;

	for (i = 0; i < INIT_FD_COUNT; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
		if (high[i] < 0)
			return -errno;
	}
	for (i = 0; i < INIT_FD_COUNT; i++)
		if (dup2(high[i], INIT_FD_SOCKET + (int)i) < 0)
			return -errno;
	return 0;
}

void creation_child_failed(const char *what, int error)
{
	(void)dprintf(2, "%s: %s\n", what, strerror(-error)); /* becomes the reason */
	_exit(126);
}

void creation_prepare_child(const struct creation *c, const struct creation_fds *fds)
{
	int r;

	if (dup2(fds->in, 0) < 0 || dup2(fds->out, 1) < 0 || dup2(fds->out, 2) < 0)
		creation_child_failed("stdio", -errno);
	r = cgroup_join(c->job->cgroups, c->job->name);
	if (r < 0)
		creation_child_failed("cgroup", r);
	r = c->job->kind->listen ? 0 : place_fds(fds->to_init);
	if (r < 0)
		creation_child_failed("descriptors", r);
	(void)setrlimit(RLIMIT_NOFILE, c->job->nofile); /* lowering to what we were given */
	(void)signal(SIGPIPE, SIG_DFL);
}

void creation_execute(const struct creation *c, const char *const *argv)
{
	int memfd = c->job->runtime ? c->job->runtime->memfd : -1;
	const char *envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	if (memfd < 0) {
		(void)execve(c->job->program, (char *const *)(uintptr_t)argv,
			     (char *const *)(uintptr_t)envp);
		creation_child_failed(c->job->program, -errno);
	}
	(void)execveat(memfd, "", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp,
		       AT_EMPTY_PATH);
	/* a script's interpreter has to open it again */
	if (errno == ENOENT && fcntl(memfd, F_SETFD, 0) == 0)
		(void)execveat(memfd, "", (char *const *)(uintptr_t)argv,
			       (char *const *)(uintptr_t)envp, AT_EMPTY_PATH);
	creation_child_failed("runtime", -errno);
}

int creation_keep_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int capability;

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	data[0].effective = data[0].inheritable = data[0].permitted;
	data[1].effective = data[1].inheritable = data[1].permitted;
	if (syscall(SYS_capset, &head, data) < 0)
		return -errno;
	for (capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
			return -errno;
	return 0;
}

static int make_pipe(int *ret_read, int *ret_write)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

/* The program is read by each init from its start: a description of its own. An empty one is no
 * filter. */
static int open_seccomp(const struct runtime_job *job)
{
	char path[64];
	int fd;

	if (!job->kind->filtered) {
		fd = memfd_create("no filter", MFD_CLOEXEC);
	} else {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", job->seccomp);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

int creation_start(struct creation *c,
		   void (*child)(const struct creation *c, const struct creation_fds *fds),
		   pid_t *ret)
{
	CLEANUP_FD int in_read = -1, in_write = -1, out_write = -1, ready_write = -1;
	CLEANUP_FD int seccomp = open_seccomp(c->job);
	struct creation_fds fds;
	int r;

	if (seccomp < 0)
		return seccomp;
	if ((r = make_pipe(&in_read, &in_write)) < 0 ||
	    (r = make_pipe(&c->output, &out_write)) < 0 ||
	    (r = make_pipe(&c->ready, &ready_write)) < 0)
		return r;
	fds = (struct creation_fds){ in_read, out_write, { c->job->socket, seccomp, ready_write } };
	*ret = fork();
	if (*ret < 0)
		return -errno;
	if (*ret == 0)
		child(c, &fds);
	return 0;
}

/* Keeps the last words of the program; more than fits is dropped. */
static void hear(struct creation *c)
{
	char *end = c->result.reason + sizeof(c->result.reason) - 1;
	char buf[512];
	ssize_t n;

	n = read(c->output, buf, sizeof(buf));
	if (n <= 0) {
		c->output = close_fd(c->output);
		return;
	}
	if (n > end - (c->result.reason + c->said))
		n = end - (c->result.reason + c->said);
	memcpy(c->result.reason + c->said, buf, (size_t)n);
	c->said += (size_t)n;
	c->result.reason[c->said] = '\0';
}

/* Waits until FD is readable or the deadline, listening to the runtime meanwhile. */
static int wait_readable(struct creation *c, int fd)
{
	struct pollfd p[2];
	int64_t left;
	int n;

	for (;;) {
		left = c->deadline - clock_now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		p[0] = (struct pollfd){ fd, POLLIN, 0 };
		p[1] = (struct pollfd){ c->output, POLLIN, 0 };
		n = poll(p, 2, (int)left);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[1].revents != 0)
			hear(c);
		if (n > 0 && p[0].revents != 0)
			return 0;
	}
}

static void hear_rest(struct creation *c)
{
	if (c->output >= 0) {
		(void)fcntl(c->output, F_SETFL, O_NONBLOCK); /* cannot fail on a pipe */
		hear(c);
	}
	while (c->said > 0 && c->result.reason[c->said - 1] == '\n')
		c->result.reason[--c->said] = '\0';
}

int creation_wait_program(struct creation *c, pid_t pid)
{
	CLEANUP_FD int pidfd = pidfd_open(pid, 0);
	int r, status;

	if (pidfd < 0)
		return -errno;
	r = wait_readable(c, pidfd);
	if (r < 0)
		return r;
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	hear_rest(c);
	return -EPROTO;
}

static int take_pid(struct creation *c, long pid)
{
	siginfo_t info;

	if (pid <= 1 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -ECHILD;
	c->result.pid = (pid_t)pid;
	return 0;
}

int creation_read_pid(struct creation *c)
{
	char path[CREATION_PATH_MAX], text[32];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "%s/pid", c->job->id);
	n = file_get_at(c->job->tree->bundle, path, text, sizeof(text));
	return n < 0 ? (int)n : take_pid(c, strtol(text, NULL, 10));
}

int creation_wait_ready(struct creation *c)
{
	char byte;
	int r;

	r = wait_readable(c, c->ready);
	if (r < 0)
		return r;
	return read(c->ready, &byte, 1) == 1 ? 0 : -EPIPE;
}

int creation_wait_dial(struct creation *c)
{
	CLEANUP_FD int pidfd = pidfd_open(c->result.pid, 0);
	CLEANUP_FD int either = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	int r;

	if (pidfd < 0 || either < 0 || epoll_ctl(either, EPOLL_CTL_ADD, pidfd, &event) < 0)
		return -errno;
	event.data.u32 = 1;
	if (epoll_ctl(either, EPOLL_CTL_ADD, c->job->dial, &event) < 0)
		return -errno;
	r = wait_readable(c, either);
	if (r < 0)
		return r;
	if (epoll_wait(either, &event, 1, 0) == 1 && event.data.u32 == 1)
		return 0;
	hear_rest(c);
	return -ECHILD; /* it ended */
}

int creation_check_seccomp(struct creation *c)
{
	struct stat program;
	int r;

	if (fstat(c->job->seccomp, &program) < 0)
		return -errno;
	if (program.st_size == 0)
		return 0;
	r = fence_check_seccomp(c->result.pid);
	return r < 0 ? creation_fail(c, r, "init did not load its seccomp filter") : 0;
}

int creation_run_program(struct creation *c,
			 void (*child)(const struct creation *c, const struct creation_fds *fds))
{
	pid_t program = -1;
	int r;

	if ((r = creation_start(c, child, &program)) < 0)
		return creation_fail(c, r, "starting the runtime");
	if ((r = creation_wait_program(c, program)) < 0)
		return creation_fail(c, r, "the runtime failed");
	if ((r = creation_read_pid(c)) < 0)
		return creation_fail(c, r, "the runtime's pid file");
	creation_step(c, KEEPER_STEP_RUNTIME);
	return 0;
}

/* ---- all of it ---- */

void creation_run(const struct runtime_job *job, int (*create)(struct creation *c),
		  void (*remove_scaffold)(const struct creation *c))
{
	static struct creation c;

	creation_begin(&c, job);
	if (create(&c) == 0) {
		c.result.reason[0] = '\0'; /* warnings */
		worker_answer(&c.result);
		remove_scaffold(&c);
		if (worker_is_orphan())
			worker_kill_children(); /* the daemon may not know of it, and cannot end it
						 */
		return;
	}
	worker_kill_children();
	remove_scaffold(&c);
	if (c.upper_made || (job->flags & KEEPER_CREATE_DISCARD))
		(void)runtime_discard_upper(job->tree, job->id); /* swept at the next start */
	c.result.pid = 0;
	worker_answer(&c.result);
}

void creation_clean(const struct runtime_job *job,
		    void (*remove_scaffold)(const struct creation *c))
{
	static struct creation c;

	creation_begin(&c, job);
	remove_scaffold(&c);
	if ((job->flags & KEEPER_CREATE_REUSE) == 0 || (job->flags & KEEPER_CREATE_DISCARD))
		(void)runtime_discard_upper(job->tree, job->id); /* swept at the next start */
	worker_answer(&c.result);
}
