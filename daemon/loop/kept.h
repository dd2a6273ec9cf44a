/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What stays of a loop's work when its sandboxes go: what git found in the worktree, and the ends
 * of what its commands wrote. It is in the database as long as the receipt, and read when it is
 * asked for: nothing of it stays in memory. */

#include <stdbool.h>
#include <stddef.h>

#include "loop/artifacts.h"

struct loop;
struct loop_member;

/* Owned by it; NULL: not kept. Texts are UTF-8. */
struct loop_kept {
	bool looked;     /* git was asked */
	bool refs_known; /* those of the beginning could be compared with those of the end */
	struct string_list refs; /* names of those that changed meanwhile, by whomever */
	struct artifacts_result artifacts;
	char *log; /* a line for each command */
	char *out;
	char *err;
};

/* When L is made: the commit that its work begins from, and all refs. What fails is logged. */
void loop_kept_save_beginning(const struct loop *l);
/* That commit, freed by the caller; NULL: there was none, or it is not known. */
char *loop_kept_base(const struct loop *l);
/* While the commands of its N MEMBERS are there: their logs. Returns 0 or negative errno. */
int loop_kept_save_logs(const struct loop *l, const struct loop_member *members, size_t n);
/* Returns 0 or negative errno. */
int loop_kept_save_artifacts(const struct loop *l, const struct artifacts_result *r);
/* Which refs are not what they were when L was made, but the branch that it began on. Returns 0 or
 * negative errno; what cannot be told is no error. */
int loop_kept_save_refs(const struct loop *l);
/* *RET is to be given to loop_kept_deinit(). What cannot be read is absent; errors were logged. */
void loop_kept_load(const struct loop *l, struct loop_kept *ret);
void loop_kept_deinit(struct loop_kept *k);
#define CLEANUP_KEPT CLEANUP(loop_kept_deinit)
