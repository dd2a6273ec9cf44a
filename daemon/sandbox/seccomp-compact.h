/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Makes a seccomp program smaller. Each sandbox's kernel keeps a copy of its own, compiled. */

#include <stddef.h>
#include <stdint.h>

struct sock_filter;

/* A program that answers every call as the COUNT instructions of IN do, in memory that is the
 * caller's. Returns 0; -ENOTSUP where it finds something in IN that it does not know, or no way to
 * be shorter; or -ENOMEM. */
int seccomp_compact(const struct sock_filter *in, size_t count, struct sock_filter **ret,
		    size_t *ret_count);
