/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What work in a workspace left there: which files changed since a commit, the patch that makes the
 * same change elsewhere, and what would be lost with the workspace. Knows no JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "params.h"
#include "util/strings.h"

struct artifacts_job;
struct manager;

/* Strings are copied. */
struct artifacts_query {
	uid_t peer;           /* must own the workspace; 0 may ask about anybody's */
	uid_t owner;          /* of the workspace: whose keeper looks at it */
	const char *work_dir; /* canonical path of the workspace */
	const char *base_sha; /* changes since this commit (hexadecimal); NULL: since HEAD */
	int64_t since_ms;     /* CLOCK_REALTIME: which .git inside changed after it; 0: not asked */
	bool want_patch;
	uint64_t patch_max_bytes; /* a longer one is not given at all; 0: ARTIFACTS_PATCH_MAX */
};

/* Valid during the callback only; what is to be kept is taken out (TAKE_PTR, or the list zeroed).
 * Everything in it was written by whoever wrote the workspace: names are any bytes but NUL. */
struct artifacts_result {
	char *head_sha;             /* NULL: no repository, or no commit yet */
	char *base_sha;             /* in full, what the changes are counted from; NULL as above */
	struct string_list touched; /* below work_dir, sorted, each once; a repository inside that
				       belongs to nobody ends in '/' */
	bool touched_truncated;     /* there are more */
	struct string_list gits;    /* each .git below work_dir, but its own, that was made or
				       changed since_ms; sorted */
	void *patch;                /* NULL: empty_because says why, or none was wanted */
	size_t patch_size;
	char *empty_because;      /* "no_repository: …", "no_changes: …", "too_large: …",
				     "bad_base: …", "git_failed: …": keyword, sentence */
	bool judged;              /* git got as far as to say these two: */
	bool uncommitted;         /* HEAD does not have it all */
	bool unreachable_commits; /* HEAD has commits that are on no branch, tag or remote */
};

#define ARTIFACTS_PATCH_MAX (4u << 20)
#define ARTIFACTS_TOUCHED_MAX 10000

/* Called once, from the event loop. What could not be found out is in R->empty_because, so that a
 * run never loses its result to a repository that its agent broke. */
typedef void artifacts_done(struct artifacts_result *r, void *userdata);

/* Looks at Q->work_dir from a sandbox of its own, in which it is read-only. Returns 0, a job in
 * *RET (it ends by itself, right behind DONE) and calls DONE later, never from inside the call; or
 * -1 with *RETERR (INVALID_PARAMS with field baseSha, UNAVAILABLE, LIMIT_REACHED). */
int artifacts_collect(struct manager *m, const struct artifacts_query *q, artifacts_done *done,
		      void *userdata, struct artifacts_job **ret, struct error *reterr);
/* Is SHA something that base_sha may be? Returns 0, or -1 with *RETERR (field baseSha). */
int artifacts_check_base(const char *sha, struct error *reterr);
/* Nobody wants it any more: DONE is not called, and the job ends by itself when its sandbox is
 * gone. */
void artifacts_cancel(struct artifacts_job *job);
