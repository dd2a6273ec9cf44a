/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Idmapped mounts for workspaces of host uid 0, which no keeper may have in its map. */

#include <stdint.h>
#include <sys/types.h>

/* A user namespace that says: id 0 on disk is BASE, and BASE+1 … BASE+COUNT-1 are themselves. Needs
 * root. Blocks for the life of a short child process; made once per base. Returns 0 and an fd, or
 * negative errno. */
int idmap_new(uid_t base, uint32_t count, int *ret_fd);

/* A detached, recursive copy of the mount at DIR (O_PATH fd) seen through IDMAP. Returns 0 and a
 * mount fd, or negative errno: -EOPNOTSUPP when a file system in it cannot do that. */
int idmap_mount(int dir, int idmap, int *ret_fd);
