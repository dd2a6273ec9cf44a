/* SPDX-License-Identifier: Apache-2.0 */
/* What a claim did outside the sandbox (the lock of a worktree, files that hold a place in .git) is
 * the keeper's to undo. When a keeper dies, or the host does, its record stays beside the upper
 * directory, and the next keeper undoes it: it is sent the same claim once more, to be taken back.
 * Of a sandbox that lives it is told likewise when it takes that over, and undoes it at its end.
 *
 * `undo_due` is set while that has to be done. An op does it at once; if that fails, the next start
 * takes the record over, and a remove tries again first. */

#include <string.h>

#include "sandbox/claim.h"
#include "sandbox/keeper-client.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/secret-file.h"
#include "sandbox/workspace.h"
#include "util/log.h"
#include "util/strings.h"

char *sandbox_lock_reason(const struct sandbox *s)
{
	return string_format("sandboxd: sandbox %s works on it; `sandboxctl rm %s` frees it",
			     s->facts.name, s->facts.name);
}

/* As for a boot, but what cannot be opened is left out; and where an agent put a `.git` that cannot
 * be believed, the workspace alone is what matters. */
static void open_workspaces(struct sandbox *s)
{
	struct workspace_policy policy = manager_workspace_policy(s->manager, s->facts.peer);
	struct workspace **w;
	size_t i;

	sandbox_close_workspaces(s);
	for (i = 0; i < s->facts.workspaces.count; i++) {
		CLEANUP_ERROR struct error e = { 0 };
		const struct workspace_params *p = &s->facts.workspaces.items[i];

		w = &s->workspaces[s->n_workspaces];
		policy.ignore_git = false;
		if (workspace_open(w, p, "workspace", &policy, &e) < 0) {
			error_clear(&e);
			policy.ignore_git = true;
			if (workspace_open(w, p, "workspace", &policy, &e) < 0) {
				log_warning("sandbox %s: what was made in a workspace stays: %s",
					    s->facts.name, e.message ? e.message : "no memory");
				continue;
			}
		}
		s->n_workspaces++;
	}
}

/* TYPE: KEEPER_CLAIM or KEEPER_RECALL. */
static int call_again(struct sandbox *s, struct keeper_client *k, uint16_t type, uint32_t flags,
		      keeper_reply *done)
{
	CLEANUP_ERROR struct error e = { 0 };
	CLEANUP_STR char *reason = sandbox_lock_reason(s);
	CLEANUP_STRINGS struct string_list memory = { 0 };
	struct wire_message *m = keeper_scratch(s->manager);
	struct claim claim = { .sandbox_id = s->facts.id,
			       .hostname = "",
			       .flags = flags,
			       .workspaces = s->workspaces,
			       .lock_reason = reason,
			       .locks_only = sandbox_runtime(s) == RUNTIME_HOST,
			       .memory = &memory,
			       .idmap = keeper_client_idmap(k) };
	int r = reason ? secret_file_directories(s, &memory) : -ENOMEM;

	if (claim.idmap < -1)
		r = claim.idmap;
	if (r < 0)
		return r;
	open_workspaces(s);
	claim.n_workspaces = s->n_workspaces;
	if (claim_message(m, &claim, &e) < 0) {
		wire_message_done(m);
		sandbox_log(s, LOG_LEVEL_WARNING, "%s", e.message ? e.message : "no memory");
		r = -EINVAL;
	} else {
		wire_head(m)->type = type;
		r = keeper_client_call(k, m, done, s);
	}
	sandbox_close_workspaces(s);
	return r;
}

int sandbox_call_undo(struct sandbox *s, struct keeper_client *k, keeper_reply *done)
{
	return call_again(s, k, KEEPER_CLAIM,
			  KEEPER_CLAIM_UNDO | (s->foreign_user ? KEEPER_CLAIM_GIVE_BACK : 0), done);
}

int sandbox_call_recall(struct sandbox *s, struct keeper_client *k, keeper_reply *done)
{
	return call_again(s, k, KEEPER_RECALL, 0, done);
}

void sandbox_undone(struct sandbox *s, int error)
{
	if (error == 0)
		s->undo_due = false;
	else
		log_errno(LOG_LEVEL_WARNING, error,
			  "what sandbox %s did outside is not undone, a start or remove does it",
			  s->facts.name);
}

static void finish(struct sandbox *s, int error)
{
	sandbox_undone(s, error);
	sandbox_op_end(s, NULL);
}

static void on_undone(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	(void)k;
	(void)m;
	finish(userdata, error);
}

static void on_gone(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;
	int r = error;

	(void)m;
	if (error != -ECONNRESET && error != -ETIMEDOUT)
		r = sandbox_call_undo(s, k, on_undone);
	if (r < 0)
		finish(s, r);
}

/* A keeper that took it over, and has just seen it end, may still be tidying up. */
static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;
	int r = -ECONNREFUSED;

	(void)e; /* logged where it happened */
	if (k)
		r = sandbox_call_end(s, k, KEEPER_KILL, on_gone);
	if (r < 0)
		finish(s, r);
}

void sandbox_undo(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (!s->undo_due)
		sandbox_op_end(s, NULL);
	else if (manager_keeper(s->manager, s->facts.owner, on_keeper, s, &e) < 0)
		finish(s, -ECONNREFUSED);
}

void sandbox_undo_later(struct sandbox *s)
{
	s->undo_due = true;
	if (sandbox_submit(s, SANDBOX_VERB_UNDO, NULL, NULL, NULL, s->facts.state) < 0)
		sandbox_undone(s, -ENOMEM);
}
