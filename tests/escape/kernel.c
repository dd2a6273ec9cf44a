/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own knobs: sysctl, sysrq, modules, bpf, kexec, keyrings, io_uring and their kin. */

#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Opening for writing is already too much, but some files only refuse the write itself. What is
 * written is what stands there, so that a hole does no harm. */
static int write_same(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	ssize_t written;

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0) {
		text[0] = '0';
		n = 1;
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return tried(false, "open %s for writing", path);
	written = write(fd, text, (size_t)n);
	n = tried(written > 0, "write %s", path);
	(void)close(fd);
	return (int)n;
}

static int write_sysctl(char **argv)
{
	static const char *const files[] = {
		"/proc/sys/kernel/core_pattern",
		"/proc/sys/kernel/modprobe",
		"/proc/sys/kernel/hotplug",
		"/proc/sys/kernel/sysrq",
		"/proc/sys/kernel/panic",
		"/proc/sys/kernel/pid_max",
		"/proc/sys/kernel/ns_last_pid",
		"/proc/sys/kernel/randomize_va_space",
		"/proc/sys/kernel/yama/ptrace_scope",
		"/proc/sys/kernel/shmmax",
		"/proc/sys/kernel/msgmax",
		"/proc/sys/kernel/hostname",
		"/proc/sys/kernel/domainname",
		"/proc/sys/kernel/keys/maxkeys",
		"/proc/sys/vm/drop_caches",
		"/proc/sys/vm/overcommit_memory",
		"/proc/sys/fs/file-max",
		"/proc/sys/fs/suid_dumpable",
		"/proc/sys/fs/binfmt_misc/register",
		"/proc/sys/fs/mqueue/queues_max",
		"/proc/sys/net/core/somaxconn",
		"/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/user/max_user_namespaces",
		"/proc/sys/user/max_mnt_namespaces",
		"/proc/sys/user/max_inotify_instances",
		"/proc/sysrq-trigger",
		"/proc/irq/default_smp_affinity",
		"/proc/sys/debug/exception-trace",
		"/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/kernel/uevent_helper",
		"/sys/power/state",
		"/sys/module/kernel/parameters/panic",
		"/proc/self/uid_map",
		"/proc/self/gid_map",
		"/proc/self/setgroups",
	};
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		holes += write_same(files[i]);
	return holes;
}

static int read_kernel(char **argv)
{
	static const char *const files[] = { "/proc/kcore",       "/proc/kmsg",
					     "/proc/keys",        "/proc/timer_list",
					     "/proc/sched_debug", "/dev/mem",
					     "/dev/kmsg",         "/dev/port",
					     "/sys/firmware/dmi", "/sys/kernel/debug/gpio",
					     "/dev/vda",          "/dev/sda",
					     "/dev/kvm",          "/dev/fuse",
					     "/dev/net/tun",      "/dev/loop-control",
					     "/dev/loop0",        "/proc/latency_stats" };
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char byte;
		int fd = open(files[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		holes += tried(fd >= 0 && read(fd, &byte, 1) > 0, "read %s", files[i]);
		if (fd >= 0)
			(void)close(fd);
	}
	return holes;
}

/* A call counts as refused when the filter or the kernel said no for want of right; an answer such
 * as EFAULT or EINVAL would mean that it was looked at. */
static int refused_call(long r, const char *name)
{
	bool refused = r < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES);

	return tried(!refused, "%s (returned %ld, errno %d)", name, r, r < 0 ? errno : 0);
}

static int forbidden_calls(char **argv)
{
	static uint64_t zeros[32];
	int holes = 0;

	(void)argv;
	holes += refused_call(syscall(SYS_init_module, zeros, 8, ""), "init_module");
	holes += refused_call(syscall(SYS_finit_module, 0, "", 0), "finit_module");
	holes += refused_call(syscall(SYS_delete_module, "loop", O_NONBLOCK), "delete_module");
	holes += refused_call(syscall(SYS_bpf, 0, zeros, 72), "bpf map");
	holes += refused_call(syscall(SYS_bpf, 5, zeros, 72), "bpf prog");
	holes += refused_call(syscall(SYS_kexec_load, 0, 0, NULL, 0), "kexec_load");
	holes += refused_call(syscall(SYS_kexec_file_load, 0, 0, 1, "", 0), "kexec_file_load");
	holes += refused_call(syscall(SYS_add_key, "user", "k", "v", 1, -3), "add_key");
	holes += refused_call(syscall(SYS_request_key, "user", "k", "", -3), "request_key");
	holes += refused_call(syscall(SYS_keyctl, 0, -3, 1, 0, 0), "keyctl");
	holes += refused_call(syscall(SYS_keyctl, 1, NULL, 0, 0, 0), "keyctl join");
	holes += refused_call(syscall(SYS_io_uring_setup, 8, zeros), "io_uring_setup");
	holes += refused_call(syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0), "io_uring_enter");
	holes += refused_call(syscall(SYS_io_uring_register, 0, 0, 0, 0), "io_uring_register");
	holes += refused_call(syscall(SYS_perf_event_open, zeros, 0, -1, -1, 0), "perf_event_open");
	holes += refused_call(syscall(SYS_acct, "/tmp/acct"), "acct");
	holes += refused_call(syscall(SYS_swapon, "/tmp/swap", 0), "swapon");
	holes += refused_call(syscall(SYS_swapoff, "/tmp/swap"), "swapoff");
	holes += refused_call(syscall(SYS_reboot, 0, 0, 0, 0), "reboot");
	holes += refused_call(syscall(SYS_quotactl, 0, NULL, 0, NULL), "quotactl");
	holes += refused_call(syscall(SYS_settimeofday, NULL, zeros), "settimeofday");
	holes += refused_call(syscall(SYS_clock_settime, 0, zeros), "clock_settime");
	holes += refused_call(syscall(SYS_userfaultfd, 0), "userfaultfd");
	holes += refused_call(syscall(SYS_mount, "", "", "", 0, ""), "mount");
	holes += refused_call(syscall(SYS_umount2, "", 0), "umount2");
	holes += refused_call(syscall(SYS_setns, -1, 0), "setns");
	holes += refused_call(syscall(SYS_pivot_root, "", ""), "pivot_root");
	holes += refused_call(syscall(SYS_fanotify_init, 0, 0), "fanotify_init");
	holes += refused_call(syscall(SYS_lookup_dcookie, 0L, zeros, 8), "lookup_dcookie");
	holes += refused_call(syscall(SYS_sethostname, "escaped", 7), "sethostname");
	holes += refused_call(syscall(SYS_setdomainname, "escaped", 7), "setdomainname");
	holes += refused_call(syscall(SYS_syslog, 3, zeros, 16), "syslog");
	holes += refused_call(syscall(SYS_move_pages, 1, 0, 0, 0, 0, 0), "move_pages of 1");
#ifdef __x86_64__
	holes += refused_call(syscall(SYS_iopl, 3), "iopl");
	holes += refused_call(syscall(SYS_ioperm, 0x70, 1, 1), "ioperm");
#endif
	return holes;
}

/* The same through the 32-bit table and the x32 numbers: a filter that knows one table only. */
static int other_tables(char **argv)
{
	static const struct {
		long number;
		const char *name;
	} calls[] = {
		{ 21, "mount" },        { 52, "umount2" },
		{ 128, "init_module" }, { 129, "delete_module" },
		{ 217, "pivot_root" },  { 283, "kexec_load" },
		{ 286, "add_key" },     { 287, "request_key" },
		{ 288, "keyctl" },      { 336, "perf_event_open" },
		{ 346, "setns" },       { 350, "finit_module" },
		{ 357, "bpf" },         { 425, "io_uring_setup" },
		{ 428, "open_tree" },   { 430, "fsopen" },
		{ 26, "ptrace" },
	};
	int holes = 0;

	(void)argv;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		long r = compat_call(calls[i].number, 0, 0, 0, 0);
		char text[64];

		errno = r < 0 ? (int)-r : 0;
		(void)snprintf(text, sizeof(text), "int 0x80 %s", calls[i].name);
		if (calls[i].number == 26) /* PTRACE_TRACEME is allowed everywhere */
			continue;
		holes += refused_call(r < 0 ? -1 : r, text);
	}
	{
		long r = compat_call(310, 0x10000000L, 0, 0, 0);

		errno = r < 0 ? (int)-r : 0;
		holes += refused_call(r < 0 ? -1 : r, "int 0x80 unshare user");
	}
#ifdef __x86_64__
	holes += refused_call(syscall(0x40000000L | SYS_mount, "", "", "", 0, ""), "x32 mount");
	holes += refused_call(syscall(0x40000000L | SYS_keyctl, 0, -3, 1, 0, 0), "x32 keyctl");
	holes += refused_call(syscall(0x40000000L | SYS_chmod, "/tmp", 04755), "x32 chmod");
#endif
	return holes;
}

/* What a sandbox's root may be, it already is: no way back to capabilities that were dropped. */
static int gain_capabilities(char **argv)
{
	struct {
		uint32_t version;
		int pid;
	} head = { 0x20080522, 0 };
	struct {
		uint32_t effective, permitted, inheritable;
	} data[2] = { { ~0U, ~0U, ~0U }, { 0x1ff, 0x1ff, 0x1ff } };
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");
	int holes = 0;

	(void)argv;
	holes += tried(syscall(SYS_capset, &head, data) == 0, "capset of everything");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned value;

		if (sscanf(line, "NoNewPrivs: %u", &value) == 1)
			holes += tried(value != 1, "no_new_privs is %u", value);
		if (sscanf(line, "Seccomp: %u", &value) == 1)
			holes += tried(value != 2, "Seccomp is %u", value);
	}
	if (f)
		(void)fclose(f);
	return holes;
}

const struct attempt kernel_attempts[] = {
	{ "write-sysctl", WHO_BOTH, NULL, write_sysctl },
	{ "read-kernel", WHO_BOTH, NULL, read_kernel },
	{ "forbidden-calls", WHO_BOTH, NULL, forbidden_calls },
	{ "other-tables", WHO_BOTH, NULL, other_tables },
	{ "gain-capabilities", WHO_BOTH, NULL, gain_capabilities },
	{ NULL, 0, NULL, NULL },
};
