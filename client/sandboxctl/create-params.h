/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What create and run have in common: sandbox.create's params. */

#include <stddef.h>

#include "rpc-params.h"

/* TOOL with N_WORKSPACES of the form PATH[:ro]. A new object, or NULL after telling why not. */
struct json_object *create_params(const struct options *o, const char *tool,
				  const char *const *workspaces, size_t n_workspaces);
