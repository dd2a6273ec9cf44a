/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What exec and run have in common: from stdin, stdout, terminal and options to one exec.run. */

#include <stdbool.h>

#include "ctl.h"
#include "rpc-params.h"

struct exec_stdio {
	bool interactive;
	bool tty;
	bool detach;
};

/* Adds --env-file, --secret and its kin. Returns 0, or -1 after telling why not. */
int exec_params_add_files(const struct options *o, struct json_object *params);

/* Adds stdin, stdout, stderr or tty to PARAMS, runs it, returns the exit status. */
int exec_params_run(struct ctl *ctl, struct json_object *params, const struct exec_stdio *stdio);
