/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What sets a sandbox up, and what it can do. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct config;
struct config_runtime;
struct limits_params;
struct manager;
struct sandbox;
struct sandbox_create_params;

enum runtime_type {
	RUNTIME_CRUN,
	RUNTIME_RUNC,
	RUNTIME_RUNSC,
	RUNTIME_HOST, /* no isolation at all */
	RUNTIME_TYPE_MAX
};

/* What not every runtime can: who is asked for it refuses where this says no. */
enum runtime_capability {
	RUNTIME_CAN_PAUSE,        /* freeze and thaw all of it */
	RUNTIME_CAN_SAVE,         /* its writable layer is a directory that can be copied */
	RUNTIME_CAN_STAGE,        /* a mount view per exec */
	RUNTIME_CAN_LIMIT_MEMORY, /* and cpu time, by cgroup */
	RUNTIME_CAN_LIMIT_PIDS,
	RUNTIME_CAN_LIMIT_SHM,
	RUNTIME_CAN_LIMIT_DISK, /* what it writes goes to a directory of ours */
	RUNTIME_CAN_TEMPLATE,   /* a root file system of its own */
	RUNTIME_CAN_NETWORK,    /* a network of its own */
	RUNTIME_CAN_USERS,      /* other users than the agent */
	RUNTIME_CAN_TTY,
	RUNTIME_CAN_ONE_ID, /* an owner without subordinate ids */
	RUNTIME_CAN_CLAIM,  /* be made first and given its identity later: a pool */
	RUNTIME_CAN_MAX
};

bool runtime_can(enum runtime_type type, enum runtime_capability what);

const char *runtime_type_to_string(enum runtime_type type);
/* RUNTIME_TYPE_MAX: there is no such type. */
enum runtime_type runtime_type_from_string(const char *text);

/* The type of S's runtime as configured now; RUNTIME_TYPE_MAX: it is not configured any more. */
enum runtime_type sandbox_runtime(const struct sandbox *s);

#define RUNTIME_PATH_MAX 256

/* Where the program of R is. Returns 0 (host: an empty path), or -ENOENT when it is not installed
 * or cannot be executed. */
int runtime_program(const struct config_runtime *r, char path[static RUNTIME_PATH_MAX]);

/* The runtime NAME, if it is there and may be used: else NULL with *RETERR (field runtime). */
const struct config_runtime *runtime_find(const struct manager *m, const char *name,
					  struct error *reterr);
/* The name of the runtime for P. For a sandbox of the daemon's own (OWN) one that can have
 * templates and be saved. */
const char *runtime_choose(const struct config *config, const struct sandbox_create_params *p,
			   bool own);
/* Whether R can do what P asks for. Returns 0, or -1 with *RETERR naming the field. */
int runtime_check(const struct config_runtime *r, const struct sandbox_create_params *p,
		  struct error *reterr);
/* Whether R can be used for workspaces of OWNER. Returns 0, or -1 with *RETERR. */
int runtime_check_owner(const struct config_runtime *r, uid_t owner, struct error *reterr);
/* Takes out of L what R cannot hold: defaults that nobody asked for. */
void runtime_cut_limits(const struct config_runtime *r, struct limits_params *l);
