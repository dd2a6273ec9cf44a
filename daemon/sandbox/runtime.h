/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What sets a sandbox up, and what it can do. */

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct config;
struct config_runtime;
struct manager;

enum runtime_type {
	RUNTIME_CRUN,
	RUNTIME_RUNC,
	RUNTIME_RUNSC,
	RUNTIME_HOST, /* no isolation at all */
	RUNTIME_TYPE_MAX
};

/* What not every runtime can: who is asked for it refuses where this says no. */
enum runtime_capability {
	RUNTIME_CAN_PAUSE,      /* freeze and thaw all of it */
	RUNTIME_CAN_SAVE,       /* its writable layer is a directory that can be copied */
	RUNTIME_CAN_STAGE,      /* a mount view per exec */
	RUNTIME_CAN_LIMIT,      /* memory, cpus, pids by cgroup */
	RUNTIME_CAN_TEMPLATE,   /* a root file system of its own */
	RUNTIME_CAN_CHOOSE_NET, /* a network of its own */
	RUNTIME_CAN_MAX
};

bool runtime_can(enum runtime_type type, enum runtime_capability what);

const char *runtime_type_to_string(enum runtime_type type);
/* RUNTIME_TYPE_MAX: there is no such type. */
enum runtime_type runtime_type_from_string(const char *text);
