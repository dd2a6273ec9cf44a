/* SPDX-License-Identifier: Apache-2.0 */
/* loop.create: a new loop, more tools for one that is there, or the same once more. What can be
 * refused is refused before anything is made; then all that is missing is made at the same time,
 * and when one of it fails all that this call made goes again. A loop's row is there before its
 * first sandbox; a tool is in the row after its sandbox: what a daemon that died had half made is
 * found by that (loop-row.c). */

#include <string.h>

#include "loop/kept.h"
#include "loop/loop-internal.h"
#include "sandbox/config.h"
#include "sandbox/disk-floor.h"
#include "sandbox/sandbox.h"
#include "sandbox/stage.h"
#include "sandbox/tool.h"
#include "sandbox/view.h"
#include "sandbox/workspace.h"
#include "store/store.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/strings.h"
#include "util/time.h"

/* ---- what can be refused ---- */

static bool same_tool(const char *a, const char *b)
{
	size_t n = strcspn(a, "@");

	return n == strcspn(b, "@") && strncmp(a, b, n) == 0;
}

static int check_tool(const struct manager *m, const struct loop_create_params *p, size_t i,
		      struct error *reterr)
{
	const char *tool = p->tools.items[i];
	CLEANUP_STR char *name = loop_sandbox_name(p->loop_id, tool);
	struct tool_choice choice;
	size_t k;

	if (tool_choose(m->config, tool, "tools", &choice, reterr) < 0)
		return -1;
	for (k = 0; k < i; k++)
		if (same_tool(tool, p->tools.items[k]))
			return error_set(reterr, ERROR_INVALID_PARAMS, "tools", "each tool once",
					 "the tool %s is there twice", tool);
	if (!name)
		return error_set_errno(reterr, -ENOMEM, "the loop cannot be made");
	if (strlen(name) > NAME_LENGTH_MAX)
		return error_set(reterr, ERROR_INVALID_PARAMS, "loopId", "a shorter one",
				 "the sandbox's name loop-{loopId}-%.*s would have %zu "
				 "characters, %d is the most",
				 (int)strcspn(tool, "@"), tool, strlen(name), NAME_LENGTH_MAX);
	return 0;
}

static int check_tools(const struct manager *m, const struct loop_create_params *p,
		       struct error *reterr)
{
	size_t i;

	for (i = 0; i < p->tools.count; i++)
		if (check_tool(m, p, i, reterr) < 0)
			return -1;
	return 0;
}

/* The canonical path of workDir, freed by the caller; NULL with *RETERR. */
static char *open_work_dir(const struct manager *m, uid_t peer, const char *path,
			   struct error *reterr)
{
	struct workspace *w = NULL;
	char *found;

	if (loop_open_work_dir(m, peer, path, &w, reterr) < 0)
		return NULL;
	found = strdup(workspace_path(w));
	if (!found)
		(void)error_set_errno(reterr, -ENOMEM, "the loop cannot be made");
	(void)workspace_free(w); /* returns NULL */
	return found;
}

static int conflict(const struct loop *l, const char *field, struct error *reterr)
{
	if (strcmp(field, "workDir") == 0) /* which cannot be left out */
		(void)error_set(reterr, ERROR_CONFLICT, field, "choose another loopId",
				"loop %s works on %s", l->facts.id, l->facts.work_dir);
	else
		(void)error_set(reterr, ERROR_CONFLICT, field,
				"leave it out, or choose another loopId",
				"loop %s was made with other %s", l->facts.id, field);
	error_set_resource(reterr, "loop %s", l->facts.id);
	return -1;
}

static bool differs(uint64_t given, uint64_t have)
{
	return given > 0 && given != have;
}

static bool limits_differ(const struct limits_params *given, const struct limits_params *have)
{
	return differs(given->memory_bytes, have->memory_bytes) ||
	       differs(given->shm_bytes, have->shm_bytes) ||
	       differs(given->disk_bytes, have->disk_bytes) ||
	       differs(given->cpu_milli, have->cpu_milli) || differs(given->pids, have->pids);
}

/* Returns 0, *RET unset where none were given, or -1 with *RETERR. */
static int read_stages(const struct manager *m, const struct loop_create_params *p,
		       struct stages **ret, struct error *reterr)
{
	return p->stages.count > 0 ? stages_from_params(ret, m->config, &p->stages, reterr) : 0;
}

static bool stages_differ(const struct stages *given, const struct stages *have)
{
	return given && (!have || !stages_equal(given, have));
}

/* The env is not compared: a caller that comes back brings fresh tokens. */
static int check_same(const struct loop *l, const char *work_dir,
		      const struct loop_create_params *p, const struct stages *stages,
		      struct error *reterr)
{
	const struct loop_facts *f = &l->facts;
	const enum network_mode network = loop_network(l);
	const char *runtime = loop_runtime(l);

	if (strcmp(work_dir, f->work_dir) != 0)
		return conflict(l, "workDir", reterr);
	if (p->network.mode != NETWORK_UNSET && network != NETWORK_UNSET &&
	    p->network.mode != network)
		return conflict(l, "network", reterr);
	if (p->template_name && !string_equal(p->template_name, f->template_name))
		return conflict(l, "template", reterr);
	if (p->runtime && runtime && strcmp(p->runtime, runtime) != 0)
		return conflict(l, "runtime", reterr);
	if (limits_differ(&p->limits, &f->limits))
		return conflict(l, "limits", reterr);
	if (p->labels.count > 0 && !pairs_equal(&p->labels, &f->labels))
		return conflict(l, "labels", reterr);
	if (stages_differ(stages, f->stages))
		return conflict(l, "stages", reterr);
	if (p->ttl_ms > 0 && p->ttl_ms != f->ttl_ms)
		return conflict(l, "ttlMs", reterr);
	return 0;
}

static int check_versions(const struct loop *l, const struct loop_create_params *p,
			  struct error *reterr)
{
	const struct string_list *have = &l->facts.tools;
	size_t i, k;

	for (i = 0; i < p->tools.count; i++)
		for (k = 0; k < have->count; k++)
			if (same_tool(p->tools.items[i], have->items[k]) &&
			    strcmp(p->tools.items[i], have->items[k]) != 0)
				return error_set(reterr, ERROR_CONFLICT, "tools",
						 "the same version, or another loopId",
						 "loop %s has %s already", l->facts.id,
						 have->items[k]);
	return 0;
}

/* Asked when the call comes, and again when its turn comes. */
static int check_state(const struct loop *l, struct error *reterr)
{
	if (l->facts.state == LOOP_STATE_ACTIVE && !l->destroying)
		return 0;
	(void)error_set(reterr, ERROR_INVALID_STATE, "loopId", "choose another loopId",
			"loop %s is %s", l->facts.id,
			l->destroying ? "being destroyed" : loop_state_to_string(l->facts.state));
	error_set_resource(reterr, "loop %s", l->facts.id);
	return -1;
}

static int check_quota(const struct manager *m, uid_t peer, struct error *reterr)
{
	const struct loop *l;
	size_t n = 0;

	for (l = m->loops->first; l; l = l->next)
		n += l->facts.peer == peer;
	if (n < LOOPS_PER_UID_MAX)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
			 "those destroyed count until their receipt is forgotten",
			 "uid %u has %zu loops already", (unsigned)peer, n);
}

/* ---- the object ---- */

static int fill_in(struct loop *l, uid_t peer, const char *work_dir,
		   const struct loop_create_params *p)
{
	struct loop_facts *f = &l->facts;
	int r;

	f->peer = peer;
	f->network = p->network.mode;
	f->limits = p->limits;
	f->ttl_ms = p->ttl_ms > 0 ? p->ttl_ms : -1;
	f->created_at_ms = time_realtime_ms();
	r = string_copy(p->loop_id, &f->id);
	if (r == 0)
		r = string_copy(work_dir, &f->work_dir);
	if (r == 0)
		r = string_copy(p->template_name, &f->template_name);
	if (r == 0)
		r = string_copy(p->runtime, &f->runtime);
	if (r == 0)
		r = pairs_copy(&f->env, &p->env);
	if (r == 0)
		r = pairs_copy(&f->labels, &p->labels);
	return r;
}

/* *STAGES is taken over. */
static struct loop *make(struct manager *m, uid_t peer, const char *work_dir,
			 const struct loop_create *c, struct stages **stages, struct error *reterr)
{
	const struct loop_create_params *p = c->params;
	CLEANUP_STR char *what = string_format("loop %s", p->loop_id);
	struct loop *l;
	int r;

	if (check_quota(m, peer, reterr) < 0)
		return NULL;
	l = loop_alloc(m);
	r = l ? fill_in(l, peer, work_dir, p) : -ENOMEM;
	if (r == 0) {
		l->facts.stages = TAKE_PTR(*stages);
		r = loop_row_insert(l);
	}
	if (r == 0) {
		r = loop_enter(l);
		if (r < 0)
			log_errno(LOG_LEVEL_ERROR, r, "the row of loop %s stays behind",
				  l->facts.id);
	}
	if (r < 0)
		(void)store_refuse(r, what ? what : "the loop", reterr);
	else
		loop_kept_save_beginning(l);
	if (r == 0)
		loop_tell_state(l);
	(void)loop_unref(l); /* the table has it now, or nobody */
	return r == 0 ? l : NULL;
}

/* ---- the verb ---- */

int loop_create(struct manager *m, uid_t peer, const struct loop_create *c, struct loop_op **ret,
		struct error *reterr)
{
	const struct loop_create_params *p = c->params;
	CLEANUP(stages_unrefp) struct stages *stages = NULL;
	CLEANUP_STR char *work_dir = NULL;
	struct loop_op *op;
	struct loop *l;

	if (m->stopping)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, "start the daemon again",
				 "the daemon is stopping");
	if (check_tools(m, p, reterr) < 0 || read_stages(m, p, &stages, reterr) < 0)
		return -1;
	work_dir = open_work_dir(m, peer, p->work_dir, reterr);
	if (!work_dir)
		return -1;
	l = loop_find_own(m, peer, p->loop_id);
	if (l && (check_state(l, reterr) < 0 || check_same(l, work_dir, p, stages, reterr) < 0 ||
		  check_versions(l, p, reterr) < 0))
		return -1;
	if (!l && disk_floor_check(m, reterr) < 0)
		return -1;
	if (!l)
		l = make(m, peer, work_dir, c, &stages, reterr);
	op = l ? loop_submit(l, LOOP_VERB_CREATE, c->done, c->userdata) : NULL;
	if (!op) {
		if (l && l->facts.tools.count == 0 && !l->ops)
			loop_forget(l);
		return reterr && reterr->kind != ERROR_NONE
			       ? -1
			       : error_set_errno(reterr, -ENOMEM, "the loop cannot be made");
	}
	op->create = *c;
	*ret = op;
	return 0;
}

void loop_create_cancel(struct loop_op *op)
{
	struct loop *l = op->loop;
	size_t i;

	op->cancelled = true;
	if (op != l->ops || op->pending == 0)
		return; /* seen when its turn comes */
	op->pending++;
	for (i = 0; i < op->n_members; i++)
		sandbox_cancel_create(op->members[i].sandbox);
	loop_op_begun(l);
}

/* ---- making sandboxes ---- */

/* What a sandbox calls otherwise. */
static void rename_field(struct error *e)
{
	static const char *const names[][2] = {
		{ "workspace", "workDir" },
		{ "tool", "tools" },
		{ "name", "loopId" },
		{ "sandbox", "loopId" },
	};
	size_t i;

	for (i = 0; e->field && i < ARRAY_SIZE(names); i++) {
		if (strcmp(e->field, names[i][0]) != 0)
			continue;
		free(e->field);
		e->field = strdup(names[i][1]); /* NULL: an error without a field */
		return;
	}
}

static void on_progress(const char *message, void *userdata)
{
	const struct loop *l = userdata;
	const struct loop_create *c = &l->ops->create;

	if (c->on_progress)
		c->on_progress(message, c->userdata);
}

static int make_sandbox(struct loop *l, const char *tool, const char *name, struct error *reterr)
{
	const struct loop_facts *f = &l->facts;
	const struct loop_create_params *p = l->ops->create.params;
	const struct sandbox_create_params params = {
		.name = name,
		.tool = tool,
		.template_name = f->template_name,
		.workspace = { .path = f->work_dir },
		.network = { .mode = loop_network(l) },
		.limits = f->limits,
		.env = p->env.count > 0 ? p->env : f->env,
		.runtime = loop_runtime(l),
		.ttl_ms = -1,
		.idle_timeout_ms = -1,
		.labels = f->labels,
		.loop_id = f->id,
	};
	struct sandbox *s;

	if (sandbox_create(l->manager, f->peer, &params, loop_op_on_done, l, &s, reterr) < 0)
		return -1;
	sandbox_set_stages(s, f->stages);
	l->ops->pending++;
	sandbox_on_progress(s, on_progress, l);
	if (loop_op_add(l->ops, s) < 0)
		return error_set_errno(reterr, -ENOMEM, "the loop cannot be made");
	return 0;
}

/* One that is there is started if it does not run. */
static int begin_tool(struct loop *l, const char *tool, struct error *reterr)
{
	struct sandbox *s = loop_sandbox(l, tool);
	CLEANUP_STR char *name = loop_sandbox_name(l->facts.id, tool);

	if (!name)
		return error_set_errno(reterr, -ENOMEM, "the loop cannot be made");
	if (!s)
		return make_sandbox(l, tool, name, reterr);
	if (sandbox_state(s) != SANDBOX_STATE_STOPPED && sandbox_state(s) != SANDBOX_STATE_FAILED)
		return 0;
	if (sandbox_start(s, -1, loop_op_on_done, l, reterr) < 0)
		return -1;
	l->ops->pending++;
	return 0;
}

static bool has_tool(const struct loop *l, const char *tool)
{
	size_t i;

	for (i = 0; i < l->facts.tools.count; i++)
		if (same_tool(l->facts.tools.items[i], tool))
			return true;
	return false;
}

/* ---- when they are there, or one failed ---- */

static void failed(struct loop *l)
{
	CLEANUP_ERROR struct error e = { 0 };

	error_move(&e, &l->ops->error);
	rename_field(&e);
	loop_op_end(l, &e);
}

static void undo(struct loop *l)
{
	const struct sandbox_end_how how = { .grace_ms = -1, .force = true };
	struct loop_op *op = l->ops;
	size_t i;

	loop_op_begin(l, failed);
	for (i = 0; i < op->n_members; i++) {
		CLEANUP_ERROR struct error e = { 0 };
		struct sandbox *s = op->members[i].sandbox;

		if (op->members[i].failed || sandbox_state(s) == SANDBOX_STATE_REMOVED)
			continue;
		if (sandbox_remove(s, &how, loop_op_on_done, l, &e) < 0)
			log_error("sandbox %s stays behind: %s", sandbox_name(s),
				  e.message ? e.message : "no memory");
		else
			op->pending++;
	}
	loop_op_begun(l);
}

/* Returns 0 or negative errno; then the list is as it was. */
static int keep_tools(struct loop *l)
{
	const struct strings *tools = &l->ops->create.params->tools;
	struct string_list *have = &l->facts.tools;
	size_t i, before = have->count;
	int r = 0;

	for (i = 0; r == 0 && i < tools->count; i++)
		if (!has_tool(l, tools->items[i]))
			r = string_list_add(have, tools->items[i]);
	if (r == 0 && have->count > before)
		r = loop_row_update(l);
	while (r < 0 && have->count > before) {
		free(have->items[--have->count]);
		have->items[have->count] = NULL;
	}
	return r;
}

static void finish(struct loop *l)
{
	struct loop_op *op = l->ops;
	int r;

	if (op->error.kind == ERROR_NONE && op->cancelled)
		(void)error_set(&op->error, ERROR_CANCELLED, NULL, NULL,
				"the create was cancelled");
	if (op->error.kind == ERROR_NONE && check_state(l, &op->error) == 0) {
		r = keep_tools(l);
		if (r < 0)
			(void)error_set_errno(&op->error, r, "loop %s cannot be recorded",
					      l->facts.id);
	}
	if (op->error.kind != ERROR_NONE) {
		undo(l);
		return;
	}
	loop_table_arm(l->manager->loops); /* its time begins */
	loop_op_end(l, NULL);
}

/* The first that fails takes the others along. */
static int begin_tools(struct loop *l, struct error *reterr)
{
	const struct strings *tools = &l->ops->create.params->tools;
	const struct string_list *have = &l->facts.tools;
	size_t i;

	for (i = 0; i < have->count; i++)
		if (begin_tool(l, have->items[i], reterr) < 0)
			return -1;
	for (i = 0; i < tools->count; i++)
		if (!has_tool(l, tools->items[i]) && begin_tool(l, tools->items[i], reterr) < 0)
			return -1;
	return 0;
}

void loop_create_begin(struct loop *l)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct loop_op *op = l->ops;

	loop_op_begin(l, finish);
	if (!op->cancelled && check_state(l, &e) == 0)
		(void)begin_tools(l, &e);
	if (e.kind != ERROR_NONE) {
		if (op->error.kind == ERROR_NONE)
			error_move(&op->error, &e);
		loop_create_cancel(op);
	}
	loop_op_begun(l);
}
