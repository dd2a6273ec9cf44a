/* SPDX-License-Identifier: Apache-2.0 */
/* Two programs of libseccomp's in one: first our own refusals over a default of "allow", then
 * containers-common's profile over a default of ENOSYS. libseccomp cannot say "refuse if these bits
 * are set, else what the profile says" within one filter, so each RET ALLOW of the first is turned
 * into a jump to the second. Arguments that the kernel takes as 32 bits are compared under a mask:
 * an equality over 64 would be evaded by setting the upper half. */

#include "sandbox/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "macro.h"
#include "sandbox/seccomp-compact.h"
#include "util/seccomp-profile.h"

#define SET_UID 04000u
#define SET_GID 02000u
#define TMPFILE 020000000u /* __O_TMPFILE, without O_DIRECTORY, which it contains */
#define LOW_HALF 0xffffffffu
#define ADDRESS_FAMILY_VSOCK 40u

/* Refused whatever the arguments. ENOSYS where libc then takes an older way. */
static const struct refusal {
	const char *name;
	int error;
} refusals[] = {
	/* Its flags are in memory, where BPF cannot look. */
	{ "clone3", ENOSYS },
	{ "openat2", ENOSYS },
	{ "io_uring_setup", ENOSYS },
	{ "io_uring_enter", ENOSYS },
	{ "io_uring_register", ENOSYS },
	{ "keyctl", EPERM },
	{ "add_key", EPERM },
	{ "request_key", EPERM },
	{ "mount", EPERM },
	{ "umount", EPERM },
	{ "umount2", EPERM },
	{ "move_mount", EPERM },
	{ "open_tree", EPERM },
	{ "fsopen", EPERM },
	{ "fsconfig", EPERM },
	{ "fsmount", EPERM },
	{ "fspick", EPERM },
	{ "mount_setattr", EPERM },
	{ "pivot_root", EPERM },
	{ "unshare", EPERM },
	{ "bpf", EPERM },
	{ "perf_event_open", EPERM },
	{ "userfaultfd", EPERM },
	{ "kexec_load", EPERM },
	{ "kexec_file_load", EPERM },
	{ "init_module", EPERM },
	{ "finit_module", EPERM },
	{ "delete_module", EPERM },
	{ "create_module", EPERM },
	{ "query_module", EPERM },
	{ "reboot", EPERM },
	{ "swapon", EPERM },
	{ "swapoff", EPERM },
};

/* A new UTS namespace by clone() stays possible: init needs it, and takes a capability that no exec
 * has. */
#define CLONE_REFUSED                                                                              \
	((unsigned)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
		    CLONE_NEWNET))
/* Likewise init alone enters the view of a stage: a mount or a network namespace. 0 is "any". */
#define SETNS_REFUSED (~(unsigned)(CLONE_NEWNS | CLONE_NEWNET))

/* Refused with EPERM when any of BITS is set in argument ARG, and, unless GATE_BITS is 0, any of
 * those in argument GATE as well. */
static const struct bit_refusal {
	const char *name;
	unsigned arg;
	unsigned bits;
	unsigned gate;
	unsigned gate_bits;
} bit_refusals[] = {
	{ "chmod", 1, SET_UID | SET_GID, 0, 0 },
	{ "fchmod", 1, SET_UID | SET_GID, 0, 0 },
	{ "fchmodat", 2, SET_UID | SET_GID, 0, 0 },
	{ "fchmodat2", 2, SET_UID | SET_GID, 0, 0 },
	{ "creat", 1, SET_UID | SET_GID, 0, 0 },
	{ "mknod", 1, SET_UID | SET_GID, 0, 0 },
	{ "mknodat", 2, SET_UID | SET_GID, 0, 0 },
	/* The mode is garbage, and unused, without these flags. */
	{ "open", 2, SET_UID | SET_GID, 1, O_CREAT | TMPFILE },
	{ "openat", 3, SET_UID | SET_GID, 2, O_CREAT | TMPFILE },
	{ "clone", 0, CLONE_REFUSED, 0, 0 },
	{ "setns", 1, SETNS_REFUSED, 0, 0 },
};

/* Refused when argument ARG is VALUE, in its lower half. */
static const struct value_refusal {
	const char *name;
	unsigned arg;
	unsigned value;
	int error;
} value_refusals[] = {
	{ "setns", 1, 0, EPERM },
	{ "ioctl", 1, TIOCSTI, EPERM },
	{ "ioctl", 1, TIOCLINUX, EPERM },
	/* No network namespace holds it: in a virtual machine it reaches the host's. */
	{ "socket", 0, ADDRESS_FAMILY_VSOCK, EAFNOSUPPORT },
};

static void release_context(scmp_filter_ctx *c)
{
	if (*c)
		seccomp_release(*c);
}

#define CLEANUP_CONTEXT CLEANUP(release_context)

/* Adds a rule for the system call NAME; one that libseccomp does not know falls to the profile's
 * default. */
static int add_rule(scmp_filter_ctx c, const char *name, uint32_t action,
		    const struct scmp_arg_cmp *args, unsigned n_args)
{
	int number = seccomp_syscall_resolve_name(name);
	int r;

	if (number == __NR_SCMP_ERROR)
		return 0;
	r = seccomp_rule_add_array(c, action, number, n_args, args);
	/* The filter's default already says so, or two entries of the profile say the same. */
	return r == -EACCES || r == -EEXIST ? 0 : r;
}

static int refuse(scmp_filter_ctx c, const struct refusal *f)
{
	return add_rule(c, f->name, SCMP_ACT_ERRNO((unsigned)f->error), NULL, 0);
}

static int refuse_bit(scmp_filter_ctx c, const struct bit_refusal *f, unsigned bit, unsigned gate)
{
	const struct scmp_arg_cmp args[] = {
		SCMP_CMP64(f->arg, SCMP_CMP_MASKED_EQ, bit, bit),
		SCMP_CMP64(f->gate, SCMP_CMP_MASKED_EQ, gate, gate),
	};

	return add_rule(c, f->name, SCMP_ACT_ERRNO(EPERM), args, gate != 0 ? 2 : 1);
}

static int refuse_bits(scmp_filter_ctx c, const struct bit_refusal *f)
{
	unsigned bit, gate;
	int r;

	for (bit = 1; bit != 0; bit <<= 1) {
		if ((f->bits & bit) == 0)
			continue;
		for (gate = 1; gate != 0; gate <<= 1) {
			if (f->gate_bits != 0 && (f->gate_bits & gate) == 0)
				continue;
			r = refuse_bit(c, f, bit, f->gate_bits != 0 ? gate : 0);
			if (r < 0)
				return r;
			if (f->gate_bits == 0)
				break;
		}
	}
	return 0;
}

static int refuse_value(scmp_filter_ctx c, const struct value_refusal *f)
{
	const struct scmp_arg_cmp arg = SCMP_CMP64(f->arg, SCMP_CMP_MASKED_EQ, LOW_HALF, f->value);

	return add_rule(c, f->name, SCMP_ACT_ERRNO((unsigned)f->error), &arg, 1);
}

static int refuse_all(scmp_filter_ctx c)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(refusals) && r == 0; i++)
		r = refuse(c, &refusals[i]);
	for (i = 0; i < ARRAY_SIZE(bit_refusals) && r == 0; i++)
		r = refuse_bits(c, &bit_refusals[i]);
	for (i = 0; i < ARRAY_SIZE(value_refusals) && r == 0; i++)
		r = refuse_value(c, &value_refusals[i]);
	return r;
}

static int add_profile_rule(scmp_filter_ctx c, const struct seccomp_profile_rule *rule)
{
	static const enum scmp_compare ops[SECCOMP_PROFILE_OP_MAX] = {
		[SECCOMP_PROFILE_NE] = SCMP_CMP_NE,
		[SECCOMP_PROFILE_LT] = SCMP_CMP_LT,
		[SECCOMP_PROFILE_LE] = SCMP_CMP_LE,
		[SECCOMP_PROFILE_EQ] = SCMP_CMP_EQ,
		[SECCOMP_PROFILE_GE] = SCMP_CMP_GE,
		[SECCOMP_PROFILE_GT] = SCMP_CMP_GT,
		[SECCOMP_PROFILE_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
	};
	struct scmp_arg_cmp args[SECCOMP_PROFILE_ARGS_MAX];
	uint32_t action = rule->error > 0 ? SCMP_ACT_ERRNO((unsigned)rule->error) : SCMP_ACT_ALLOW;
	unsigned i;

	for (i = 0; i < rule->n_args; i++)
		args[i] = (struct scmp_arg_cmp){ rule->args[i].index, ops[rule->args[i].op],
						 rule->args[i].value, rule->args[i].value_two };
	return add_rule(c, rule->name, action, args, (unsigned)rule->n_args);
}

static int add_profile(scmp_filter_ctx c, const char *path)
{
	struct seccomp_profile p;
	size_t i;
	int r;

	r = seccomp_profile_load(&p, path);
	if (r < 0)
		return r;
	for (i = 0; i < p.n_rules && r == 0; i++)
		r = add_profile_rule(c, &p.rules[i]);
	seccomp_profile_deinit(&p);
	return r;
}

/* All ways to call the kernel on this machine: a filter for one alone would kill in the others. */
static int new_context(scmp_filter_ctx *ret, uint32_t action)
{
	scmp_filter_ctx c CLEANUP_CONTEXT = seccomp_init(action);
	int r = 0;

	if (!c)
		return -ENOMEM;
#ifdef __x86_64__
	r = seccomp_arch_add(c, SCMP_ARCH_X86);
	if (r == 0)
		r = seccomp_arch_add(c, SCMP_ARCH_X32);
#endif
	/* A binary search over the numbers: a quarter of the way for calls with argument checks. */
	if (r == 0)
		r = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

/* A program in memory. */
struct code {
	struct sock_filter *instructions;
	size_t count;
};

static void free_code(struct code *c)
{
	free(c->instructions);
}

static int export_code(scmp_filter_ctx c, struct code *ret)
{
	CLEANUP_FD int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct sock_filter *instructions;
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	r = seccomp_export_bpf(c, fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	instructions = malloc((size_t)st.st_size);
	if (!instructions)
		return -ENOMEM;
	if (pread(fd, instructions, (size_t)st.st_size, 0) != st.st_size) {
		free(instructions);
		return -EIO;
	}
	ret->instructions = instructions;
	ret->count = (size_t)st.st_size / sizeof(*instructions);
	return 0;
}

static int compile_refusals(struct code *ret)
{
	scmp_filter_ctx c CLEANUP_CONTEXT = NULL;
	int r = new_context(&c, SCMP_ACT_ALLOW);

	if (r == 0)
		r = refuse_all(c);
	return r < 0 ? r : export_code(c, ret);
}

static int compile_profile(struct code *ret, const char *path)
{
	scmp_filter_ctx c CLEANUP_CONTEXT = NULL;
	int r = new_context(&c, SCMP_ACT_ERRNO(ENOSYS));

	if (r == 0)
		r = add_profile(c, path);
	return r < 0 ? r : export_code(c, ret);
}

/* Both in one: FIRST goes on with SECOND where it would allow. */
static int join(const struct code *first, const struct code *second, struct code *ret)
{
	size_t count = first->count + second->count;
	struct sock_filter *all, *at;
	size_t i;

	if (count == 0 || count > BPF_MAXINSNS)
		return -E2BIG;
	all = calloc(count, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		at = &all[i];
		*at = i < first->count ? first->instructions[i]
				       : second->instructions[i - first->count];
		if (i < first->count && at->code == (BPF_RET | BPF_K) && at->k == SECCOMP_RET_ALLOW)
			*at = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
							   (uint32_t)(first->count - i - 1));
	}
	ret->instructions = all;
	ret->count = count;
	return 0;
}

/* Where it cannot be made smaller it stays as it is. */
static int compact(struct code *c)
{
	struct code smaller;
	int r = seccomp_compact(c->instructions, c->count, &smaller.instructions, &smaller.count);

	if (r < 0)
		return r == -ENOTSUP ? 0 : r;
	free_code(c);
	*c = smaller;
	return 0;
}

static int to_memfd(const struct code *c, int *ret_memfd)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	CLEANUP_FD int fd = memfd_create("seccomp", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t size = c->count * sizeof(*c->instructions);

	if (fd < 0)
		return -errno;
	if (write(fd, c->instructions, size) != (ssize_t)size)
		return -EIO;
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	*ret_memfd = TAKE_FD(fd);
	return 0;
}

int seccomp_program_new(int *ret_memfd, const char *profile)
{
	struct code ours CLEANUP(free_code) = { NULL, 0 };
	struct code theirs CLEANUP(free_code) = { NULL, 0 };
	struct code both CLEANUP(free_code) = { NULL, 0 };
	int r;

	r = compile_refusals(&ours);
	if (r < 0)
		return r;
	r = compile_profile(&theirs, profile);
	if (r < 0)
		return r;
	r = join(&ours, &theirs, &both);
	if (r == 0)
		r = compact(&both);
	return r < 0 ? r : to_memfd(&both, ret_memfd);
}
