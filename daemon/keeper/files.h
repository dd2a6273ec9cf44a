/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small file operations relative to directory descriptors. Negative errno everywhere. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Letters, digits and "._+-", "@", ":" after the first; at most 128 bytes: safe as one path
 * component, and as a lower directory once overlay_options() has escaped it. */
bool name_good(const char *name);

/* Writes TEXT to an existing file (proc, sysfs, cgroup) with one write. */
int file_put_at(int dir, const char *path, const char *text);

/* Reads at most SIZE - 1 bytes and terminates them. Returns their number. */
ssize_t file_get_at(int dir, const char *path, char *buf, size_t size);

/* The number in a file that holds just that ("max" is UINT64_MAX), or 0 when it cannot be had. */
uint64_t file_number_at(int dir, const char *path);

/* The number behind "KEY " at the start of a line, or 0. */
uint64_t file_keyed_number_at(int dir, const char *path, const char *key);

/* A file or directory with exactly this owner and mode, whatever the umask. An existing directory
 * is kept; an existing file is -EEXIST. */
struct owned {
	uid_t uid;
	mode_t mode;
};
int file_make_at(int dir, const char *path, const char *text, struct owned as);
int dir_make_at(int dir, const char *path, struct owned as);

/* Copies an open regular file's content into TO from its start. */
int file_copy(int from, int to);

/* Opens PATH beneath DIR without following any symlink ("" is DIR itself). */
int beneath_open(int dir, const char *path, int flags);
/* The same for an absolute path from the root. */
int absolute_open(const char *path, int flags);

/* Opens for a walk: O_DIRECTORY, read-only, not through a symlink. */
int dir_open_at(int dir, const char *path);
