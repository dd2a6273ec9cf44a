/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* limits.diskBytes by the kernel: a root daemon whose state directory lies on a file system with
 * project quotas gives each sandbox that is limited a project. What is written beyond fails with
 * EDQUOT, and nothing is ended. */

#include <stdbool.h>

struct manager;
struct sandbox;

/* Looks once whether that can be had here. */
void disk_quota_init(struct manager *m);
/* S runs from now on. False: it cannot be limited so, it has to be watched. */
bool disk_quota_begin(struct sandbox *s);
/* It does not any more: its project has no limit until it starts again. */
void disk_quota_end(struct sandbox *s);
