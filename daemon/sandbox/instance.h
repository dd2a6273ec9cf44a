/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The state directory's own name for itself: in every cgroup, container and directory name that
 * belongs to it. */

#include <stdbool.h>

struct manager;

/* Sets M->instance, with the database and the state directory open; makes it the first time
 * (*RET_NEW). Returns 0 or negative errno. */
int instance_load(struct manager *m, bool *ret_new);
