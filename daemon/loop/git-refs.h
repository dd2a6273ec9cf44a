/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All refs of a workspace's repository at one moment, read from its files without git, so that two
 * such moments can be compared. */

#include "util/strings.h"

struct workspace;

/* HEAD's branch ("refs/heads/x"), and "VALUE NAME" of each ref, by name. VALUE has no blank: a
 * commit,
 * "@NAME" for a ref that names another one, or "?" for what is neither. */
struct git_refs {
	char *head; /* NULL: it is on none */
	struct string_list refs;
};

/* Returns 0; -ENOENT: there is no repository, or it keeps its refs in another way; -E2BIG: more
 * than GIT_REFS_MAX, or than GIT_REFS_LOOSE_MAX in files of their own; or negative errno. */
int git_refs_read(const struct workspace *w, struct git_refs *ret);
void git_refs_deinit(struct git_refs *r);
#define CLEANUP_REFS CLEANUP(git_refs_deinit)

#define GIT_REFS_MAX 50000
#define GIT_REFS_LOOSE_MAX 5000

/* The names of those that are in one and not in the other, or have another value, sorted, without
 * that of OWN (may be NULL). Returns 0 or -ENOMEM. */
int git_refs_compare(const struct git_refs *before, const struct git_refs *after, const char *own,
		     struct string_list *ret);
