/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The `host` template: the lowest layer of every sandbox. Nothing of the host is copied but the
 * names of its /usr links; what is read from the host is mounted (bundle.c). */

#include "ids.h"

/* Fills the empty directory DIR. */
int skeleton_build(int dir, const struct ids *ids);

/* What is bound read-only from the host where it exists, at the same path; mount points for these
 * are in the skeleton. NULL-terminated. */
extern const char *const skeleton_host_paths[];

/* The keeper id of a sandbox's id. */
uid_t skeleton_id(const struct ids *ids, uid_t inside);
