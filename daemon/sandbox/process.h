/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A hold on a process that somebody else named. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A pidfd of PID if it lives in a user namespace made directly below that of process ABOVE, which
 * may kill it anyway: so nobody can name us a process of others. Negative errno; -EPERM: another's.
 */
int process_hold_below(pid_t pid, pid_t above);
/* The user namespace in which that of PID was made, or negative errno; -EPERM: our own. PIDFD is a
 * hold on PID. */
int process_namespace_above(pid_t pid, int pidfd);
/* When PID began, in the kernel's clock ticks since boot: with the number, it names a process as
 * long as the machine runs. 0: there is none. */
uint64_t process_since(pid_t pid);
/* A pidfd of PID if it began at SINCE and is still there; -ESRCH: it is not. */
int process_hold(pid_t pid, uint64_t since);
/* SIGKILL; to a sandbox's init it ends all that is in the sandbox. -1 is fine. */
void process_kill(int pidfd);
