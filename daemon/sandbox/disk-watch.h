/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* limits.diskBytes: where the kernel cannot hold it (disk-quota.h), looks how much a sandbox has
 * written outside its workspaces, and ends what writes beyond. A sandbox without that limit has no
 * watch, and nothing here costs anything. */

struct disk_watch;
struct sandbox;

/* S runs now, from nothing or again. What fails is logged: then it is not watched. */
void disk_watch_begin(struct sandbox *s);
/* It does not run any more. */
void disk_watch_end(struct sandbox *s);
/* A command begins in S. */
void disk_watch_touch(struct sandbox *s);
struct disk_watch *disk_watch_free(struct disk_watch *w); /* returns NULL */
