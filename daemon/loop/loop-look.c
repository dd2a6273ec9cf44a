/* SPDX-License-Identifier: Apache-2.0 */
/* Before a loop goes: what its worktree has that nothing else has. Whoever destroys it without
 * force is told, and nothing happens; with force it is kept beside the receipt. Without a
 * repository there is nothing that git could say, and a worktree that is gone took all of it along:
 * neither stands in the way. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "loop/artifacts-output.h"
#include "loop/kept.h"
#include "loop/loop-internal.h"
#include "sandbox/git.h"
#include "sandbox/workspace.h"
#include "util/log.h"

#define NAMES_SHOWN 5

static void on_looked(struct artifacts_result *r, void *userdata)
{
	struct loop *l = userdata;
	struct loop_op *op = l->ops;

	op->job = NULL; /* it ends behind this call */
	op->found = *r;
	*r = (struct artifacts_result){ 0 };
	op->step(l);
}

/* It cannot be asked: the reason is what was found. */
static void say(struct loop *l, const char *keyword, const char *sentence)
{
	if (artifacts_say_empty(&l->ops->found, keyword, sentence) < 0)
		log_warning("no memory to say why loop %s has no patch", l->facts.id);
	l->ops->step(l);
}

static int ask(struct loop *l, const struct workspace *w, struct error *reterr)
{
	CLEANUP_STR char *base = loop_kept_base(l);
	const struct artifacts_query query = { .peer = l->facts.peer,
					       .owner = workspace_owner(w),
					       .work_dir = l->facts.work_dir,
					       .base_sha = base,
					       .since_ms = l->facts.created_at_ms,
					       .want_patch = true };

	return artifacts_collect(l->manager, &query, on_looked, l, &l->ops->job, reterr);
}

void loop_look(struct loop *l, void (*step)(struct loop *l))
{
	CLEANUP_ERROR struct error e = { 0 };
	struct workspace *w = NULL;
	int r;

	artifacts_result_deinit(&l->ops->found);
	l->ops->step = step;
	if (loop_open_work_dir(l->manager, l->facts.peer, l->facts.work_dir, &w, &e) < 0) {
		say(l, e.kind == ERROR_NOT_FOUND ? "no_repository" : "git_failed",
		    e.message ? e.message : "there is no memory");
		return;
	}
	if (!workspace_git(w) || workspace_git(w)->kind == GIT_NONE) {
		(void)workspace_free(w); /* returns NULL */
		say(l, "no_repository", "the workspace is not a git working tree");
		return;
	}
	r = ask(l, w, &e);
	(void)workspace_free(w);
	if (r < 0)
		say(l, "git_failed", e.message ? e.message : "there is no memory");
}

/* ---- what would be lost ---- */

/* Names are a stranger's: only plain ones are shown. */
static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (!isprint((unsigned char)*name))
			return false;
	return true;
}

/* ": a, b, ..." of what changed since the loop began, or "". */
static void list_files(const struct artifacts_result *r, char *text, size_t size)
{
	size_t i, used = 0, shown = 0;

	text[0] = '\0';
	for (i = 0; i < r->touched.count && shown < NAMES_SHOWN; i++) {
		const char *name = r->touched.items[i];

		if (!is_plain(name) || strlen(name) + sizeof(", , ...") > size - used)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s", shown ? ", " : ": ",
					 name);
		shown++;
	}
	if (shown > 0 && (shown < r->touched.count || r->touched_truncated))
		(void)snprintf(text + used, size - used, ", ...");
}

bool loop_would_lose(const struct loop *l, struct error *reterr)
{
	static const char hint[] =
		"commit to a branch, or sandboxctl loop rm --force (force: true): what is not "
		"in a branch is then kept as a patch in the receipt";
	const struct artifacts_result *r = &l->ops->found;
	char files[256];

	if (r->judged && !r->uncommitted && !r->unreachable_commits)
		return false;
	if (!r->judged && r->empty_because && string_starts(r->empty_because, "no_repository:"))
		return false;
	if (!r->judged) {
		(void)error_set(reterr, ERROR_INVALID_STATE, "loopId",
				"mend it, or sandboxctl loop rm --force (force: true)",
				"it cannot be told what would be lost with loop %s: %s",
				l->facts.id, r->empty_because ? r->empty_because : "no memory");
	} else {
		list_files(r, files, sizeof(files));
		(void)error_set(reterr, ERROR_INVALID_STATE, "loopId", hint,
				"the worktree of loop %s has %s%s%s%s", l->facts.id,
				r->uncommitted ? "uncommitted changes" : "",
				r->uncommitted && r->unreachable_commits ? " and " : "",
				r->unreachable_commits ? "commits that are on no branch" : "",
				files);
	}
	error_set_resource(reterr, "loop %s", l->facts.id);
	return true;
}
