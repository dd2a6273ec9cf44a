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
	bool looked; /* git was asked */
	struct artifacts_result artifacts;
	char *log; /* a line for each command */
	char *out;
	char *err;
};

/* When L is made: the commit that its work begins from. What fails is logged. */
void loop_kept_save_beginning(const struct loop *l);
/* That commit, freed by the caller; NULL: there was none, or it is not known. */
char *loop_kept_base(const struct loop *l);
/* While the commands of its N MEMBERS are there: their logs. Returns 0 or negative errno. */
int loop_kept_save_logs(const struct loop *l, const struct loop_member *members, size_t n);
/* Returns 0 or negative errno. */
int loop_kept_save_artifacts(const struct loop *l, const struct artifacts_result *r);
/* *RET is to be given to loop_kept_deinit(). What cannot be read is absent; errors were logged. */
void loop_kept_load(const struct loop *l, struct loop_kept *ret);
void loop_kept_deinit(struct loop_kept *k);
#define CLEANUP_KEPT CLEANUP(loop_kept_deinit)
