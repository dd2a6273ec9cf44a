/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a claim is about to do outside the sandbox, in a file beside its upper directory: written
 * before anything is made and removed when all is undone, so that a later keeper can undo what a
 * dead one left. */

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "tree.h"

enum record_kind {
	RECORD_MADE = 'm', /* a file of ours: ROOT/SOURCE */
	RECORD_OWN = 'o',  /* workspace ROOT had no .git */
};

struct record {
	bool found;            /* an earlier claim was not undone */
	struct timespec since; /* CLOCK_REALTIME of the first claim */
	char *entries;         /* each: kind, path, NUL */
	size_t size;
};

void record_deinit(struct record *r);
/* What an earlier claim of ID left, or an empty record that begins now. R is filled on success: 0,
 * or negative errno. */
int record_load(struct record *r, const struct tree *t, const char *id);
int record_add(struct record *r, enum record_kind kind, const char *root, const char *source);
bool record_has(const struct record *r, enum record_kind kind, const char *root,
		const char *source);
/* Replaces the file, at once. */
int record_save(const struct record *r, const struct tree *t, const char *id);
/* The claim of ID answers for another one, too, which began at SINCE, and, if OWN is not NULL, for
 * the .git of that workspace. Returns 0 or negative errno; where there is no record there is
 * nothing to do. */
int record_look_back(const struct tree *t, const char *id, const struct timespec *since,
		     const char *own);
/* Makes an empty file, which is no record, for the first one to be written into: on a busy disk
 * that takes a claim less time than making one. */
void record_prepare(const struct tree *t, const char *id);
/* Nothing is left to be undone. */
void record_remove(const struct tree *t, const char *id);
