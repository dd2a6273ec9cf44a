/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which host ids the keeper's user namespace maps, and how the process gets into it. Host uid 0 is
 * never mapped (with it the agent chmodded the host's /dev/null). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper-wire.h"

struct ids {
	enum keeper_map map;
	uid_t owner;
	gid_t group;
	uid_t sub_uid;
	gid_t sub_gid;
	uint32_t sub_count;
	int join; /* a user namespace with this map, to be joined; -1: it is made */
};

/* The name of a mode on the command line, or -EINVAL. */
int ids_parse_map(const char *text, enum keeper_map *ret);

/* 0, or -EINVAL when the combination would map host id 0 or leaves a keeper id unmapped. */
int ids_check(const struct ids *ids);

/* The lines for uid_map (or gid_map) into BUF. Returns their length or -ENOSPC. */
int ids_map_text(const struct ids *ids, bool gid, char *buf, size_t size);

/* Keeper ids of a sandbox's root and of the fence; 0 when there is only one id. */
uid_t ids_root(const struct ids *ids);
uid_t ids_fence(const struct ids *ids);
/* Whether ID exists in the keeper's namespace. */
bool ids_exists(const struct ids *ids, uint32_t id);

/* Writes the map of a sandbox's user namespace, the same as its bundle's, for PID: a child that has
 * just been made in one. Not with a single id. Returns 0 or negative errno. */
int ids_map_sandbox(pid_t pid);

/* Becomes the owner (when root), enters a new user namespace with this map, or ids->join, and
 * becomes its root.
 * Single-threaded callers only. Returns 0 or negative errno; then the process must end. */
int ids_enter(const struct ids *ids);
