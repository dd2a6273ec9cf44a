/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A root file system of its own as a layer: debian.h's recipe, run apart from everything else. */

#include <stddef.h>

#include "bounds.h"
#include "ids.h"
#include "keeper-wire.h"
#include "tree.h"

#define ROOT_BUILD_TEXT_MAX 1024

struct root_build_job {
	const struct tree *tree;
	const struct ids *ids;
	int output; /* a pipe; nobody reads it any more: given up */
	char layer[NAME_LENGTH_MAX + 1];
	char suite[NAME_LENGTH_MAX + 1];
	size_t n_env;
	char env[KEEPER_ROOT_ENV_MAX][ROOT_BUILD_TEXT_MAX];
};

/* Worker function: answers with the size, or with the reason after removing everything it made. ARG
 * is a struct root_build_job. */
void root_build(void *arg);
