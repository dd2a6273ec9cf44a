/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Paths and directories. */

#include <stdbool.h>
#include <sys/types.h>

/* Absolute, no "//", no "." or ".." component, no trailing slash (but "/"). */
bool path_is_clean(const char *path);
/* True when PATH is BASE or below it; both clean. */
bool path_is_below(const char *path, const char *base);
/* mkdir -p for an absolute path, with MODE for what is made. Returns 0 or negative errno. */
int path_make(const char *path, mode_t mode);
/* Makes NAME in DIR_FD unless it exists and checks that it is a directory (not a link) of UID with
 * exactly MODE, correcting the mode of our own. Returns 0, -EPERM (another's), or negative errno.
 */
int path_make_private(const char *path, mode_t mode, uid_t uid);
/* Removes NAME below DIR_FD with all it holds; follows no link and crosses no mount. A missing NAME
 * is fine. Returns 0 or the first negative errno. */
int path_remove_tree(int dir_fd, const char *name);
/* The first executable NAME in the usual places, whatever $PATH says. False: there is none. */
bool path_find_program(const char *name, char *path, size_t size);
/* The directory of the running program, freed by the caller. */
int path_of_self(char **ret_dir);
