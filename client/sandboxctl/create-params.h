/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What create and run have in common: sandbox.create's params. */

#include <stddef.h>

#include "rpc-params.h"

/* Says on stderr when SANDBOX, as sandbox.create returned it, is no boundary. */
void create_warn(struct json_object *sandbox);
/* "host" where AGENT_LOOP_HOST=1 asks for it and --runtime was not given, else NULL: read when
 * something is created, and at no other time. */
const char *create_runtime(const struct options *o);
/* --network and its kin. */
void create_add_network(struct json_object *params, const struct options *o);
/* TOOL with N_WORKSPACES of the form PATH[:ro]. A new object, or NULL after telling why not. */
struct json_object *create_params(const struct options *o, const char *tool,
				  const char *const *workspaces, size_t n_workspaces);
