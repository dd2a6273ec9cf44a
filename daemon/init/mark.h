/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whose a process is, in a kernel that shows no UTS namespaces (gVisor): each exec gets a limit of
 * processes that is really a number of its own. Every descendant inherits it, gVisor does not
 * enforce it, and a filter keeps the exec from changing it. */

#include <stdint.h>
#include <sys/types.h>

/* From a vforked child, before it gives up its rights: marks the caller as EXEC's. Returns 0 or -1
 * with errno. */
int mark_take(uint64_t exec, uint64_t *ret_mark);
/* The mark of PID. Returns 0, -ENOENT (gone) or -EACCES. */
int mark_read(pid_t pid, uint64_t *ret_mark);
