/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stopping everybody in the sandbox with a signal, where there is no cgroup that could be frozen.
 * Nobody can continue anybody then, because all are stopped, and no fork outruns a signal that goes
 * to everyone in one system call. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "init/tree.h"

/* Processes that were stopped before and stay so; of more, all go on in the end. */
#define STANDSTILL_KEPT_MAX 128

struct standstill {
	bool on;
	size_t n_kept; /* beyond the maximum: too many to know */
	pid_t kept[STANDSTILL_KEPT_MAX];
};

/* Stops all, and waits until that is so. 0; -EOPNOTSUPP when we are not PID 1, where "all" would be
 * the whole machine; -ETIMEDOUT, then everything goes on. */
int standstill_begin(struct standstill *s, struct tree *t);
/* Lets all go on but those that were stopped before it began. */
void standstill_end(struct standstill *s, struct tree *t);
