/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HEAD of a workspace's repository, read from its files without git: cheap, and it runs nothing. */

struct workspace;

#define GIT_SHA_SIZE 65 /* SHA-256 in hexadecimal, and NUL */

/* Returns 0, or negative errno: -ENOENT there is no repository, no commit yet, or HEAD cannot be
 * found this way (a repository with another way of keeping refs). What it says was written by
 * whoever wrote the workspace. */
int git_head_read(const struct workspace *w, char ret[static GIT_SHA_SIZE]);
