/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Layers: what a stopped sandbox changed, kept read-only for others to stand on. */

#include "bounds.h"
#include "tree.h"

struct layer_job {
	const struct tree *tree;
	char id[NAME_LENGTH_MAX + 1]; /* the sandbox whose upper is used up */
	char layer[NAME_LENGTH_MAX + 1];
};

/* Worker function: answers with the size. ARG is a struct layer_job. */
void layer_save(void *arg);

/* Moves the layer to trash. -ENOENT: there is none. */
int layer_remove(const struct tree *t, const char *layer);
