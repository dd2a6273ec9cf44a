/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Project quotas of ext4 and xfs: a directory and what is made in it belong to a project, a number,
 * and the kernel limits what a project takes. Only root of the initial user namespace may set them;
 * nobody in another can leave a project. Functions return 0 or negative errno. libc only. */

#include <stddef.h>
#include <stdint.h>

/* Whether they are counted and enforced on the file system of FD (O_PATH will do in the first
 * three): -EOPNOTSUPP when not. */
int project_quota_probe(int fd);
/* Both 0: nobody uses PROJECT. */
int project_quota_get(int fd, uint32_t project, uint64_t *ret_used, uint64_t *ret_limit);
/* BYTES 0: no limit. */
int project_quota_set(int fd, uint32_t project, uint64_t bytes);

/* The project of an open file or directory; 0: of none. */
int project_get(int fd, uint32_t *ret);
/* The directory FD and all that is in it now, at most MAX entries (then -E2BIG, with some of it
 * done), belong to PROJECT, and so will what is made in it. Follows no link. */
int project_assign(int fd, uint32_t project, size_t max);
