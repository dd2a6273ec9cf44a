/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which host ids a workspace owner's keeper may use. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper-wire.h"

/* What newuidmap must grant: keeper ids 1…65535 (owner), or all of 0…65535 (shifted). */
#define OWNER_SUB_COUNT_OWNER 65535u
#define OWNER_SUB_COUNT_SHIFTED 65536u
/* Where owner 0's ids lie when /etc/subuid says nothing about root: systemd's own convention for
 * dynamically used container ranges begins at 524288 and ends at 1879048191; this is the last 64
 * Ki. */
#define OWNER_SHIFTED_FIRST 1878982656u

struct owner {
	uid_t uid;
	gid_t gid;
	enum keeper_map map;
	uint32_t sub_uid; /* first, host side; 0 with MAP_SINGLE */
	uint32_t sub_gid;
	uint32_t sub_count;
};

/* Finds out. DAEMON is our own uid: only a root daemon has other owners than itself. Without usable
 * entries the map is single. Returns 0 or negative errno (-ENOENT is not one of them). */
int owner_lookup(struct owner *ret, uid_t uid, uid_t daemon);

/* Where UID lives on the host, and how he is called. Who is not known there lives in / and is
 * called by his number. Returns 0 or -ENOMEM. */
int owner_home(uid_t uid, char **ret_home, char **ret_name);

/* The host uid and gid behind a keeper id. */
uid_t owner_host_uid(const struct owner *o, uint32_t keeper_id);
gid_t owner_host_gid(const struct owner *o, uint32_t keeper_id);

/* The first range of at least COUNT ids for NAME or UID in the text of an /etc/subuid. Returns true
 * and fills in *RET. */
bool owner_find_range(const char *text, const char *name, uid_t uid, uint32_t count,
		      uint32_t *ret_first);
