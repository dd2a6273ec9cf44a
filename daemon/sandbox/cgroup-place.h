/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where our own cgroups are, as /proc says. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keeper-wire.h"

struct cgroup_controller {
	const char *name;
	uint32_t bit; /* enum keeper_controller */
	bool in_v2;   /* as a controller that must be enabled */
};

/* Those that we know. */
#define CGROUP_CONTROLLERS 5
extern const struct cgroup_controller cgroup_controllers[CGROUP_CONTROLLERS];

/* The bits of those controllers that the list TEXT (separated by SEPARATOR) names. */
uint32_t cgroup_bits(const char *text, size_t length, char separator);

/* SELF, the text of /proc/PID/cgroup, has the process's cgroup in the hierarchy whose controllers
 * are BITS (0: the unified one): a copy, or NULL. */
char *cgroup_own(const char *self, uint32_t bits);

/* One hierarchy as /proc says: the directory of our own cgroup, and what it can limit. */
struct cgroup_place {
	char *dir;            /* owned */
	char *mount;          /* owned; the hierarchy's top */
	uint32_t controllers; /* enum keeper_controller */
	uint32_t version;
};

/* Reads the texts of /proc/self/cgroup and /proc/self/mountinfo. Hierarchies of version 1 that hold
 * one of our controllers; when there are none, the unified one (its controllers are not known from
 * here: 0). Returns how many of PLACES were filled in; cgroup_place_deinit() frees them. */
size_t cgroup_find_places(const char *self, const char *mountinfo,
			  struct cgroup_place places[static KEEPER_CGROUPS_MAX]);
void cgroup_place_deinit(struct cgroup_place *p);
