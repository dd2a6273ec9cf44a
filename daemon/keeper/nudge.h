/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lets go on what an agent stopped on its way to its command. */

#include <sys/types.h>

/* SIGCONT to those children of INIT that are stopped and still run INIT's own program. How many,
 * or negative errno. */
int nudge(pid_t init);
