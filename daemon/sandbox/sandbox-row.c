/* SPDX-License-Identifier: Apache-2.0 */
/* Between a sandbox and its row. Lists become blobs of texts, each with its NUL: workspaces as path
 * and flags, env and labels as key and value, in turns. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/process.h"
#include "sandbox/sandbox-internal.h"
#include "store/sandboxes.h"
#include "util/blob.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/strings.h"

static int pack(const struct string_list *l, struct blob *ret)
{
	return strings_pack((const char *const *)l->items, l->count, &ret->data, &ret->size);
}

static int pack_pairs(const struct pairs *pairs, struct blob *ret)
{
	return pairs_pack(pairs, &ret->data, &ret->size);
}

static int pack_workspaces(const struct workspaces_params *w, struct blob *ret)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < w->count; i++) {
		r = string_list_add(&l, w->items[i].path);
		if (r == 0)
			r = string_list_take(&l,
					     string_format("%s%s",
							   w->items[i].read_only ? "r" : "w",
							   w->items[i].git_config_writable ? "g"
											   : ""));
	}
	return r < 0 ? r : pack(&l, ret);
}

static void fill(const struct sandbox *s, struct store_sandbox *row)
{
	const struct sandbox_facts *f = &s->facts;

	*row = (struct store_sandbox){
		.id = f->id,
		.name = f->name,
		.peer = f->peer,
		.owner = f->owner,
		.tool = f->tool,
		.template_name = f->template_name,
		.network = f->network,
		.limits = f->limits,
		.state = sandbox_state_to_string(f->state),
		.cause = f->cause,
		.hidden = s->hidden,
		.foreign_user = s->foreign_user,
		.created_at_ms = f->created_at_ms,
		.runtime = f->runtime,
		.loop_id = f->loop_id,
		.ttl_ms = f->ttl_ms,
		.idle_timeout_ms = f->idle_timeout_ms,
		.remove_on_stop = f->remove_on_stop,
		.launch_type = sandbox_launch_to_string(f->launch),
		.removing = s->removing,
		.pid = f->pid,
		.pid_since = s->pid_since,
	};
}

static void delete_stale(struct manager *m)
{
	struct string_list *stale = &m->sandboxes->stale;
	int r;

	while (stale->count > 0) {
		r = store_sandbox_delete(m->store, stale->items[stale->count - 1]);
		if (r < 0 && r != -ENOENT)
			return;
		stale->count--;
		free(TAKE_PTR(stale->items[stale->count]));
	}
}

int sandbox_row_delete(struct sandbox *s)
{
	struct manager *m = s->manager;
	int r = store_sandbox_delete(m->store, s->facts.id);

	if (r < 0) /* without memory it is the next daemon's */
		(void)string_list_add(&m->sandboxes->stale, s->facts.id);
	return r;
}

static int write_all(struct sandbox *s,
		     int (*write)(struct store *store, const struct store_sandbox *row))
{
	CLEANUP_BLOB struct blob layers = { 0 }, workspaces = { 0 }, env = { 0 }, labels = { 0 };
	struct store_sandbox row;
	int r;

	delete_stale(s->manager);
	r = pack(&s->layers, &layers);
	if (r == 0)
		r = pack_workspaces(&s->facts.workspaces, &workspaces);
	if (r == 0)
		r = pack_pairs(&s->facts.env, &env);
	if (r == 0)
		r = pack_pairs(&s->facts.labels, &labels);
	if (r < 0)
		return r;
	fill(s, &row);
	row.layers = blob_bytes(&layers);
	row.workspaces = blob_bytes(&workspaces);
	row.env = blob_bytes(&env);
	row.labels = blob_bytes(&labels);
	return write(s->manager->store, &row);
}

int sandbox_row_insert(struct sandbox *s)
{
	return write_all(s, store_sandbox_insert);
}

int sandbox_row_claim(struct sandbox *s)
{
	return write_all(s, store_sandbox_claim);
}

int sandbox_row_update(struct sandbox *s)
{
	CLEANUP_BLOB struct blob layers = { 0 };
	struct store_sandbox row;
	int r = pack(&s->layers, &layers);

	if (r < 0)
		return r;
	fill(s, &row);
	row.layers = blob_bytes(&layers);
	return store_sandbox_update(s->manager->store, &row);
}

/* ---- loading ---- */

static int unpack_workspaces(struct sandbox *s, struct bytes blob)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	struct workspace_params items[WORKSPACES_MAX];
	size_t i, n;
	int r = strings_unpack(blob.data, blob.size, &l);

	if (r < 0)
		return r;
	n = l.count / 2;
	if (n > WORKSPACES_MAX)
		return -EBADMSG;
	for (i = 0; i < n; i++)
		items[i] = (struct workspace_params){
			.path = l.items[2 * i],
			.read_only = l.items[2 * i + 1][0] == 'r',
			.git_config_writable = strchr(l.items[2 * i + 1], 'g') != NULL,
		};
	return sandbox_copy_workspaces(s, items, n);
}

static int parse_state(const char *text, enum sandbox_state *ret)
{
	int i;

	for (i = 0; i < SANDBOX_STATE_MAX; i++) {
		if (string_equal(text, sandbox_state_to_string((enum sandbox_state)i))) {
			*ret = (enum sandbox_state)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int load_texts(struct sandbox *s, const struct store_sandbox *row)
{
	struct sandbox_facts *f = &s->facts;
	int r;

	r = string_copy(row->id, &f->id);
	if (r == 0)
		r = string_copy(row->name, &f->name);
	if (r == 0)
		r = string_copy(row->tool, &f->tool);
	if (r == 0)
		r = string_copy(row->template_name, &f->template_name);
	if (r == 0)
		r = string_copy(row->cause, &f->cause);
	if (r == 0)
		r = string_copy(row->runtime, &f->runtime);
	if (r == 0)
		r = string_copy(row->loop_id, &f->loop_id);
	if (r == 0)
		r = strings_unpack(row->layers.data, row->layers.size, &s->layers);
	if (r == 0)
		r = unpack_workspaces(s, row->workspaces);
	if (r == 0)
		r = pairs_unpack(row->env, &f->env);
	if (r == 0)
		r = pairs_unpack(row->labels, &f->labels);
	return r;
}

static int load(struct sandbox *s, const struct store_sandbox *row)
{
	struct sandbox_facts *f = &s->facts;

	f->peer = row->peer;
	f->owner = row->owner;
	f->network = row->network;
	f->limits = row->limits;
	f->created_at_ms = row->created_at_ms;
	f->ttl_ms = row->ttl_ms;
	f->idle_timeout_ms = row->idle_timeout_ms;
	f->remove_on_stop = row->remove_on_stop;
	f->launch = string_equal(row->launch_type, sandbox_launch_to_string(SANDBOX_LAUNCH_WARM))
			    ? SANDBOX_LAUNCH_WARM
			    : SANDBOX_LAUNCH_COLD;
	s->hidden = row->hidden;
	s->foreign_user = row->foreign_user;
	s->removing = row->removing;
	f->pid = row->pid;
	s->pid_since = row->pid_since;
	if (!row->id || !row->name || !row->runtime || strlen(row->name) > NAME_LENGTH_MAX ||
	    parse_state(row->state, &f->state) < 0)
		return -EBADMSG;
	return load_texts(s, row);
}

static int on_row(const struct store_sandbox *row, void *userdata)
{
	struct manager *m = userdata;
	struct sandbox *s = sandbox_alloc(m);
	int r;

	if (!s)
		return -ENOMEM;
	r = load(s, row);
	if (r == 0)
		r = sandbox_enter(s);
	if (r < 0)
		log_errno(LOG_LEVEL_ERROR, r, "cannot load sandbox %s, ignoring its row",
			  row->id ? row->id : "?");
	(void)sandbox_unref(s);
	return r == -ENOMEM ? r : 0;
}

int sandbox_rows_load(struct manager *m, const char *cause)
{
	struct sandbox *s;
	int r = store_sandbox_load(m->store, on_row, m);

	if (r < 0)
		return r;
	for (s = m->sandboxes->first; s; s = s->next) {
		if (sandbox_is_up(s) && !cause) {
			s->pidfd = process_hold(s->facts.pid, s->pid_since);
			sandbox_adopt_later(s);
			continue;
		}
		s->facts.pid = 0;
		s->pid_since = 0;
		if (!sandbox_is_up(s))
			continue;
		sandbox_set_state(s, SANDBOX_STATE_STOPPED, cause);
		if (s->facts.workspaces.count > 0)
			sandbox_undo_later(s); /* if its keeper did not */
	}
	return 0;
}
