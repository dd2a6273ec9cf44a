/* SPDX-License-Identifier: Apache-2.0 */
/* Showing and removing templates. A layer goes first, its row after it: a crash in between leaves a
 * row without a layer, which the next create takes for "not built". */

#include "sandbox/template-row.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/keeper-client.h"
#include "sandbox/sandbox.h"
#include "util/strings.h"
#include "util/time.h"

struct removal {
	struct row *row;
	template_removed *done;
	void *userdata;
};

/* ---- looking ---- */

static void host_facts(const struct template_table *t, struct template_facts *ret)
{
	*ret = (struct template_facts){
		.name = HOST_TEMPLATE,
		.digest = t->host_digest,
		.owner = t->manager->uid,
		.created_at_ms =
			time_realtime_ms() - time_monotonic_ms() + t->manager->started_at_ms,
		.state = TEMPLATE_STATE_READY,
	};
}

static void row_facts(const struct row *row, struct template_facts *ret)
{
	*ret = (struct template_facts){
		.name = row->name,
		.digest = row->digest,
		.base = row->base,
		.tool = row->tool,
		.version = row->version,
		.owner = row->owner,
		.size_bytes = row->size_bytes,
		.created_at_ms = row->created_at_ms,
		.state = row->state,
	};
}

void template_each(struct manager *m, uid_t peer,
		   bool (*fn)(const struct template_facts *t, void *userdata), void *userdata)
{
	struct template_table *t = m->templates;
	struct template_facts facts;
	struct row *row;

	host_facts(t, &facts);
	if (!fn(&facts, userdata))
		return;
	TAILQ_FOREACH(row, &t->rows, link)
	{
		if (peer != 0 && row->owner != peer)
			continue;
		row_facts(row, &facts);
		if (!fn(&facts, userdata))
			return;
	}
}

/* PEER's own first; root finds everyone's. */
static struct row *find_visible(const struct template_table *t, uid_t peer, const char *name,
				struct error *reterr)
{
	char full[TOOL_VERSION_SIZE + 64];
	struct tool_choice choice;
	struct row *row;

	if (tool_find(t->manager->config, name) && !strchr(name, '@') &&
	    tool_choose(t->manager->config, name, "template", &choice, NULL) == 0) {
		(void)snprintf(full, sizeof(full), "%s@%s", choice.profile->name, choice.version);
		name = full;
	}
	row = row_find(t, peer, name);
	if (!row && peer == 0)
		TAILQ_FOREACH(row, &t->rows, link)
	if (string_equal(row->name, name))
		break;
	if (!row) {
		error_set(reterr, ERROR_NOT_FOUND, "template", NULL, "There is no template %s.",
			  name);
		error_set_resource(reterr, "template %s", name);
	}
	return row;
}

int template_get(struct manager *m, uid_t peer, const char *name, struct template_facts *ret,
		 struct error *reterr)
{
	const struct row *row;

	if (string_equal(name, HOST_TEMPLATE)) {
		host_facts(m->templates, ret);
		return 0;
	}
	row = find_visible(m->templates, peer, name, reterr);
	if (!row)
		return -1;
	row_facts(row, ret);
	return 0;
}

/* ---- removing ---- */

static void removal_end(struct removal *removal, struct error *e)
{
	struct row *row = removal->row;

	row->removing = false;
	if (!e)
		row_drop(row);
	removal->done(e, removal->userdata);
	free(removal);
}

static void on_layer_removed(struct keeper_client *k, int error, struct wire_message *m,
			     void *userdata)
{
	struct removal *removal = userdata;
	struct row *row = removal->row;
	CLEANUP_ERROR struct error e = { 0 };
	int r;

	(void)k;
	(void)m;
	if (error < 0 && error != -ENOENT) {
		error_set_errno(&e, error, "The template %s cannot be removed", row->name);
		removal_end(removal, &e);
		return;
	}
	r = store_template_delete(row->table->manager->store, row->owner, row->name);
	if (r < 0)
		error_set_errno(&e, r, "The template %s cannot be forgotten", row->name);
	removal_end(removal, r < 0 ? &e : NULL);
}

static int ask_removal(struct keeper_client *k, struct removal *removal)
{
	struct wire_message *m = malloc(sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_LAYER_REMOVE, 0, sizeof(struct keeper_layer));
	r = wire_add_string(m, offsetof(struct keeper_layer, layer), removal->row->layer);
	if (r == 0)
		r = keeper_client_call(k, m, on_layer_removed, removal);
	wire_message_done(m);
	free(m);
	return r;
}

static void on_removal_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct removal *removal = userdata;
	CLEANUP_ERROR struct error own = { 0 };
	int r;

	if (!k) {
		removal_end(removal, e);
		return;
	}
	r = ask_removal(k, removal);
	if (r < 0) {
		error_set_errno(&own, r, "The template %s cannot be removed", removal->row->name);
		removal_end(removal, &own);
	}
}

static int may_remove(const struct row *row, bool force, struct error *reterr)
{
	const struct sandbox *user;

	if (row->state == TEMPLATE_STATE_BUILDING || row->removing)
		return error_set(reterr, ERROR_CONFLICT, NULL, "wait for it to end",
				 "The template %s is being %s.", row->name,
				 row->removing ? "removed" : "built");
	user = row_user(row, !force);
	return user ? row_refuse_in_use(row, user, reterr) : 0;
}

int template_remove(struct manager *m, const struct template_remove_query *query,
		    template_removed *done, void *userdata, struct error *reterr)
{
	const char *name = query->name;
	struct row *row;
	struct removal *removal;

	if (string_equal(name, HOST_TEMPLATE))
		return error_set(reterr, ERROR_DENIED, "template", NULL,
				 "The template host is built in and cannot be removed.");
	row = find_visible(m->templates, query->peer, name, reterr);
	if (!row || may_remove(row, query->force, reterr) < 0)
		return -1;
	removal = malloc(sizeof(*removal));
	if (!removal)
		return error_set_errno(reterr, -ENOMEM, "The template %s cannot be removed", name);
	*removal = (struct removal){ .row = row, .done = done, .userdata = userdata };
	row->removing = true;
	if (manager_keeper(m, row->owner, on_removal_keeper, removal, reterr) < 0) {
		row->removing = false;
		free(removal);
		return -1;
	}
	return 0;
}
