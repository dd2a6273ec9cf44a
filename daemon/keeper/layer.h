/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Layers: what a sandbox changed, kept read-only for others to stand on. */

#include <stdint.h>

#include "bounds.h"
#include "tree.h"

struct layer_job {
	const struct tree *tree;
	char id[NAME_LENGTH_MAX + 1]; /* the sandbox */
	char layer[NAME_LENGTH_MAX + 1];
};

/* Worker functions: answer with the size. ARG is a struct layer_job. Of a stopped sandbox, whose
 * upper is used up: */
void layer_save(void *arg);
/* Of one that keeps its upper, and had better be held still; on failure nothing is left. */
void layer_copy(void *arg);

/* <templates>/.<layer>.tmp, complete, becomes the layer. Returns 0 and its size, or negative errno.
 */
int layer_finish(const struct tree *t, const char *layer, uint64_t *ret_size);
/* What a worker that was killed has begun goes to trash. */
void layer_drop_unfinished(const struct tree *t, const char *layer);
/* The same for all that an earlier keeper has begun. */
void layer_sweep(const struct tree *t);

/* Moves the layer to trash. -ENOENT: there is none. */
int layer_remove(const struct tree *t, const char *layer);
