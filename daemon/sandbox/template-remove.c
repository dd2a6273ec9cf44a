/* SPDX-License-Identifier: Apache-2.0 */
/* Showing and removing templates. A layer goes first, its row after it: a crash in between leaves a
 * row without a layer, which the next create takes for "not built".
 *
 * A layer is shared by the sandboxes and templates that stand on it, and whoever these are is
 * looked up when it matters, never counted in advance. A template that is removed although it is
 * used becomes an orphan: a row that nobody sees, kept until the last user of its layer is gone. */

#include "sandbox/template-row.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/keeper-client.h"
#include "sandbox/pool-set.h"
#include "sandbox/pool.h"
#include "sandbox/sandbox.h"
#include "sandbox/template-debian.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

struct removal {
	struct row *row;
	template_removed *done; /* NULL: an orphan's */
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

void row_facts(const struct row *row, struct template_facts *ret)
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
	TAILQ_FOREACH (row, &t->rows, link) {
		if (row->orphan || (peer != 0 && row->owner != peer))
			continue;
		row_facts(row, &facts);
		if (!fn(&facts, userdata))
			return;
	}
}

void template_full_name(const struct config *config, const char *name,
			char ret[static TEMPLATE_NAME_SIZE])
{
	struct tool_choice choice;

	if (debian_suite(name))
		(void)snprintf(ret, TEMPLATE_NAME_SIZE, "debian@%.64s", debian_suite(name));
	else if (!tool_find(config, name) ||
		 tool_choose(config, name, "template", &choice, NULL) < 0)
		(void)snprintf(ret, TEMPLATE_NAME_SIZE, "%s", name); /* a template name fits */
	else if (!choice.version[0])
		(void)snprintf(ret, TEMPLATE_NAME_SIZE, HOST_TEMPLATE);
	else
		(void)snprintf(ret, TEMPLATE_NAME_SIZE, "%s@%s", choice.profile->name,
			       choice.version); /* fits: it has been a name */
}

/* PEER's own first; root finds everyone's. */
static struct row *find_visible(const struct template_table *t, uid_t peer, const char *name,
				struct error *reterr)
{
	char full[TEMPLATE_NAME_SIZE];
	struct row *row;

	template_full_name(t->manager->config, name, full);
	row = row_find(t, peer, full);
	if (!row && peer == 0)
		TAILQ_FOREACH (row, &t->rows, link)
			if (!row->orphan && string_equal(row->name, full))
				break;
	if (!row) {
		error_set(reterr, ERROR_NOT_FOUND, "template", NULL, "there is no template %s",
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
	struct manager *m = row->table->manager;
	const uid_t owner = row->owner;
	CLEANUP_STR char *name = NULL;

	row->removing = false;
	if (!e) {
		if (!row->orphan)
			row_tell_event(row, NULL, TEMPLATE_REMOVED, NULL);
		name = TAKE_PTR(row->name);
		row_drop(row);
		pool_template_gone(m, owner, name);
	} else if (!removal->done)
		log_warning("template layer %s stays behind: %s", row->layer,
			    e->message ? e->message : "");
	if (removal->done)
		removal->done(e, removal->userdata);
	free(removal);
	if (!e)
		template_sweep(m); /* what it stood on may have lost its last user */
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
		error_set_errno(&e, error, "the template %s cannot be removed", row->name);
		removal_end(removal, &e);
		return;
	}
	r = store_template_delete(row->table->manager->store, row->owner, row->name);
	if (r < 0)
		error_set_errno(&e, r, "the template %s cannot be forgotten", row->name);
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

/* The name goes, the layer stays for those that stand on it. */
static void removal_end_in_use(struct removal *removal)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct row *row = removal->row;
	int r;

	row->removing = false;
	r = row_orphan(row);
	if (r < 0)
		error_set_errno(&e, r, "the template %s cannot be forgotten", row->name);
	if (removal->done)
		removal->done(r < 0 ? &e : NULL, removal->userdata);
	free(removal);
}

static void on_removal_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct removal *removal = userdata;
	CLEANUP_ERROR struct error own = { 0 };
	struct row_user user;
	int r;

	if (!k) {
		removal_end(removal, e);
		return;
	}
	if (row_in_use(removal->row, true, &user)) {
		removal_end_in_use(removal);
		return;
	}
	r = ask_removal(k, removal);
	if (r < 0) {
		error_set_errno(&own, r, "the template %s cannot be removed", removal->row->name);
		removal_end(removal, &own);
	}
}

static int start_removal(struct row *row, template_removed *done, void *userdata,
			 struct error *reterr)
{
	struct removal *removal = malloc(sizeof(*removal));

	if (!removal)
		return error_set_errno(reterr, -ENOMEM, "the template %s cannot be removed",
				       row->name);
	*removal = (struct removal){ .row = row, .done = done, .userdata = userdata };
	row->removing = true;
	pool_template_changed(row->table->manager);
	if (manager_keeper(row->table->manager, row->owner, on_removal_keeper, removal, reterr) <
	    0) {
		row->removing = false;
		free(removal);
		return -1;
	}
	return 0;
}

static int may_remove(const struct row *row, bool force, struct error *reterr)
{
	struct row_user user;

	if (row->state == TEMPLATE_STATE_BUILDING || row->removing)
		return error_set(reterr, ERROR_CONFLICT, NULL, "wait for it to end",
				 "the template %s is being %s", row->name,
				 row->removing ? "removed" : "made");
	return row_in_use(row, !force, &user) ? row_refuse_in_use(row, &user, reterr) : 0;
}

int template_remove(struct manager *m, const struct template_remove_query *query,
		    template_removed *done, void *userdata, struct error *reterr)
{
	struct row *row;

	if (string_equal(query->name, HOST_TEMPLATE))
		return error_set(reterr, ERROR_DENIED, "template", NULL,
				 "the template host is built in and cannot be removed");
	row = find_visible(m->templates, query->peer, query->name, reterr);
	if (!row || may_remove(row, query->force, reterr) < 0)
		return -1;
	return start_removal(row, done, userdata, reterr);
}

/* ---- orphans ---- */

/* Its new name is none that a client could give. Both rows in the database for a moment: a crash in
 * between leaves the template as it was, and an orphan that waits for it. */
int row_orphan(struct row *row)
{
	struct store *store = row->table->manager->store;
	char *name = string_format(".%s", row->layer), *old = row->name;
	int r;

	if (!name)
		return -ENOMEM;
	row->orphan = true;
	row->name = name;
	r = row_store(row, true);
	if (r == 0)
		r = store_template_delete(store, row->owner, old);
	if (r < 0) {
		row->orphan = false;
		row->name = old;
		free(name);
		return r;
	}
	pool_template_gone(row->table->manager, row->owner, old);
	row_tell_event(row, old, TEMPLATE_REMOVED, NULL);
	free(old);
	return 0;
}

void template_sweep(struct manager *m)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct row_user user;
	struct row *row;

	if (m->stopping)
		return;
	TAILQ_FOREACH (row, &m->templates->rows, link) {
		if (!row->orphan || row->removing || row_in_use(row, true, &user))
			continue;
		log_info("removing template layer %s, which nobody uses any more", row->layer);
		if (start_removal(row, NULL, NULL, &e) < 0) {
			log_warning("template layer %s stays for now: %s", row->layer,
				    e.message ? e.message : "");
			return;
		}
	}
}
