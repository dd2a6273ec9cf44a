/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Attempts to get out of a sandbox. Each says what it tried and reports whether it was refused;
 * tests/integration/test_escape.py runs them as the agent and as the sandbox's root. */

#include <stdbool.h>

enum who {
	WHO_AGENT = 1 << 0,
	WHO_ROOT = 1 << 1,
	WHO_BOTH = WHO_AGENT | WHO_ROOT,
};

/* ARGV holds the attempt's own arguments, NULL-terminated. Returns the number of things that were
 * NOT refused. */
typedef int attempt_fn(char **argv);

struct attempt {
	const char *name;
	unsigned who;
	const char *arguments; /* what the test must pass; NULL: nothing */
	attempt_fn *run;
};

/* Says how one try went; SUCCEEDED: the sandbox has a hole. Returns SUCCEEDED as 0 or 1. errno is
 * printed when it was refused. */
int tried(bool succeeded, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The 32-bit system call NUMBER through int 0x80: a second table with its own numbers, which a
 * filter for x86_64 alone does not see. Pointers must be below 4 GiB. Returns -errno as the kernel
 * does, -ENOSYS where there is no such entry. */
long compat_call(long number, long a, long b, long c, long d);
/* TEXT copied to memory below 4 GiB, or NULL. */
char *low_copy(const char *text);

extern const struct attempt files_attempts[];
extern const struct attempt process_attempts[];
extern const struct attempt mount_attempts[];
extern const struct attempt kernel_attempts[];
extern const struct attempt setid_attempts[];
extern const struct attempt limits_attempts[];
extern const struct attempt network_attempts[];
extern const struct attempt bombs_attempts[];
extern const struct attempt view_attempts[];
