/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Descriptors and small files. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int fd_set_nonblock(int fd);
/* As openat(2) with CLOEXEC, but no symbolic link is followed anywhere on PATH; fd_open_beneath()
 * also stays below DIR_FD. Return the fd or negative errno. */
int fd_open_no_links(int dir_fd, const char *path, int flags);
int fd_open_beneath(int dir_fd, const char *path, int flags);
/* Whole file up to MAX bytes (more: -EFBIG), NUL-terminated, freed by the caller. */
int fd_read_file(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_size);
/* Reads from OFFSET until SIZE bytes, the end or an error. Returns how many are in BUFFER. */
size_t fd_read_at(int fd, char *buffer, size_t size, uint64_t offset);
/* write(2) of all of TEXT to an existing file. */
int fd_write_file(int dir_fd, const char *path, const char *text);
/* For people: the path of what FD is; cut if longer. */
void fd_describe(int fd, char *ret, size_t size);
/* RLIMIT_NOFILE to its hard limit. */
int fd_raise_limit(void);
/* A bound, listening, non-blocking, CLOEXEC Unix socket at PATH; what was there is replaced. MODE
 * is set before anybody can connect. Paths of 100 bytes and more: -ENAMETOOLONG. Returns the fd or
 * negative errno. */
int fd_listen_unix(const char *path, int type, mode_t mode, int backlog);
int fd_connect_unix(const char *path, int type);
