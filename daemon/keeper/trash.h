/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Removal: rename now, empty later. */

#include "tree.h"

/* Moves DIR/PATH (same file system) into the trash under a name of its own. */
int trash_move(const struct tree *t, int dir, const char *path);

/* Worker function (answers first): empties the trash at idle priority. ARG is a struct tree. */
void trash_empty(void *arg);

/* Removes a small directory of ours that holds files and directories of files. */
void trash_remove_flat(int parent, const char *name);
