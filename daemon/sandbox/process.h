/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A hold on a process that somebody else named. */

#include <sys/types.h>

/* A pidfd of PID if it lives in a user namespace made directly below that of process ABOVE, which
 * may kill it anyway: so nobody can name us a process of others. Negative errno; -EPERM: another's.
 */
int process_hold_below(pid_t pid, pid_t above);
/* SIGKILL; to a sandbox's init it ends all that is in the sandbox. -1 is fine. */
void process_kill(int pidfd);
