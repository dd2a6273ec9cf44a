/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reads a seccomp profile in the format of containers-common and Docker into plain rules, so that
 * who compiles it needs no JSON. */

#include <stddef.h>
#include <stdint.h>

#define SECCOMP_PROFILE_ARGS_MAX 6

enum seccomp_profile_op {
	SECCOMP_PROFILE_NE,
	SECCOMP_PROFILE_LT,
	SECCOMP_PROFILE_LE,
	SECCOMP_PROFILE_EQ,
	SECCOMP_PROFILE_GE,
	SECCOMP_PROFILE_GT,
	SECCOMP_PROFILE_MASKED_EQ,
	SECCOMP_PROFILE_OP_MAX,
};

struct seccomp_profile_arg {
	unsigned index;
	enum seccomp_profile_op op;
	uint64_t value;
	uint64_t value_two; /* MASKED_EQ: what is compared; VALUE is the mask */
};

/* One system call of one entry. */
struct seccomp_profile_rule {
	char *name;
	int error; /* 0: allowed, else refused with this positive errno */
	size_t n_args;
	struct seccomp_profile_arg args[SECCOMP_PROFILE_ARGS_MAX]; /* all must match */
};

struct seccomp_profile {
	struct seccomp_profile_rule *rules;
	size_t n_rules;
};

/* Entries that depend on an architecture are for this machine's; those that depend on capabilities
 * for the default set of the OCI runtimes. Returns 0, -EBADMSG when it is not such a profile or
 * asks for anything but allow and errno, or another negative errno. */
int seccomp_profile_load(struct seccomp_profile *ret, const char *path);
void seccomp_profile_deinit(struct seccomp_profile *p);
