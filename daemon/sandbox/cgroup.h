/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where keepers may make cgroups: one directory per owner, below one of this daemon instance, below
 * the daemon's own cgroup; or, with version 2, in the cgroup of the keeper's service. Nothing else
 * in the hierarchy is ever changed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper-wire.h"
#include "macro.h"

struct cgroups;
struct owner;

#define CGROUP_SERVICE_PREFIX "sandbox-keeper-" /* of the names of keepers' services */

/* The part of the cgroup PATH that ends with a keeper's service, or with the directory that a
 * daemon made for OWNER, as a copy; NULL: it is in none. */
char *cgroup_of_service(const char *path);
char *cgroup_of_owner(const char *path, const char *instance, uid_t owner);

/* Finds out what works, makes the instance's directories and removes what an earlier run with the
 * same instance id left in them, unless (KEEP) it may be in use. Without any usable hierarchy: 0,
 * and no controllers. SERVICES: keepers are some. Returns 0 or negative errno. */
int cgroups_new(struct cgroups **ret, const char *instance, bool is_root, bool services, bool keep);
/* Removes the directories (they must be empty) unless KEEP, and frees. */
void cgroups_free(struct cgroups *c, bool keep);

uint32_t cgroups_controllers(const struct cgroups *c);
/* "v1", "v2" or "none" */
const char *cgroups_version(const struct cgroups *c);

/* Version 2 (else nothing is done): PID, the keeper of OWNER or a process of one of its sandboxes,
 * is in its service's cgroup, or in one that an earlier daemon made, and that is used from now on;
 * unless processes are in the one that was used up to now, left by a keeper that died. Returns 0 or
 * negative errno. */
int cgroups_follow(struct cgroups *c, uid_t owner, pid_t pid);
/* Makes OWNER's directories, given to the keeper's id 65535, and opens them: n of OUT and FDS (the
 * caller's). Returns n or negative errno. */
int cgroups_open_owner(struct cgroups *c, const struct owner *owner,
		       struct keeper_cgroup out[static KEEPER_CGROUPS_MAX],
		       int fds[static KEEPER_CGROUPS_MAX]);
/* Version 2: a process can only be moved below the nearest common cgroup that the mover may write,
 * so the keeper has to live beside its sandboxes. Returns 0 or negative errno. */
int cgroups_place_keeper(struct cgroups *c, uid_t owner, pid_t keeper);
/* Whether FD is in one of our hierarchies. Asks no file system, so that one which never answers (a
 * foreign FUSE) does not stop us. */
bool cgroups_hold(const struct cgroups *c, int fd);
/* Removes the directories of those owners that are not USED. */
void cgroups_sweep(struct cgroups *c, bool (*used)(uid_t owner, void *userdata), void *userdata);
/* Removes OWNER's directories. Returns 0, or -EBUSY while processes are in them. */
int cgroups_remove_owner(struct cgroups *c, uid_t owner);
