/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HEAD of a workspace's repository, read from its files without git: cheap, and it runs nothing. */

struct workspace;

#define GIT_SHA_SIZE 65 /* SHA-256 in hexadecimal, and NUL */

#define GIT_PACKED_REFS_MAX (8 * 1024 * 1024) /* what is longer is not read */

/* O_PATH of what is the worktree's own and of what all worktrees share, both the caller's (of a
 * plain repository the same). Returns 0 or negative errno; -ENOENT: there is no repository. */
int git_open_directories(const struct workspace *w, int *ret_own, int *ret_common);

/* Returns 0, or negative errno: -ENOENT there is no repository, no commit yet, or HEAD cannot be
 * found this way (a repository with another way of keeping refs). What it says was written by
 * whoever wrote the workspace. */
int git_head_read(const struct workspace *w, char ret[static GIT_SHA_SIZE]);
