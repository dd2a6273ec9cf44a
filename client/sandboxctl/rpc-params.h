/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From options to an RPC's params. */

#include "options.h"

struct json_object;

/* A new object with every given option that has a place in the params. Returns NULL after telling
 * why not. */
struct json_object *params_from_options(const struct options *o);

/* Sets a value (taken) at a dotted path, making objects on the way. Returns 0 or -1. */
int params_set(struct json_object *params, const char *path, struct json_object *value);

/* Adds the K=V lines of a file to params.env. Returns 0, or -1 after telling why not. */
int params_add_env_file(struct json_object *params, const char *file);
