/* SPDX-License-Identifier: Apache-2.0 */
/* Between a loop and its row; and after a restart, what a create that was under way had half made:
 * an active loop without tools, sandboxes of a loop that does not know them. */

#include <string.h>

#include "loop/loop-internal.h"
#include "sandbox/sandbox.h"
#include "sandbox/stage.h"
#include "sandbox/view.h"
#include "store/loops.h"
#include "util/blob.h"
#include "util/log.h"
#include "util/pairs.h"

static int pack_tools(const struct loop *l, struct blob *ret)
{
	return strings_pack((const char *const *)l->facts.tools.items, l->facts.tools.count,
			    &ret->data, &ret->size);
}

static int pack_receipt(const struct loop *l, struct blob *ret)
{
	/* one without sandboxes yet is nothing that a restart must know */
	if (l->facts.receipt.at_ms <= 0 && l->facts.receipt.sandboxes.count == 0)
		return 0;
	return receipt_pack(&l->facts.receipt, &ret->data, &ret->size);
}

static void fill(const struct loop *l, struct store_loop *row)
{
	const struct loop_facts *f = &l->facts;

	*row = (struct store_loop){
		.peer = f->peer,
		.loop_id = f->id,
		.state = loop_state_to_string(f->state),
		.work_dir = { f->work_dir, strlen(f->work_dir) + 1 },
		.template_name = f->template_name,
		.runtime = f->runtime,
		.network = f->network,
		.limits = f->limits,
		.ttl_ms = f->ttl_ms,
		.created_at_ms = f->created_at_ms,
		.ended_at_ms = f->ended_at_ms,
		.reason = f->reason,
		.head_sha = f->head_sha,
	};
}

int loop_row_insert(struct loop *l)
{
	CLEANUP_BLOB struct blob tools = { 0 }, env = { 0 }, labels = { 0 }, stages = { 0 };
	struct store_loop row;
	int r;

	r = pack_tools(l, &tools);
	if (r == 0)
		r = pairs_pack(&l->facts.env, &env.data, &env.size);
	if (r == 0)
		r = pairs_pack(&l->facts.labels, &labels.data, &labels.size);
	if (r == 0 && l->facts.stages)
		r = stages_pack(l->facts.stages, &stages.data, &stages.size);
	if (r < 0)
		return r;
	fill(l, &row);
	row.tools = blob_bytes(&tools);
	row.env = blob_bytes(&env);
	row.labels = blob_bytes(&labels);
	row.stages = blob_bytes(&stages);
	return store_loop_insert(l->manager->store, &row);
}

int loop_row_update(struct loop *l)
{
	CLEANUP_BLOB struct blob tools = { 0 }, receipt = { 0 };
	struct store_loop row;
	int r = pack_tools(l, &tools);

	if (r == 0)
		r = pack_receipt(l, &receipt);
	if (r == 0) {
		fill(l, &row);
		row.tools = blob_bytes(&tools);
		row.receipt = blob_bytes(&receipt);
		r = store_loop_update(l->manager->store, &row);
	}
	if (r < 0 && log_ratelimit())
		log_errno(LOG_LEVEL_ERROR, r, "loop %s cannot be stored", l->facts.id);
	return r;
}

/* ---- loading ---- */

static int parse_state(const char *text, enum loop_state *ret)
{
	int i;

	for (i = 0; i < LOOP_STATE_MAX; i++) {
		if (string_equal(text, loop_state_to_string((enum loop_state)i))) {
			*ret = (enum loop_state)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int load_work_dir(struct loop_facts *f, struct bytes blob)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	int r = strings_unpack(blob.data, blob.size, &l);

	if (r == 0 && l.count != 1)
		r = -EBADMSG;
	return r < 0 ? r : string_copy(l.items[0], &f->work_dir);
}

static int load_texts(struct loop_facts *f, const struct store_loop *row)
{
	int r;

	r = string_copy(row->loop_id, &f->id);
	if (r == 0)
		r = load_work_dir(f, row->work_dir);
	if (r == 0)
		r = strings_unpack(row->tools.data, row->tools.size, &f->tools);
	if (r == 0)
		r = string_copy(row->template_name, &f->template_name);
	if (r == 0)
		r = string_copy(row->runtime, &f->runtime);
	if (r == 0)
		r = pairs_unpack(row->env, &f->env);
	if (r == 0)
		r = pairs_unpack(row->labels, &f->labels);
	if (r == 0 && row->stages.size > 0)
		r = stages_unpack(&f->stages, row->stages.data, row->stages.size);
	if (r == 0)
		r = string_copy(row->reason, &f->reason);
	if (r == 0)
		r = string_copy(row->head_sha, &f->head_sha);
	if (r == 0 && row->receipt.size > 0)
		r = receipt_unpack(row->receipt, &f->receipt);
	return r;
}

static int load(struct loop *l, const struct store_loop *row)
{
	struct loop_facts *f = &l->facts;

	if (!row->loop_id || strlen(row->loop_id) > NAME_LENGTH_MAX ||
	    parse_state(row->state, &f->state) < 0)
		return -EBADMSG;
	f->peer = row->peer;
	f->network = row->network;
	f->limits = row->limits;
	f->ttl_ms = row->ttl_ms;
	f->created_at_ms = row->created_at_ms;
	f->ended_at_ms = row->ended_at_ms;
	return load_texts(f, row);
}

static int on_row(const struct store_loop *row, void *userdata)
{
	struct loop *l = loop_alloc(userdata);
	int r;

	if (!l)
		return -ENOMEM;
	r = load(l, row);
	if (r == 0)
		r = loop_enter(l);
	if (r < 0)
		log_errno(LOG_LEVEL_ERROR, r, "cannot load loop %s, ignoring its row",
			  row->loop_id ? row->loop_id : "?");
	(void)loop_unref(l);
	return r == -ENOMEM ? r : 0;
}

static bool is_known(const struct loop *l, const struct sandbox_facts *s)
{
	size_t i;

	for (i = 0; l && s->tool && i < l->facts.tools.count; i++)
		if (strcmp(l->facts.tools.items[i], s->tool) == 0)
			return true;
	return false;
}

static bool sweep_sandbox(struct sandbox *s, void *userdata)
{
	const struct sandbox_end_how how = { .grace_ms = -1, .force = true };
	const struct sandbox_facts *f = sandbox_facts(s);
	CLEANUP_ERROR struct error e = { 0 };
	struct manager *m = userdata;
	struct loop *l;

	if (!f->loop_id || f->state == SANDBOX_STATE_CREATING)
		return true;
	l = loop_find_own(m, f->peer, f->loop_id);
	if (is_known(l, f)) {
		sandbox_set_stages(s, l->facts.stages);
		return true;
	}
	log_info("removing sandbox %s: its loop was never finished", f->name);
	if (sandbox_remove(s, &how, NULL, NULL, &e) < 0)
		log_error("sandbox %s stays behind: %s", f->name, e.message ? e.message : "?");
	return true;
}

int loop_rows_load(struct manager *m)
{
	struct loop *l, *next;
	int r = store_loop_load(m->store, on_row, m);

	if (r < 0)
		return r;
	for (l = m->loops->first; l; l = next) {
		next = l->next;
		if (l->facts.state == LOOP_STATE_ACTIVE && l->facts.tools.count == 0)
			loop_forget(l);
	}
	manager_each_sandbox(m, sweep_sandbox, m);
	return 0;
}
