/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp program, run by a small BPF interpreter over made-up calls of all three ABIs, and
 * once for real. */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/seccomp-compact.h"
#include "sandbox/seccomp.h"

static struct sock_filter program[BPF_MAXINSNS];
static size_t count;
static size_t steps; /* of the last run */

static bool jumps(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGT:
		return a > i->k;
	case BPF_JGE:
		return a >= i->k;
	case BPF_JSET:
		return (a & i->k) != 0;
	default:
		ck_abort_msg("unexpected jump %x", i->code);
		return false;
	}
}

static uint32_t run_code(const struct sock_filter *code, size_t n, const struct seccomp_data *data)
{
	const struct sock_filter *i;
	uint32_t a = 0;
	size_t pc;

	steps = 0;
	for (pc = 0;; pc++) {
		if (pc >= n)
			ck_abort_msg("%zu is behind the end", pc);
		steps++;
		i = &code[pc];
		if (i->code == (BPF_LD | BPF_W | BPF_ABS))
			memcpy(&a, (const char *)data + i->k, sizeof(a));
		else if (i->code == (BPF_ALU | BPF_AND | BPF_K))
			a &= i->k;
		else if (i->code == (BPF_JMP | BPF_JA))
			pc += i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP)
			pc += jumps(i, a) ? i->jt : i->jf;
		else if (i->code == (BPF_RET | BPF_K))
			return i->k;
		else
			ck_abort_msg("unexpected instruction %x", i->code);
	}
}

static uint32_t run(const struct seccomp_data *data)
{
	return run_code(program, count, data);
}

static const struct abi {
	uint32_t token;
	uint32_t audit;
} abis[] = {
	{ SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ SCMP_ARCH_X86, AUDIT_ARCH_I386 },
	{ SCMP_ARCH_X32, AUDIT_ARCH_X86_64 },
};

/* The errno with which ABI refuses NAME, 0 when it allows it, -1 when there is no such call. */
static int ask(const struct abi *abi, const char *name, uint64_t a, uint64_t b, uint64_t c,
	       uint64_t d)
{
	struct seccomp_data data = { .arch = abi->audit, .args = { a, b, c, d } };
	int number = seccomp_syscall_resolve_name_arch(abi->token, name);
	uint32_t result;

	if (number < 0)
		return -1;
	data.nr = number;
	result = run(&data);
	if (result == SECCOMP_RET_ALLOW)
		return 0;
	ck_assert_uint_eq(result & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO);
	return (int)(result & SECCOMP_RET_DATA);
}

#define HIGH 0xdead00000000ull

static const struct expectation {
	const char *name;
	uint64_t args[4];
	int error;
} expectations[] = {
	{ "read", { 0 }, 0 },
	{ "execve", { 0 }, 0 },
	{ "no_such", { 0 }, 0 },
	{ "chmod", { 0, 0755 }, 0 },
	{ "chmod", { 0, 01777 }, 0 },
	{ "chmod", { 0, 04755 }, EPERM },
	{ "chmod", { 0, 02755 }, EPERM },
	{ "chmod", { 0, 06000 }, EPERM },
	{ "chmod", { 0, HIGH | 04755 }, EPERM },
	{ "chmod", { 0, 0170000 | 04755 }, EPERM },
	{ "fchmod", { 3, 0644 }, 0 },
	{ "fchmod", { 3, 04755 }, EPERM },
	{ "fchmodat", { 3, 0, 0644 }, 0 },
	{ "fchmodat", { 3, 0, 02755 }, EPERM },
	{ "creat", { 0, 0644 }, 0 },
	{ "creat", { 0, 04755 }, EPERM },
	{ "mknod", { 0, S_IFREG | 0644 }, 0 },
	{ "mknod", { 0, S_IFREG | 04755 }, EPERM },
	{ "mknodat", { 3, 0, S_IFIFO | 0644 }, 0 },
	{ "mknodat", { 3, 0, S_IFREG | 02755 }, EPERM },
	{ "open", { 0, O_RDONLY, 06777 }, 0 },
	{ "open", { 0, O_WRONLY | O_CREAT, 0644 }, 0 },
	{ "open", { 0, O_WRONLY | O_CREAT, 04755 }, EPERM },
	{ "open", { 0, O_WRONLY | O_CREAT, 02755 }, EPERM },
	{ "open", { 0, O_WRONLY | O_TMPFILE, 04755 }, EPERM },
	{ "open", { 0, O_WRONLY | O_TMPFILE, 0600 }, 0 },
	{ "open", { 0, O_DIRECTORY, 04755 }, 0 },
	{ "openat", { 3, 0, O_RDONLY, 06777 }, 0 },
	{ "openat", { 3, 0, O_RDWR | O_CREAT | O_EXCL, 0600 }, 0 },
	{ "openat", { 3, 0, O_RDWR | O_CREAT | O_EXCL, 04600 }, EPERM },
	{ "openat", { 3, 0, O_RDWR | O_TMPFILE, 02600 }, EPERM },
	{ "openat", { 3, 0, HIGH | O_RDWR | O_CREAT, HIGH | 04600 }, EPERM },
	{ "mkdir", { 0, 0755 }, 0 },
	{ "openat2", { 0 }, ENOSYS },
	{ "clone3", { 0 }, ENOSYS },
	{ "fchmodat2", { 3, 0, 04755 }, EPERM },
	{ "clone", { CLONE_VM | CLONE_VFORK | SIGCHLD }, 0 },
	{ "clone", { CLONE_VM | CLONE_VFORK | CLONE_NEWUTS | SIGCHLD }, 0 }, /* init's own */
	{ "clone", { CLONE_NEWUSER | SIGCHLD }, EPERM },
	{ "clone", { CLONE_NEWNS }, EPERM },
	{ "clone", { CLONE_NEWPID }, EPERM },
	{ "clone", { CLONE_NEWNET }, EPERM },
	{ "clone", { CLONE_NEWIPC }, EPERM },
	{ "clone", { CLONE_NEWCGROUP }, EPERM },
	{ "clone", { HIGH | CLONE_NEWUSER }, EPERM },
	{ "unshare", { CLONE_NEWUSER }, EPERM },
	{ "unshare", { CLONE_FS }, EPERM },
	{ "setns", { 3, CLONE_NEWNS }, 0 }, /* init's own; others lack the capability */
	{ "setns", { 3, CLONE_NEWNET }, 0 },
	{ "setns", { 3, 0 }, EPERM },
	{ "setns", { 3, HIGH }, EPERM },
	{ "setns", { 3, CLONE_NEWUSER }, EPERM },
	{ "setns", { 3, CLONE_NEWUSER | CLONE_NEWNS }, EPERM },
	{ "setns", { 3, HIGH | CLONE_NEWUSER }, EPERM },
	{ "setns", { 3, CLONE_NEWPID }, EPERM },
	{ "setns", { 3, CLONE_NEWUTS }, EPERM },
	{ "setns", { 3, CLONE_NEWIPC }, EPERM },
	{ "setns", { 3, CLONE_NEWCGROUP }, EPERM },
	{ "mount", { 0 }, EPERM },
	{ "umount2", { 0 }, EPERM },
	{ "umount", { 0 }, EPERM },
	{ "move_mount", { 0 }, EPERM },
	{ "open_tree", { 0 }, EPERM },
	{ "fsopen", { 0 }, EPERM },
	{ "fsconfig", { 0 }, EPERM },
	{ "fsmount", { 0 }, EPERM },
	{ "fspick", { 0 }, EPERM },
	{ "mount_setattr", { 0 }, EPERM },
	{ "pivot_root", { 0 }, EPERM },
	{ "keyctl", { 0 }, EPERM },
	{ "add_key", { 0 }, EPERM },
	{ "request_key", { 0 }, EPERM },
	{ "bpf", { 0 }, EPERM },
	{ "perf_event_open", { 0 }, EPERM },
	{ "userfaultfd", { 0 }, EPERM },
	{ "io_uring_setup", { 0 }, ENOSYS },
	{ "io_uring_enter", { 0 }, ENOSYS },
	{ "io_uring_register", { 0 }, ENOSYS },
	{ "kexec_load", { 0 }, EPERM },
	{ "init_module", { 0 }, EPERM },
	{ "finit_module", { 0 }, EPERM },
	{ "delete_module", { 0 }, EPERM },
	{ "reboot", { 0 }, EPERM },
	{ "swapon", { 0 }, EPERM },
	{ "open_by_handle_at", { 0 }, EPERM },
	{ "ptrace", { PTRACE_TRACEME }, 0 },
	{ "personality", { 0 }, 0 },
	{ "personality", { 0xffffffff }, 0 },
	{ "personality", { 0x0040000 }, ENOSYS }, /* ADDR_NO_RANDOMIZE: the profile's */
	{ "ioctl", { 0, 0x5401 }, 0 },
	{ "ioctl", { 0, 0x5412 }, EPERM },
	{ "ioctl", { 0, HIGH | 0x5412 }, EPERM },
	{ "ioctl", { 0, 0x541c }, EPERM },
	{ "socket", { 2, 1, 0 }, 0 },
	{ "socket", { 1, 1, 0 }, 0 },
	{ "socket", { 40, 1, 0 }, EAFNOSUPPORT },
	{ "socket", { HIGH | 40, 1, 0 }, EAFNOSUPPORT },
	{ "sethostname", { 0 }, EPERM },
	{ "capset", { 0 }, 0 },
	{ "close_range", { 0 }, 0 },
	{ "setresuid", { 0 }, 0 },
	{ "seccomp", { 0 }, 0 },
};

static void load(void)
{
	int fd = -1;
	ssize_t n;

	ck_assert_int_eq(seccomp_program_new(&fd, SECCOMP_PROFILE_PATH), 0);
	ck_assert_int_eq(fcntl(fd, F_GET_SEALS),
			 F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	n = pread(fd, program, sizeof(program), 0);
	ck_assert_int_gt(n, 0);
	count = (size_t)n / sizeof(program[0]);
	(void)close(fd);
}

START_TEST(all_abis)
{
	const struct expectation *e;
	size_t i, k;
	int r;

	load();
	for (i = 0; i < ARRAY_SIZE(abis); i++)
		for (k = 0; k < ARRAY_SIZE(expectations); k++) {
			e = &expectations[k];
			r = ask(&abis[i], e->name, e->args[0], e->args[1], e->args[2], e->args[3]);
			ck_assert_msg(r == -1 || r == e->error,
				      "abi %zu: %s (%llx %llx %llx %llx): %d", i, e->name,
				      (unsigned long long)e->args[0],
				      (unsigned long long)e->args[1],
				      (unsigned long long)e->args[2],
				      (unsigned long long)e->args[3], r);
		}
	ck_assert_int_eq(ask(&abis[0], "openat", 3, 0, O_CREAT, 0644), 0);
	(void)printf("%zu instructions, %zu of them for an openat", count, steps);
	ck_assert_int_eq(ask(&abis[0], "read", 0, 0, 0, 0), 0);
	(void)printf(", %zu for a read\n", steps);
}
END_TEST

static uint32_t random_number(uint32_t limit)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32) % limit;
}

static uint64_t random_argument(void)
{
	static const uint64_t some[] = { 0, 1, 2, 0x40, 0x80000000, 0xffffffff, HIGH, HIGH | 1 };

	return some[random_number(ARRAY_SIZE(some))];
}

/* For a few calls in a row; one in eight looks at arguments. */
static void add_random_rules(scmp_filter_ctx c)
{
	static const enum scmp_compare ops[] = { SCMP_CMP_NE,       SCMP_CMP_LT, SCMP_CMP_LE,
						 SCMP_CMP_EQ,       SCMP_CMP_GE, SCMP_CMP_GT,
						 SCMP_CMP_MASKED_EQ };
	const uint32_t action = SCMP_ACT_ERRNO(1 + random_number(3));
	uint32_t call = random_number(450), end = call + 1 + random_number(20);
	struct scmp_arg_cmp args[2];
	unsigned i, n;

	for (; call < end; call++) {
		n = random_number(8) == 0 ? 1 + random_number(2) : 0;
		for (i = 0; i < n; i++)
			args[i] = (struct scmp_arg_cmp){ i, ops[random_number(ARRAY_SIZE(ops))],
							 random_argument(), random_argument() };
		/* calls that not all ABIs have, and contradictions, are not added */
		(void)seccomp_rule_add_array(c, action, (int)call, n, args);
	}
}

/* Into LONG_CODE; returns its length. */
static size_t random_program(struct sock_filter *long_code)
{
	scmp_filter_ctx c = seccomp_init(random_number(2) ? SCMP_ACT_ALLOW : SCMP_ACT_KILL);
	int fd = memfd_create("program", MFD_CLOEXEC);
	unsigned i, n = random_number(40);
	ssize_t size;

	ck_assert(c && fd >= 0);
#ifdef __x86_64__
	ck_assert_int_eq(seccomp_arch_add(c, SCMP_ARCH_X86), 0);
	ck_assert_int_eq(seccomp_arch_add(c, SCMP_ARCH_X32), 0);
#endif
	ck_assert_int_eq(seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 1 + random_number(2)), 0);
	for (i = 0; i < n; i++)
		add_random_rules(c);
	ck_assert_int_eq(seccomp_export_bpf(c, fd), 0);
	seccomp_release(c);
	size = pread(fd, long_code, BPF_MAXINSNS * sizeof(*long_code), 0);
	(void)close(fd);
	ck_assert_int_gt(size, 0);
	return (size_t)size / sizeof(*long_code);
}

static void compare(const struct sock_filter *a, size_t n_a, const struct sock_filter *b,
		    size_t n_b, uint32_t arch, uint32_t number)
{
	struct seccomp_data data = { .arch = arch, .nr = (int)number };
	unsigned i, k;

	for (i = 0; i < 6; i++) {
		for (k = 0; k < ARRAY_SIZE(data.args); k++)
			data.args[k] = random_argument();
		if (run_code(a, n_a, &data) != run_code(b, n_b, &data))
			ck_abort_msg("arch %x, call %x", arch, number);
	}
}

START_TEST(compacted)
{
	static const uint32_t arches[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_ARM };
	static const uint32_t bases[] = { 0, 0x40000000, 0x7ffffe00, 0xfffffe00 };
	static struct sock_filter long_code[BPF_MAXINSNS];
	struct sock_filter *code;
	size_t length, size, made = 0, i, k;
	uint32_t number;
	int turn, r;

	for (turn = 0; turn < 20; turn++) {
		length = random_program(long_code);
		r = seccomp_compact(long_code, length, &code, &size);
		ck_assert(r == 0 || (r == -ENOTSUP && length < 100)); /* small ones stay */
		if (r < 0)
			continue;
		ck_assert_uint_lt(size, length);
		for (i = 0; i < ARRAY_SIZE(arches); i++)
			for (k = 0; k < ARRAY_SIZE(bases); k++)
				for (number = 0; number < 512; number++)
					compare(long_code, length, code, size, arches[i],
						bases[k] + number);
		free(code);
		made++;
	}
	ck_assert_uint_gt(made, 10);
}
END_TEST

/* What it does not know it leaves alone. */
START_TEST(not_compacted)
{
	const struct sock_filter odd[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff), /* of a number */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
	};
	struct sock_filter *code;
	size_t size;

	ck_assert_int_eq(seccomp_compact(odd, ARRAY_SIZE(odd), &code, &size), -ENOTSUP);
	ck_assert_int_eq(seccomp_compact(odd, 1, &code, &size), -ENOTSUP); /* runs off its end */
	ck_assert_int_eq(seccomp_compact(odd, 0, &code, &size), -ENOTSUP);
}
END_TEST

START_TEST(unknown_calls)
{
	struct seccomp_data data = { .arch = AUDIT_ARCH_X86_64, .nr = 452 };

	load();
	ck_assert_uint_eq(run(&data), SECCOMP_RET_ERRNO | ENOSYS); /* fchmodat2, by number */
	data.nr = 100000;
	ck_assert_uint_eq(run(&data), SECCOMP_RET_ERRNO | ENOSYS);
	data.arch = AUDIT_ARCH_ARM;
	ck_assert_uint_eq(run(&data), SECCOMP_RET_KILL);
}
END_TEST

static int refused(long result, int error)
{
	return result == -1 && errno == error ? 0 : 1;
}

/* In a child with the filter: how many of these went otherwise. */
static int try_for_real(void)
{
	const struct sock_fprog p = { (unsigned short)count, program };
	char path[] = "/tmp/test-seccomp-XXXXXX";
	int fd = mkstemp(path);
	int wrong = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) < 0)
		return 100;
	wrong += refused(chmod(path, 04755), EPERM);
	wrong += refused(fchmod(fd, 02755), EPERM);
	wrong += refused(syscall(SYS_openat, AT_FDCWD, "/tmp/never", O_CREAT | O_WRONLY, 04755),
			 EPERM);
	errno = 0; /* fchmodat2: as this libseccomp knows it or not */
	wrong += syscall(452, AT_FDCWD, path, 04755, 0) == -1 && (errno == EPERM || errno == ENOSYS)
			 ? 0
			 : 1;
	wrong += refused(unshare(CLONE_NEWUSER), EPERM);
	wrong += refused(syscall(SYS_clone3, NULL, 0), ENOSYS);
	wrong += refused(syscall(SYS_keyctl, 0, 0, 0), EPERM);
	wrong += refused(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0), ENOSYS);
	wrong += refused(syscall(SYS_io_uring_setup, 1, NULL), ENOSYS);
	wrong += chmod(path, 0755) == 0 ? 0 : 1;
	wrong += system("true") == 0 ? 0 : 1;
	(void)unlink(path);
	return wrong;
}

START_TEST(for_real)
{
	int status = 0;
	pid_t pid;

	load();
	pid = fork();
	if (pid == 0)
		_exit(try_for_real());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

static int load_text(const char *text)
{
	char path[] = "/tmp/test-seccomp-XXXXXX";
	int fd = mkstemp(path);
	int program_fd = -1;
	int r;

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	r = seccomp_program_new(&program_fd, path);
	(void)unlink(path);
	if (program_fd >= 0)
		(void)close(program_fd);
	return r;
}

START_TEST(bad_profiles)
{
	int fd = -1;

	ck_assert_int_eq(seccomp_program_new(&fd, "/nowhere"), -ENOENT);
	ck_assert_int_eq(load_text("{"), -EBADMSG);
	ck_assert_int_eq(load_text("[]"), -EBADMSG);
	ck_assert_int_eq(load_text("{\"syscalls\":[]}"), -EBADMSG);
	ck_assert_int_eq(load_text("{\"syscalls\":[1]}"), -EBADMSG);
	ck_assert_int_eq(load_text("{\"syscalls\":[{\"names\":[\"read\"]}]}"), -EBADMSG);
	ck_assert_int_eq(load_text("{\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
				   "TRACE\"}]}"),
			 -EBADMSG);
	ck_assert_int_eq(load_text("{\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
				   "ALLOW\","
				   "\"args\":[{\"index\":7,\"value\":0,\"valueTwo\":0,\"op\":"
				   "\"SCMP_CMP_EQ\"}]}]}"),
			 -EBADMSG);
	ck_assert_int_eq(load_text("{\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"
				   "ALLOW\"}]}"),
			 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("seccomp");
	TCase *c = tcase_create("seccomp");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_test(c, all_abis);
	tcase_add_test(c, unknown_calls);
	tcase_add_test(c, compacted);
	tcase_add_test(c, not_compacted);
	tcase_add_test(c, for_real);
	tcase_add_test(c, bad_profiles);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
