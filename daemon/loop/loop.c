/* SPDX-License-Identifier: Apache-2.0 */
/* A loop is owned by the table until it is forgotten, and by every op in its queue; whoever else
 * holds it has a reference. Its sandboxes are found by their name and belong to it when they say
 * so (sandbox_facts.loop_id): nothing of theirs is kept here.
 *
 * Verbs are ops in a queue per loop, as with sandboxes: one is under way, the others wait, and each
 * looks at the state when its turn comes. An op begins verbs of several sandboxes at once, counts
 * their ends, and takes its next step when the last one came. loop-create.c has create, loop-end.c
 * cancel, destroy and what time does by itself. */

#include "loop/loop.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "loop/artifacts-output.h"
#include "loop/loop-internal.h"
#include "sandbox/config.h"
#include "sandbox/event-log.h"
#include "sandbox/exec-activity.h"
#include "sandbox/exec.h"
#include "sandbox/sandbox.h"
#include "sandbox/stage.h"
#include "sandbox/workspace.h"
#include "secret/lease.h"
#include "store/loops.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/time.h"

#define KEY_SIZE (NAME_LENGTH_MAX + 16)

const char *loop_state_to_string(enum loop_state s)
{
	static const char *const names[LOOP_STATE_MAX] = {
		[LOOP_STATE_ACTIVE] = "active",
		[LOOP_STATE_CANCELLED] = "cancelled",
		[LOOP_STATE_DESTROYED] = "destroyed",
	};

	return names[s];
}

/* ---- the object ---- */

static void on_kick(evutil_socket_t fd, short events, void *userdata)
{
	struct loop *l = userdata;

	(void)fd;
	(void)events;
	if (!l->ops)
		return;
	switch (l->ops->verb) {
	case LOOP_VERB_CREATE:
		loop_create_begin(l);
		return;
	case LOOP_VERB_CANCEL:
		loop_cancel_begin(l);
		return;
	case LOOP_VERB_DESTROY:
		loop_destroy_begin(l);
		return;
	}
}

struct loop *loop_alloc(struct manager *m)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->manager = m;
	l->references = 1;
	l->facts.ttl_ms = -1;
	event_assign(&l->kick, m->base, -1, 0, on_kick, l);
	return l;
}

static void loop_free(struct loop *l)
{
	struct loop_facts *f = &l->facts;

	(void)event_del(&l->kick);
	free(f->id);
	free(f->work_dir);
	string_list_deinit(&f->tools);
	free(f->template_name);
	free(f->runtime);
	pairs_deinit(&f->env);
	pairs_deinit(&f->labels);
	(void)stages_unref(f->stages);
	free(f->reason);
	free(f->head_sha);
	receipt_deinit(&f->receipt);
	free(l);
}

struct loop *loop_ref(struct loop *l)
{
	l->references++;
	return l;
}

struct loop *loop_unref(struct loop *l)
{
	if (l && --l->references == 0)
		loop_free(l);
	return NULL;
}

const struct loop_facts *loop_facts(const struct loop *l)
{
	return &l->facts;
}

static void tell_state(const struct loop *l, const char *state)
{
	const struct loop_facts *f = &l->facts;
	struct event_note n = { .type = "loop.state",
				.peer = f->peer,
				.loop_id = f->id,
				.state = state,
				.labels = &f->labels };

	event_note_text(&n, "state", state);
	if (f->reason)
		event_note_text(&n, "reason", f->reason);
	if (f->state == LOOP_STATE_DESTROYED)
		event_note_text(&n, "outcome", receipt_outcome_to_string(f->receipt.outcome));
	event_log_add(l->manager, &n);
}

void loop_tell_state(struct loop *l)
{
	tell_state(l, loop_state_to_string(l->facts.state));
}

void loop_set_state(struct loop *l, enum loop_state state)
{
	log_message(LOG_LEVEL_INFO, &(const struct log_fields){ .loop = l->facts.id },
		    "loop %s: %s -> %s", l->facts.id, loop_state_to_string(l->facts.state),
		    loop_state_to_string(state));
	l->facts.state = state;
	if (state != LOOP_STATE_ACTIVE)
		lease_end_for(l->manager, LEASE_HOLDER_LOOP, l->facts.peer, l->facts.id,
			      LEASE_END_RELEASED, false);
	loop_tell_state(l);
}

/* ---- ops ---- */

static void op_free(struct loop_op *op)
{
	size_t i;

	for (i = 0; i < op->n_members; i++)
		(void)sandbox_unref(op->members[i].sandbox);
	free(op->members);
	if (op->job)
		artifacts_cancel(op->job);
	artifacts_result_deinit(&op->found);
	error_clear(&op->error);
	free(op);
}

struct loop_op *loop_submit(struct loop *l, enum loop_verb verb, loop_done *done, void *userdata)
{
	struct loop_op *op = calloc(1, sizeof(*op)), **end;

	if (!op)
		return NULL;
	op->verb = verb;
	op->loop = loop_ref(l);
	op->done = done;
	op->userdata = userdata;
	for (end = &l->ops; *end; end = &(*end)->next)
		;
	*end = op;
	if (l->ops == op)
		event_active(&l->kick, 0, 0);
	return op;
}

void loop_op_end(struct loop *l, struct error *e)
{
	CLEANUP_ERROR struct error none = { 0 };
	struct loop_op *op = l->ops;

	l->ops = op->next;
	if (l->ops)
		event_active(&l->kick, 0, 0);
	else if (l->facts.state == LOOP_STATE_ACTIVE && l->facts.tools.count == 0 && l->in_table)
		loop_forget(l); /* it was never made */
	if (op->done)
		op->done(l, e ? e : &none, op->userdata);
	op_free(op);
	(void)loop_unref(l);
}

void loop_op_begin(struct loop *l, void (*step)(struct loop *l))
{
	l->ops->pending = 1;
	l->ops->step = step;
}

void loop_op_begun(struct loop *l)
{
	if (--l->ops->pending == 0)
		l->ops->step(l);
}

void loop_op_on_done(struct sandbox *s, struct error *e, void *userdata)
{
	struct loop *l = userdata;
	struct loop_op *op = l->ops;
	size_t i;

	/* removed by somebody else just now: what ends a loop wants no more */
	if (e->kind == ERROR_NOT_FOUND && op->verb != LOOP_VERB_CREATE &&
	    sandbox_state(s) == SANDBOX_STATE_REMOVED)
		error_clear(e);
	if (e->kind != ERROR_NONE) {
		for (i = 0; i < op->n_members; i++)
			if (op->members[i].sandbox == s)
				op->members[i].failed = true;
		if (op->error.kind == ERROR_NONE)
			error_move(&op->error, e);
	}
	loop_op_begun(l);
}

int loop_op_add(struct loop_op *op, struct sandbox *s)
{
	struct loop_member *members =
		reallocarray(op->members, op->n_members + 1, sizeof(*members));

	if (!members)
		return -ENOMEM;
	op->members = members;
	members[op->n_members++] = (struct loop_member){ .sandbox = sandbox_ref(s) };
	return 0;
}

static bool belongs(const struct loop *l, const struct sandbox *s)
{
	const struct sandbox_facts *f = sandbox_facts(s);

	return f->loop_id && f->peer == l->facts.peer && strcmp(f->loop_id, l->facts.id) == 0;
}

struct adding {
	struct loop *loop;
	int result;
};

static bool add_one(struct sandbox *s, void *userdata)
{
	struct adding *a = userdata;

	if (belongs(a->loop, s))
		a->result = loop_op_add(a->loop->ops, s);
	return a->result == 0;
}

int loop_op_add_all(struct loop *l)
{
	struct adding a = { .loop = l };

	manager_each_sandbox(l->manager, add_one, &a);
	return a.result;
}

/* ---- table ---- */

static void make_key(char key[static KEY_SIZE], uid_t peer, const char *id)
{
	(void)snprintf(key, KEY_SIZE, "%u/%s", (unsigned)peer, id);
}

int loop_enter(struct loop *l)
{
	struct loop_table *t = l->manager->loops;
	char key[KEY_SIZE];
	int r;

	make_key(key, l->facts.peer, l->facts.id);
	r = table_add(&t->by_id, key, l);
	if (r < 0)
		return r;
	l->previous = t->last;
	*(t->last ? &t->last->next : &t->first) = l;
	t->last = l;
	t->count++;
	l->in_table = true;
	(void)loop_ref(l);
	return 0;
}

static void leave(struct loop *l)
{
	struct loop_table *t = l->manager->loops;
	char key[KEY_SIZE];

	l->in_table = false;
	make_key(key, l->facts.peer, l->facts.id);
	(void)table_remove(&t->by_id, key);
	*(l->previous ? &l->previous->next : &t->first) = l->next;
	*(l->next ? &l->next->previous : &t->last) = l->previous;
	t->count--;
	(void)loop_unref(l);
}

void loop_forget(struct loop *l)
{
	if (store_loop_delete(l->manager->store, l->facts.peer, l->facts.id) < 0)
		log_error("the row of loop %s stays behind", l->facts.id);
	tell_state(l, "forgotten");
	leave(l);
}

int loop_table_new(struct manager *m, struct loop_table **ret)
{
	struct loop_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->manager = m;
	evtimer_assign(&t->sweep, m->base, loop_table_on_sweep, t);
	*ret = t; /* loop_enter() needs it */
	r = loop_rows_load(m);
	if (r == 0)
		loop_table_arm(t);
	return r;
}

void loop_table_free(struct loop_table *t)
{
	if (!t)
		return;
	loop_run_free_all(t);
	while (t->first) {
		struct loop *l = t->first;

		while (l->ops) { /* only when a clean stop ran out of time */
			struct loop_op *op = l->ops;

			l->ops = op->next;
			op_free(op);
			(void)loop_unref(l);
		}
		leave(l);
	}
	(void)event_del(&t->sweep);
	table_deinit(&t->by_id);
	free(t);
}

struct loop *loop_find_own(struct manager *m, uid_t peer, const char *id)
{
	char key[KEY_SIZE];

	make_key(key, peer, id);
	return table_find(&m->loops->by_id, key);
}

struct loop *loop_find(struct manager *m, uid_t peer, const char *id, struct error *reterr)
{
	struct loop *l = loop_find_own(m, peer, id);

	if (!l && peer == 0)
		for (l = m->loops->first; l && strcmp(l->facts.id, id) != 0; l = l->next)
			;
	if (l)
		return l;
	(void)error_set(reterr, ERROR_NOT_FOUND, "loopId", "sandboxctl loop ls",
			"there is no loop %s", id);
	error_set_resource(reterr, "loop %s", id);
	return NULL;
}

void loop_each(struct manager *m, bool (*fn)(struct loop *l, void *userdata), void *userdata)
{
	struct loop *l, *next;

	for (l = m->loops->first; l; l = next) {
		next = l->next;
		if (!fn(l, userdata))
			return;
	}
}

size_t loop_count(const struct manager *m)
{
	return m->loops->count;
}

/* ---- what it owns ---- */

int loop_open_work_dir(const struct manager *m, uid_t peer, const char *path,
		       struct workspace **ret, struct error *reterr)
{
	const struct workspace_policy policy = manager_workspace_policy(m, peer);
	const struct workspace_params params = { .path = path };

	return workspace_open(ret, &params, "workDir", &policy, reterr);
}

char *loop_sandbox_name(const char *id, const char *tool)
{
	return string_format("loop-%s-%.*s", id, (int)strcspn(tool, "@"), tool);
}

struct sandbox *loop_sandbox(const struct loop *l, const char *name)
{
	CLEANUP_STR char *full = loop_sandbox_name(l->facts.id, name);
	struct sandbox *s = NULL;

	if (full)
		s = sandbox_find(l->manager, l->facts.peer, full, NULL);
	return s && belongs(l, s) ? s : NULL;
}

const struct sandbox *loop_first_sandbox(const struct loop *l)
{
	const struct sandbox *s = NULL;
	size_t i;

	for (i = 0; !s && i < l->facts.tools.count; i++)
		s = loop_sandbox(l, l->facts.tools.items[i]);
	return s;
}

const char *loop_runtime(const struct loop *l)
{
	const struct sandbox *s = l->facts.runtime ? NULL : loop_first_sandbox(l);

	return s ? sandbox_facts(s)->runtime : l->facts.runtime;
}

enum network_mode loop_network(const struct loop *l)
{
	const struct sandbox *s = l->facts.network != NETWORK_UNSET ? NULL : loop_first_sandbox(l);

	return s ? sandbox_facts(s)->network : l->facts.network;
}

static void note_running(struct loop_activity *a, const struct exec *e)
{
	const struct exec_facts *f = exec_facts(e);
	const struct exec_activity *x = exec_activity_of(e);
	int64_t idle;

	a->alive = true;
	if (a->alive_since_ms == 0 || f->result.started_at_ms < a->alive_since_ms)
		a->alive_since_ms = f->result.started_at_ms;
	if (!x)
		return;
	a->cpu_ms += x->cpu_ms;
	if (x->cpu_milli >= 0)
		a->cpu_milli = (a->cpu_milli < 0 ? 0 : a->cpu_milli) + x->cpu_milli;
	idle = time_monotonic_ms() - x->moved_ms;
	if (a->idle_ms < 0 || idle < a->idle_ms)
		a->idle_ms = idle;
}

static bool note_exec(struct exec *e, void *userdata)
{
	const struct exec_facts *f = exec_facts(e);
	struct loop_activity *a = userdata;

	a->execs++;
	if (f->state == EXEC_STATE_ENDED)
		a->cpu_ms += f->result.cpu_ms;
	else
		note_running(a, e);
	if (f->last_output_at_ms > a->last_output_at_ms)
		a->last_output_at_ms = f->last_output_at_ms;
	return true;
}

void loop_sample(const struct loop *l)
{
	struct sandbox *s;
	size_t i;

	for (i = 0; i < l->facts.tools.count; i++) {
		s = loop_sandbox(l, l->facts.tools.items[i]);
		if (s)
			exec_activity_look(s);
	}
}

struct loop_activity loop_activity(const struct loop *l)
{
	struct loop_activity a = { .cpu_milli = -1, .idle_ms = -1 };
	const struct sandbox *s;
	size_t i;

	if (l->facts.state == LOOP_STATE_DESTROYED)
		a.cpu_ms = l->facts.receipt.cpu_ms;

	for (i = 0; i < l->facts.tools.count; i++) {
		s = loop_sandbox(l, l->facts.tools.items[i]);
		if (s)
			exec_table_each_in(l->manager, s, note_exec, &a);
	}
	return a;
}
