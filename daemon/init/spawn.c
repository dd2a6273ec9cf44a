/* SPDX-License-Identifier: Apache-2.0 */
/* The child shares our memory until it executes (CLONE_VM|CLONE_VFORK: nothing is copied, and we
 * stand still meanwhile), so it writes only to its own stack and to the volatile result, and calls
 * only what changes no state of libc: identity goes by raw system calls, because libc's versions
 * act on all threads. Capabilities need no work here: init emptied its inheritable and ambient sets
 * and cut its bounding set at the start, so execve() itself leaves root with the bounding set and
 * everybody else with nothing.
 *
 * While the child is on its way we hang in clone(), so the agent must not be able to stop it. A
 * signal needs the target's real or saved uid: those stay root's until just before execve(), and
 * only the effective one is the agent's while its files are touched. For what is left of the way
 * sandboxd has a clock: the keeper lets go on what was stopped (INIT_SLOW_MS). */

#include "init/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/files.h"
#include "init/mark.h"

#define FD_MOST 0x7fffffffu /* gVisor takes no more */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif

struct child {
	const struct spawn *spawn;
	volatile uint64_t mark;
	volatile int start_error; /* enum init_start_error */
	volatile int error;       /* positive errno */
};

/* All of these return 0 or -1 with errno, like system calls. */

static int take_stdio(const struct spawn *s)
{
	int i;

	if (s->terminal >= 0 && ioctl(s->terminal, TIOCSCTTY, 0) < 0)
		return -1;
	/* init's own 0, 1 and 2 are open, so no source is below 3. */
	for (i = 0; i < 3; i++)
		if (dup2(s->stdio[i], i) < 0)
			return -1;
	return (int)syscall(SYS_close_range, 3u, FD_MOST, 0u);
}

static int limit_processes(const struct spawn *s)
{
	const uint32_t count = s->request->nproc_limit;
	const struct rlimit limit = { count, count };

	return count > 0 && !s->tree->by_limit ? setrlimit(RLIMIT_NPROC, &limit) : 0;
}

/* What it has in memory is not to reach a disk. A limit of 1 and not of 0, with which a handler of
 * the host's (core_pattern "|…") still gets it all; no file fits in either. Where 0 is the most
 * that we may set it is 0 already. */
static int forbid_core(const struct spawn *s)
{
	static const struct rlimit one = { 1, 1 }, none = { 0, 0 };

	if ((s->request->flags & INIT_EXEC_SECRET) == 0 || setrlimit(RLIMIT_CORE, &one) == 0)
		return 0;
	return errno == EPERM ? setrlimit(RLIMIT_CORE, &none) : -1;
}

static int take_mark(struct child *c)
{
	const struct spawn *s = c->spawn;
	uint64_t mark = 0;

	if (s->tree->by_limit) {
		if (mark_take(s->request->exec, &mark) < 0)
			return -1;
	} else {
		mark = tree_own_mark(s->tree);
	}
	c->mark = mark;
	return mark == 0 ? -1 : 0;
}

/* The view of a stage. The root and working directory become the new namespace's. It is done with
 * all of init's capabilities; what runs afterwards has not the one that it takes. */
static int enter_view(const struct spawn *s)
{
	if (s->network >= 0 && setns(s->network, CLONE_NEWNET) < 0)
		return -1;
	return s->mounts >= 0 ? setns(s->mounts, CLONE_NEWNS) : 0;
}

#define UNCHANGED ((uid_t)-1)

/* With UID's rights, but not yet within reach of its signals. */
static int act_as(uint32_t uid, uint32_t gid)
{
	if (syscall(SYS_setgroups, 0ul, NULL) < 0 && errno != EPERM)
		return -1; /* EPERM: a map of one id, where setgroups is denied */
	if (syscall(SYS_setresgid, gid, gid, gid) < 0)
		return -1;
	return (int)syscall(SYS_setresuid, UNCHANGED, uid, UNCHANGED);
}

static int become(uint32_t uid)
{
	return (int)syscall(SYS_setresuid, uid, uid, uid);
}

static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
}

static bool is_not_here(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP;
}

/* Within reach of the agent's signals from here on: a stop would take effect at the next return
 * from a system call, so there is only one, and it is likely to succeed. */
static int execute_as(const struct spawn *s, const char *path)
{
	if (become(s->request->uid) == 0)
		(void)execve(path, s->payload->argv, s->payload->envp); /* returns only to fail */
	return errno;
}

/* Returns the errno for which the command could not be executed. */
static int execute(const struct spawn *s)
{
	const struct payload *p = s->payload;
	const char *rest = payload_getenv(p, "PATH");
	char candidate[SEARCH_PATH_MAX];
	bool denied = false;
	struct stat st;
	int error;

	if (p->argv[0][0] == '\0')
		return ENOENT;
	if (strchr(p->argv[0], '/'))
		return stat(p->argv[0], &st) < 0 ? errno : execute_as(s, p->argv[0]);
	rest = rest ? rest : DEFAULT_PATH;
	while (payload_search_next(&rest, p->argv[0], candidate)) {
		error = stat(candidate, &st) < 0 ? errno : execute_as(s, candidate);
		if (error == EACCES)
			denied = true;
		else if (!is_not_here(error))
			return error;
	}
	return denied ? EACCES : ENOENT;
}

static enum init_start_error execute_error(int error)
{
	if (is_not_here(error))
		return INIT_START_NOT_FOUND;
	switch (error) {
	case E2BIG:
		return INIT_START_TOO_BIG;
	case ENOMEM:
	case EAGAIN:
	case EMFILE:
	case ENFILE:
		return INIT_START_INTERNAL;
	default:
		return INIT_START_NOT_EXECUTABLE;
	}
}

static int fail(struct child *c, enum init_start_error what, int error)
{
	c->error = error;
	c->start_error = (int)what;
	_exit(127);
}

static int on_child(void *argument)
{
	struct child *c = argument;
	const struct spawn *s = c->spawn;
	int r;

	if (take_mark(c) < 0 || setsid() < 0)
		return fail(c, INIT_START_INTERNAL, errno);
	if (enter_view(s) < 0)
		return fail(c, INIT_START_BAD_STAGE, errno);
	if (take_stdio(s) < 0 || limit_processes(s) < 0 || forbid_core(s) < 0)
		return fail(c, INIT_START_INTERNAL, errno);
	if (act_as(s->request->uid, s->request->gid) < 0)
		return fail(c, INIT_START_BAD_USER, errno);
	if (chdir(s->payload->workdir) < 0)
		return fail(c, INIT_START_BAD_WORKDIR, errno);
	r = files_write(s->payload);
	if (r < 0)
		return fail(c, INIT_START_BAD_FILE, -r);
	unblock_signals();
	r = execute(s);
	return fail(c, execute_error(r), r);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		; /* it is past _exit() */
}

int spawn_run(const struct spawn *s, struct spawned *ret)
{
	struct child c = { .spawn = s };
	char *top = (char *)s->stack + SPAWN_STACK_SIZE;

#ifdef HAS_ASAN
	__asan_unpoison_memory_region(s->stack, SPAWN_STACK_SIZE); /* of the child before */
#endif
	memset(ret, 0, sizeof(*ret));
	ret->pid = clone(on_child, top, CLONE_VM | CLONE_VFORK | CLONE_NEWUTS | SIGCHLD, &c);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the child's change of ids was ours, too */
	if (ret->pid < 0) {
		ret->start_error = INIT_START_INTERNAL;
		ret->error = -errno;
		return 1;
	}
	ret->mark = c.mark;
	if (c.start_error == INIT_START_OK)
		return 0;
	reap(ret->pid);
	ret->start_error = (enum init_start_error)c.start_error;
	ret->error = c.error > 0 ? -c.error : -EIO;
	return 1;
}
