/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks for becomes a sandbox object with a row, or a typed error. Everything that can
 * be refused without a side effect is refused here; the rest is sandbox-boot.c's. */

#include <stdio.h>
#include <string.h>

#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/disk-floor.h"
#include "sandbox/event.h"
#include "sandbox/journal.h"
#include "sandbox/pool.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/tool.h"
#include "sandbox/workspace.h"
#include "store/sandboxes.h"
#include "store/store.h"
#include "util/fault.h"
#include "util/id.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/strings.h"
#include "util/time.h"

#define NOT_YET "not available in this version"

/* What later versions will do is refused, never accepted and ignored. */
static int refuse_unbuilt(const struct sandbox_create_params *p, struct error *reterr)
{
	const struct {
		bool given;
		const char *field;
	} unbuilt[] = {
		{ p->network.mode == NETWORK_GATEWAY, "network.mode" },
		{ p->network.policy != NULL, "network.policy" },
		{ p->network.allow.count > 0, "network.allow" },
		{ p->network.block.count > 0, "network.block" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unbuilt); i++)
		if (unbuilt[i].given)
			return error_set(reterr, ERROR_UNAVAILABLE, unbuilt[i].field, NOT_YET,
					 "%s is not available", unbuilt[i].field);
	return 0;
}

static int check_runtime(const struct manager *m, const struct sandbox_create_params *p, bool own,
			 struct error *reterr)
{
	const struct config_runtime *runtime =
		runtime_find(m, runtime_choose(m->config, p, own), reterr);

	return runtime ? runtime_check(runtime, p, reterr) : -1;
}

static int check_limits(const struct manager *m, const struct limits_params *l,
			struct error *reterr)
{
	uint32_t controllers = cgroups_controllers(m->cgroups);
	static const char hint[] = "sandboxctl doctor says why there is no writable cgroup";

	if (l->memory_bytes > 0 && (controllers & KEEPER_CONTROLLER_MEMORY) == 0)
		return error_set(reterr, ERROR_UNAVAILABLE, "limits.memoryBytes", hint,
				 "memory cannot be limited here");
	if (l->cpu_milli > 0 && (controllers & KEEPER_CONTROLLER_CPU) == 0)
		return error_set(reterr, ERROR_UNAVAILABLE, "limits.cpuMilli", hint,
				 "cpu time cannot be limited here");
	return 0;
}

static int check_quota(struct manager *m, uid_t peer, struct error *reterr)
{
	size_t count = sandbox_count_of(m, peer);

	if (count < m->config->sandboxes_per_uid)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
			 "remove some, or raise [limits] sandboxes_per_user",
			 "uid %u has %zu sandboxes already", (unsigned)peer, count);
}

/* ---- filling in ---- */

static void merge_limits(struct limits_params *to, const struct limits_params *asked,
			 const struct limits_params *defaults, uint32_t controllers)
{
	*to = *asked;
	if (to->memory_bytes == 0 && (controllers & KEEPER_CONTROLLER_MEMORY))
		to->memory_bytes = defaults->memory_bytes;
	if (to->cpu_milli == 0 && (controllers & KEEPER_CONTROLLER_CPU))
		to->cpu_milli = defaults->cpu_milli;
	if (to->pids == 0)
		to->pids = defaults->pids;
	if (to->shm_bytes == 0)
		to->shm_bytes = defaults->shm_bytes;
	if (to->disk_bytes == 0)
		to->disk_bytes = defaults->disk_bytes;
}

void sandbox_fill_limits(struct sandbox *s, const struct limits_params *asked,
			 const struct config_runtime *runtime)
{
	merge_limits(&s->facts.limits, asked, &s->manager->config->limits,
		     cgroups_controllers(s->manager->cgroups));
	runtime_cut_limits(runtime, &s->facts.limits);
}

/* The given name, or tool and some of the ID. */
static int choose_name(struct sandbox *s, const struct sandbox_create_params *p, const char *id)
{
	const char *tool = p->tool ? p->tool : "sandbox";

	free(TAKE_PTR(s->facts.name));
	if (p->name)
		return string_copy(p->name, &s->facts.name);
	s->facts.name = string_format("%.*s-%.8s", (int)strcspn(tool, "@"), tool, id);
	return s->facts.name ? 0 : -ENOMEM;
}

static int copy_workspaces(struct sandbox *s, const struct sandbox_create_params *p)
{
	struct workspace_params items[WORKSPACES_MAX];
	size_t i, n = 0;

	if (p->workspace.path)
		items[n++] = p->workspace;
	if (p->extra_workspaces.count > WORKSPACES_MAX - n)
		return -E2BIG;
	for (i = 0; i < p->extra_workspaces.count; i++)
		items[n++] = p->extra_workspaces.items[i];
	return sandbox_copy_workspaces(s, items, n);
}

/* A loop ends its own sandboxes, and what the daemon makes for itself it removes. */
static void choose_times(struct sandbox *s, const struct sandbox_create_params *p, bool ours)
{
	const struct config *config = s->manager->config;
	struct sandbox_facts *f = &s->facts;

	f->ttl_ms = p->ttl_ms > 0 ? p->ttl_ms : -1;
	f->idle_timeout_ms = p->idle_timeout_ms > 0 ? p->idle_timeout_ms : -1;
	f->remove_on_stop = p->rm;
	if (!ours && f->ttl_ms < 0)
		f->ttl_ms = config->ttl_ms;
	if (!ours && f->idle_timeout_ms < 0)
		f->idle_timeout_ms = config->idle_timeout_ms;
}

static int fill_in(struct sandbox *s, uid_t peer, const struct sandbox_create_params *p,
		   const struct config_runtime *runtime)
{
	const struct config *config = s->manager->config;
	struct sandbox_facts *f = &s->facts;
	char id[ID_SIZE];
	int r;

	f->peer = peer;
	f->state = SANDBOX_STATE_CREATING;
	f->created_at_ms = time_realtime_ms();
	f->network = p->network.mode == NETWORK_UNSET ? config->network_default : p->network.mode;
	if (!runtime_can(runtime->type, RUNTIME_CAN_NETWORK))
		f->network = NETWORK_HOST; /* another one that was asked for is refused before */
	sandbox_fill_limits(s, &p->limits, runtime);
	r = id_make(id);
	if (r == 0)
		r = string_copy(id, &f->id);
	if (r == 0)
		r = choose_name(s, p, id);
	if (r == 0)
		r = string_copy(p->tool, &f->tool);
	if (r == 0)
		r = string_copy(p->template_name, &f->template_name);
	if (r == 0)
		r = string_copy(runtime->name, &f->runtime);
	if (r == 0)
		r = string_copy(p->loop_id, &f->loop_id);
	if (r == 0)
		r = copy_workspaces(s, p);
	if (r == 0)
		r = pairs_copy(&f->env, &p->env);
	if (r == 0)
		r = pairs_copy(&f->labels, &p->labels);
	return r;
}

/* ---- workspaces ---- */

void sandbox_close_workspaces(struct sandbox *s)
{
	while (s->n_workspaces > 0)
		(void)workspace_free(s->workspaces[--s->n_workspaces]); /* returns NULL */
}

static void field_name(size_t i, char *field, size_t size)
{
	if (i == 0)
		(void)snprintf(field, size, "workspace");
	else
		(void)snprintf(field, size, "extraWorkspaces[%zu]", i - 1);
}

int sandbox_open_workspaces(struct sandbox *s, struct error *reterr)
{
	const struct workspace_policy policy = manager_workspace_policy(s->manager, s->facts.peer);
	char field[48];
	size_t i, k;

	sandbox_close_workspaces(s);
	for (i = 0; i < s->facts.workspaces.count; i++) {
		struct workspace **w = &s->workspaces[i];

		field_name(i, field, sizeof(field));
		if (workspace_open(w, &s->facts.workspaces.items[i], field, &policy, reterr) < 0)
			return -1;
		s->n_workspaces++;
		for (k = 0; k < i; k++) {
			if (workspace_owner(s->workspaces[k]) != workspace_owner(*w))
				return error_set(reterr, ERROR_INVALID_PARAMS, field,
						 "make one sandbox per owner",
						 "workspaces of one sandbox must have one owner");
			if (strcmp(workspace_path(s->workspaces[k]), workspace_path(*w)) == 0)
				return error_set(reterr, ERROR_INVALID_PARAMS, field, NULL,
						 "%s is given twice", workspace_path(*w));
		}
	}
	return 0;
}

/* The path as it really is goes into the row, so that what is shown is what is mounted. */
static int keep_real_paths(struct sandbox *s)
{
	struct workspace_params items[WORKSPACES_MAX];
	const struct workspaces_params old = s->facts.workspaces;
	size_t i;
	int r;

	for (i = 0; i < s->n_workspaces; i++) {
		items[i] = old.items[i];
		items[i].path = workspace_path(s->workspaces[i]);
	}
	r = sandbox_copy_workspaces(s, items, s->n_workspaces);
	for (i = 0; i < old.count; i++)
		free((void *)(uintptr_t)old.items[i].path); /* const for readers only */
	free((void *)(uintptr_t)old.items);
	return r;
}

/* Whose keeper runs it. */
static int choose_owner(struct sandbox *s, const struct sandbox_origin *origin,
			struct error *reterr)
{
	const struct manager *m = s->manager;

	if (origin)
		s->facts.owner = origin->owner;
	else if (s->n_workspaces > 0)
		s->facts.owner = workspace_owner(s->workspaces[0]);
	else
		s->facts.owner = m->is_root ? s->facts.peer : m->uid;
	if (!m->is_root && s->facts.owner != m->uid)
		return error_set(reterr, ERROR_DENIED, "workspace",
				 "use the system daemon, or a workspace of the daemon's user",
				 "this daemon works for uid %u only", (unsigned)m->uid);
	return 0;
}

/* ---- the verb ---- */

static int validate(struct manager *m, uid_t peer, const struct sandbox_origin *origin,
		    const struct sandbox_create_params *p, struct error *reterr)
{
	struct tool_choice choice;

	if (m->stopping)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, "start the daemon again",
				 "the daemon is stopping");
	if (refuse_unbuilt(p, reterr) < 0 || check_runtime(m, p, origin != NULL, reterr) < 0 ||
	    check_limits(m, &p->limits, reterr) < 0)
		return -1;
	if ((!origin || !origin->hidden) &&
	    (check_quota(m, peer, reterr) < 0 || disk_floor_check(m, reterr) < 0))
		return -1;
	if (p->extra_workspaces.count > 0 && !p->workspace.path)
		return error_set(reterr, ERROR_INVALID_PARAMS, "workspace", NULL,
				 "extraWorkspaces needs a workspace");
	if (p->tool && tool_choose(m->config, p->tool, "tool", &choice, reterr) < 0)
		return -1;
	return 0;
}

static int exists_error(const struct sandbox *s, struct error *reterr)
{
	(void)error_set(reterr, ERROR_ALREADY_EXISTS, "name", "choose another name, or remove it",
			"there is a sandbox %s already", s->facts.name);
	error_set_resource(reterr, "sandbox %s", s->facts.name);
	return -1;
}

static int refuse_commit(const struct sandbox *s, int r, struct error *reterr)
{
	CLEANUP_STR char *what = NULL;

	if (r == -EEXIST)
		return exists_error(s, reterr);
	what = string_format("sandbox %s", s->facts.name);
	return store_refuse(r, what ? what : "the sandbox", reterr);
}

/* Row, table, op: from here on the sandbox exists. */
static int commit(struct sandbox *s, sandbox_done *done, void *userdata, struct error *reterr)
{
	int r = sandbox_enter(s);

	if (r == 0) {
		r = sandbox_row_insert(s);
		if (r == 0) {
			r = sandbox_submit(s, SANDBOX_VERB_CREATE, done, userdata, NULL,
					   SANDBOX_STATE_RUNNING);
			if (r < 0)
				(void)sandbox_row_delete(s);
		}
		if (r < 0)
			sandbox_leave(s);
		else
			event_sandbox_state(s, NULL);
	}
	return r < 0 ? refuse_commit(s, r, reterr) : 0;
}

static int create(struct sandbox *s, uid_t peer, const struct sandbox_origin *origin,
		  const struct sandbox_create_params *p, struct error *reterr)
{
	const struct config *config = s->manager->config;
	const struct config_runtime *runtime =
		config_runtime(config, runtime_choose(config, p, origin != NULL));
	size_t i;
	int r;

	r = fill_in(s, peer, p, runtime); /* validate() has found it */
	if (r == -E2BIG)
		return error_set(reterr, ERROR_LIMIT_REACHED, "extraWorkspaces", NULL,
				 "at most %d workspaces", WORKSPACES_MAX);
	if (r < 0)
		return error_set_errno(reterr, r, "sandbox cannot be made");
	for (i = 0; origin && i < origin->layers.count; i++)
		if (string_list_add(&s->layers, origin->layers.items[i]) < 0)
			return error_set_errno(reterr, -ENOMEM, "sandbox cannot be made");
	if (origin) {
		s->layers_given = true;
		s->hidden = origin->hidden;
		if (s->hidden)
			s->facts.limits.disk_bytes = 0; /* a layer is as large as it is */
	}
	choose_times(s, p, origin || p->loop_id);
	if (sandbox_open_workspaces(s, reterr) < 0 || choose_owner(s, origin, reterr) < 0 ||
	    runtime_check_owner(runtime, s->facts.owner, reterr) < 0)
		return -1;
	r = keep_real_paths(s);
	if (r == 0 && !s->facts.tool)
		r = string_copy(template_tool(s->manager, s->facts.owner, p->template_name),
				&s->facts.tool);
	if (r < 0)
		return error_set_errno(reterr, r, "sandbox cannot be made");
	if (!s->facts.template_name)
		s->facts.template_name = strdup("host"); /* until the template is resolved */
	return s->facts.template_name ? 0 : error_set_errno(reterr, -ENOMEM, "no memory");
}

static int create_any(struct manager *m, uid_t peer, const struct sandbox_origin *origin,
		      const struct sandbox_create_params *params, struct sandbox **ret,
		      struct error *reterr)
{
	struct sandbox *s;

	if (validate(m, peer, origin, params, reterr) < 0)
		return -1;
	s = sandbox_alloc(m);
	if (!s)
		return error_set_errno(reterr, -ENOMEM, "sandbox cannot be made");
	s->template_given = params->template_name != NULL;
	if (create(s, peer, origin, params, reterr) < 0) {
		(void)sandbox_unref(s);
		return -1;
	}
	*ret = s;
	return 0;
}

/* A spare that S can become, taken, and the template that it stands on in S's facts; or NULL. */
static struct sandbox *take_spare(struct sandbox *s)
{
	const struct template_query query = {
		.peer = s->facts.peer,
		.owner = s->facts.owner,
		.tool = s->facts.tool,
		.template_name = s->template_given ? s->facts.template_name : NULL,
	};
	CLEANUP_STRINGS struct string_list layers = { 0 };
	CLEANUP_STR char *name = NULL;
	struct sandbox *spare;

	if (!pool_can_serve(s) || pool_spare_count(s->manager) == 0)
		return NULL;
	if (s->layers_given)
		return s->layers.count == 0 ? pool_take(s, s->facts.template_name, &layers) : NULL;
	if (!template_peek(s->manager, &query, &name, &layers))
		return NULL;
	spare = pool_take(s, name, &layers);
	if (spare) {
		free(s->facts.template_name);
		s->facts.template_name = TAKE_PTR(name);
	}
	return spare;
}

/* SPARE becomes S. */
static int claim(struct sandbox *spare, struct sandbox *s, const struct sandbox_create_params *p,
		 sandbox_done *done, void *userdata, struct error *reterr)
{
	int r = choose_name(s, p, spare->facts.id);

	if (r == 0)
		r = sandbox_become(spare, s, done, userdata);
	else
		pool_give_back(spare);
	return r < 0 ? refuse_commit(s, r, reterr) : 0;
}

/* The call is on record before the sandbox is, which will be ID. */
static int begin_call(struct manager *m, uid_t peer, const struct sandbox_create_params *p,
		      const char *id, struct error *reterr)
{
	CLEANUP_JOURNAL_ENTRY struct journal_entry details = { 0 };
	struct journal_call call;
	int r = string_copy(id, &details.subject);

	if (r < 0)
		return error_set_errno(reterr, r, "sandbox cannot be made");
	journal_call_create(&call, peer, p);
	return journal_begin(m, &call, &details, reterr);
}

static int record(struct sandbox *s, struct sandbox *spare, const struct sandbox_create_params *p,
		  sandbox_done *done, void *userdata, struct error *reterr)
{
	struct manager *m = s->manager;
	const uid_t peer = s->facts.peer;
	int r = 0;

	if (p->idempotency_key)
		r = begin_call(m, peer, p, (spare ? spare : s)->facts.id, reterr);
	if (r < 0) {
		if (spare)
			pool_give_back(spare);
		return r;
	}
	FAULT_POINT("create.journaled");
	r = spare ? claim(spare, s, p, done, userdata, reterr) : commit(s, done, userdata, reterr);
	FAULT_POINT("create.recorded");
	if (r < 0 && p->idempotency_key)
		journal_forget(m, peer, p->idempotency_key);
	return r;
}

static int create_and_commit(struct manager *m, uid_t peer, const struct sandbox_origin *origin,
			     const struct sandbox_create_params *params, sandbox_done *done,
			     void *userdata, struct sandbox **ret, struct error *reterr)
{
	struct sandbox *s = NULL, *spare;
	struct launch launch = { 0 };
	int r;

	launch_step(&launch, LAUNCH_STEP_BEGUN);
	if (create_any(m, peer, origin, params, &s, reterr) < 0 || !s)
		return -1;
	launch_step(&launch, LAUNCH_STEP_CHECKED);
	spare = take_spare(s);
	r = record(s, spare, params, done, userdata, reterr);
	if (r == 0)
		sandbox_last_op(spare ? spare : s)->launch = launch;
	if (r == 0 && ret)
		*ret = spare ? spare : s;
	(void)sandbox_unref(s); /* the table has it now, or nobody */
	return r;
}

int sandbox_create(struct manager *m, uid_t peer, const struct sandbox_create_params *params,
		   sandbox_done *done, void *userdata, struct sandbox **ret, struct error *reterr)
{
	return create_and_commit(m, peer, NULL, params, done, userdata, ret, reterr);
}

int sandbox_create_own(struct manager *m, const struct sandbox_origin *origin,
		       const struct sandbox_create_params *params, sandbox_done *done,
		       void *userdata, struct sandbox **ret, struct error *reterr)
{
	return create_and_commit(m, origin->peer, origin, params, done, userdata, ret, reterr);
}
