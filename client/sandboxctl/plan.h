/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What takes disk space, and which of it prune would remove. Put together here from what the daemon
 * answers to anybody:
 *
 * - sandboxes that are stopped or failed and belong to no loop (`loop rm` is for those);
 * - templates whose build failed;
 * - a tool's layers, TOOL@VERSION, of another version than the configured one, when no sandbox or
 *   template that stays stands on them.
 *
 * Saved templates stay, and so does `host`. */

#include <stdint.h>

#include "ctl.h"

struct plan {
	struct json_object *sandboxes; /* {name, id, state, diskBytes, prune} each */
	struct json_object *templates; /* {name, state, sizeBytes, prune} each */
	struct json_object *disk;      /* of system.df */
	int64_t sandbox_bytes;
	int64_t template_bytes;
	int64_t prune_sandbox_bytes;
	int64_t prune_template_bytes;
};

/* Returns 0, or -1 after telling why not. P is to be deinited in any case. */
int plan_make(struct ctl *ctl, struct plan *p);
void plan_deinit(struct plan *p);
