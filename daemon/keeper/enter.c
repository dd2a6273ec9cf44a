/* SPDX-License-Identifier: Apache-2.0 */
/* setns to a mount namespace is EINVAL from a thread, and fork copies page tables, so: a process
 * with CLONE_VM|CLONE_VFORK on a stack of its own. Raw system calls for the ids: glibc's would
 * signal "all threads". Changing ids makes the shared mm undumpable, which is restored after. */

#include "enter.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dumpable.h"

#define ENTER_STACK_SIZE (64u * 1024)

struct entry {
	int pidfd;
	int flags;
	int (*function)(void *arg);
	void *arg;
	int result;
};

/* Entering gave us every capability there. With a single mapped id there is no root (EINVAL), and
 * they last as long as we do not exec. */
static int become_root(void)
{
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return errno == EINVAL ? 0 : -errno;
	return 0;
}

static int run_inside(void *userdata)
{
	struct entry *e = userdata;

	e->result = setns(e->pidfd, e->flags) < 0 ? -errno : become_root();
	if (e->result == 0)
		e->result = e->function(e->arg);
	/* not _exit(), which sanitizers take for the end of the stack they know */
	(void)syscall(SYS_exit_group, 0);
	return 0;
}

int enter_run(int pidfd, int flags, int (*function)(void *arg), void *arg)
{
	static _Alignas(16) uint8_t stack[ENTER_STACK_SIZE];
	struct entry e = { pidfd, flags | CLONE_NEWUSER, function, arg, -ECHILD };
	pid_t pid;
	int saved;

	/* no exit signal: a waitpid(-1) elsewhere does not see it; nor copies of all descriptors */
	pid = clone(run_inside, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES, &e);
	saved = errno;
	if (pid >= 0)
		(void)waitpid(pid, NULL, __WALL); /* it has ended: vfork */
	dumpable_restore();
	return pid < 0 ? -saved : e.result;
}
