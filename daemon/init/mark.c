/* SPDX-License-Identifier: Apache-2.0 */
#include "init/mark.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "macro.h"

#define MARK_MASK ((UINT64_C(1) << 62) - 1) /* never RLIM_INFINITY, which is no mark */

/* As the kernel has it, whatever libc's rlim_t is. */
struct limit {
	uint64_t current;
	uint64_t most;
};

#define ARGUMENT(n, half)                                                                          \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4 * (half))
#define IF_NOT(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DENY BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

/* setrlimit(NPROC, ...) and prlimit64(pid, NPROC, not NULL, ...). gVisor has one architecture. */
static int keep_mark(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_setrlimit
		IF_NOT(SYS_setrlimit, 4),
		ARGUMENT(0, 0),
		IF_NOT(RLIMIT_NPROC, 1),
		DENY,
		ALLOW,
#endif
		IF_NOT(SYS_prlimit64, 7),
		ARGUMENT(1, 0),
		IF_NOT(RLIMIT_NPROC, 5),
		ARGUMENT(2, 0),
		IF_NOT(0, 2),
		ARGUMENT(2, 1),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		DENY,
		ALLOW,
	};
	const struct sock_fprog program = { ARRAY_SIZE(filter), filter };

	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int mark_take(uint64_t exec, uint64_t *ret_mark)
{
	const uint64_t mark = (exec & MARK_MASK) + 1;
	const struct limit limit = { mark, mark };

	if (syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &limit, NULL) < 0 || keep_mark() < 0)
		return -1;
	*ret_mark = mark;
	return 0;
}

int mark_read(pid_t pid, uint64_t *ret_mark)
{
	struct limit limit;

	if (syscall(SYS_prlimit64, pid, RLIMIT_NPROC, NULL, &limit) < 0)
		return errno == ESRCH ? -ENOENT : -EACCES;
	*ret_mark = limit.most;
	return 0;
}
