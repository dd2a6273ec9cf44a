/* SPDX-License-Identifier: Apache-2.0 */
/* init keeps its own effective capabilities: the bounding set matters at execve() only, and init
 * never executes anything itself. With a filter loaded under no_new_privs nothing below can undo
 * it. */

#include "init/fence.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "macro.h"

#define BIT(capability) (1ull << (capability))

/* The default of the OCI runtimes but CAP_NET_RAW: no raw sockets; and CAP_SETFCAP: under
 * no_new_privs files with capabilities do nothing here, only outside. */
#define CAPABILITIES_KEPT                                                                          \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |              \
	 BIT(CAP_MKNOD) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) |                   \
	 BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE))

static int empty_inheritable(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	data[0].inheritable = data[1].inheritable = 0;
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int cut_capabilities(void)
{
	int capability;
	int has;

	for (capability = 0;; capability++) {
		has = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (has < 0)
			break; /* EINVAL: the kernel knows no more */
		if (has == 0 || (capability < 64 && (CAPABILITIES_KEPT & BIT(capability)) != 0))
			continue;
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return -errno;
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno; /* EINVAL: gVisor has no ambient set */
	return empty_inheritable();
}

/* Read into memory of its own, whose pages are given back: malloc() or mmap() would keep some, with
 * page tables for them, in each sandbox that idles. */
static int load_filter(int fd)
{
	static _Alignas(4096) struct sock_filter instructions[BPF_MAXINSNS];
	struct sock_fprog program = { .filter = instructions };
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || st.st_size % (off_t)sizeof(*instructions) != 0 ||
	    st.st_size > (off_t)sizeof(instructions))
		return -EINVAL;
	if (st.st_size == 0)
		return 0;
	if (pread(fd, instructions, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
		return -EIO;
	program.len = (unsigned short)((size_t)st.st_size / sizeof(*instructions));
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
	(void)madvise(instructions, sizeof(instructions), MADV_DONTNEED); /* or it stays */
	return r;
}

/* glibc's posix_spawn() leaves its own two signals ignored, and no libc lets anybody touch those:
 * so without libc. All zero is SIG_DFL without flags or mask. */
static void calm_signals(void)
{
	static const unsigned long standard[4];
	sigset_t all;
	int number;

	for (number = 1; number < NSIG; number++)
		(void)syscall(SYS_rt_sigaction, number, standard, NULL, 8); /* KILL, STOP refuse */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL); /* cannot fail */
}

int fence_raise(int seccomp_fd, const char **ret_what)
{
	int r;

	(void)umask(022);
	calm_signals();
	*ret_what = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	*ret_what = "capabilities";
	r = cut_capabilities();
	if (r < 0)
		return r;
	*ret_what = "seccomp filter";
	return load_filter(seccomp_fd);
}
