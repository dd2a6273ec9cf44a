/* SPDX-License-Identifier: Apache-2.0 */
/* A template of a sandbox's files: a layer of its own on top of those that the sandbox stands on.
 *
 * As for a build, the row is there before the layer, and says "building": what a crash leaves is an
 * orphan, whose layer, if it was made, is removed. The row owns the save under way. */

#include "sandbox/template-row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/disk-floor.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox.h"
#include "sandbox/template-debian.h"
#include "store/store.h"
#include "util/id.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

struct save {
	struct row *row;
	struct sandbox_copy copy; /* its layer is the row's */
	template_saved *done;
	void *userdata;
};

/* ---- what may be saved ---- */

static int check_name(const struct config *config, const char *name, struct error *reterr)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct tool_choice choice;
	char base[TEMPLATE_NAME_SIZE];

	if (strchr(name, '@'))
		return error_set(reterr, ERROR_INVALID_PARAMS, "template", "NAME or NAME:TAG",
				 "%.100s has a version, which only templates that are built have",
				 name);
	(void)snprintf(base, sizeof(base), "%.*s", (int)strcspn(name, ":"), name);
	if (string_equal(base, HOST_TEMPLATE) || debian_suite(base) ||
	    tool_choose(config, base, "template", &choice, &e) == 0 || e.kind != ERROR_NOT_FOUND)
		return error_set(reterr, ERROR_INVALID_PARAMS, "template", "another name",
				 "the name %.100s is taken by a template that is built", base);
	return 0;
}

static int refuse_taken(const char *name, struct error *reterr)
{
	error_set(reterr, ERROR_ALREADY_EXISTS, "template",
		  "another name or tag, or remove it first: sandboxctl template rm",
		  "there is a template %s already", name);
	error_set_resource(reterr, "template %s", name);
	return -1;
}

static int check_sandbox(const struct sandbox *s, struct error *reterr)
{
	if (!runtime_can(sandbox_runtime(s), RUNTIME_CAN_SAVE))
		return error_set(reterr, ERROR_UNAVAILABLE, "sandbox",
				 "make it with the runtime crun or runc",
				 "a sandbox of the runtime %s cannot be saved",
				 sandbox_facts(s)->runtime);
	if (sandbox_layers(s)->count >= KEEPER_LOWERS_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, "sandbox",
				 "start again from a template that stands on fewer",
				 "sandbox %s stands on %zu layers, and there can be at most %d",
				 sandbox_name(s), sandbox_layers(s)->count, KEEPER_LOWERS_MAX);
	return 0;
}

/* ---- the row ---- */

/* Layer names are never used again, so: the same digest, the same files. */
static void digest_of(const struct template_table *t, const struct row *base, const char *layer,
		      char ret[static SHA256_TEXT_SIZE])
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add_text(&h, base ? base->digest : t->host_digest);
	sha256_add_text(&h, layer);
	sha256_end_text(&h, ret);
}

/* The tool at the version that it really has, which need not be the one that is asked for. */
static void name_tool(const struct template_table *t, const struct sandbox *s,
		      char tool[static TEMPLATE_NAME_SIZE], const char **ret_version)
{
	const struct sandbox_facts *f = sandbox_facts(s);
	const struct row *row;

	(void)snprintf(tool, TEMPLATE_NAME_SIZE, "%.*s", f->tool ? (int)strcspn(f->tool, "@") : 0,
		       f->tool ? f->tool : "");
	row = row_of_tool(t, f->owner, sandbox_layers(s), tool);
	*ret_version = row ? row->version : NULL;
}

static int make_row(struct template_table *t, uid_t peer, const struct sandbox *s, const char *name,
		    struct row **ret)
{
	const struct sandbox_facts *f = sandbox_facts(s);
	const struct row *base = row_find(t, f->owner, f->template_name);
	char id[SHORT_ID_SIZE], digest[SHA256_TEXT_SIZE], tool[TEMPLATE_NAME_SIZE];
	CLEANUP_STR char *layer = NULL;
	struct store_template stored = {
		.name = name,
		.owner = f->owner,
		.peer = peer,
		.digest = digest,
		.base = f->template_name,
		.created_at_ms = time_realtime_ms(),
	};
	const struct string_list *below = sandbox_layers(s);
	struct row *row;
	int r = id_make_short(id);

	if (r < 0)
		return r;
	layer = string_format(SAVED_LAYER_PREFIX "%s", id);
	if (!layer)
		return -ENOMEM;
	digest_of(t, base, layer, digest);
	name_tool(t, s, tool, &stored.version);
	stored.tool = tool[0] ? tool : NULL;
	stored.layer = layer;
	r = row_new(&row, t, &stored);
	if (r < 0)
		return r;
	row->state = TEMPLATE_STATE_BUILDING;
	for (size_t i = 0; r == 0 && i < below->count; i++)
		r = string_list_add(&row->lowers, below->items[i]);
	if (r == 0)
		r = row_store(row, true);
	if (r < 0) {
		row_free(row);
		return r;
	}
	TAILQ_INSERT_TAIL(&t->rows, row, link);
	row_tell_event(row, NULL, template_state_to_string(row->state), NULL);
	*ret = row;
	return 0;
}

/* Nothing says that the keeper has not made the layer all the same. Where the database takes
 * nothing (the disk is full), what it says already makes an orphan of it at the next start. */
static void give_up(struct row *row)
{
	struct manager *m = row->table->manager;
	int r = row_orphan(row);

	if (r < 0) {
		log_errno(LOG_LEVEL_WARNING, r, "template %s: its row stays for now", row->name);
		row->orphan = true;
	}
	template_sweep(m);
}

static int fail_row(int r, const char *name, struct error *reterr)
{
	CLEANUP_STR char *what = string_format("template %s", name);

	if (r == -EEXIST)
		return error_set(reterr, ERROR_CONFLICT, NULL, "try again in a moment",
				 "what is left of an earlier template %s is being removed", name);
	return store_refuse(r, what ? what : "the template", reterr);
}

/* ---- saving ---- */

static void on_copied(struct sandbox *s, struct error *e, void *userdata)
{
	struct save *save = userdata;
	struct row *row = save->row;
	CLEANUP_ERROR struct error own = { 0 };
	struct template_facts facts;
	int r;

	(void)s;
	row->save = NULL;
	if (e->kind == ERROR_NONE) {
		row->size_bytes = save->copy.size_bytes;
		row->state = TEMPLATE_STATE_READY;
		r = row_store(row, false);
		if (r < 0) {
			(void)fail_row(r, row->name, &own); /* -1 */
			e = &own;
		}
	}
	row_tell_event(row, NULL,
		       template_state_to_string(e->kind != ERROR_NONE ? TEMPLATE_STATE_FAILED
								      : TEMPLATE_STATE_READY),
		       e->kind != ERROR_NONE ? e->message : NULL);
	if (e->kind != ERROR_NONE) {
		row_tell_waiters(row, e);
		give_up(row);
		save->done(NULL, e, save->userdata);
	} else {
		row_tell_waiters(row, NULL);
		row_facts(row, &facts);
		save->done(&facts, NULL, save->userdata);
	}
	free(save);
}

int template_save(struct sandbox *s, const struct template_save_query *query, template_saved *done,
		  void *userdata, struct error *reterr)
{
	struct template_table *t = query->manager->templates;
	struct save *save;
	struct row *row;
	int r;

	if (check_name(query->manager->config, query->name, reterr) < 0 ||
	    check_sandbox(s, reterr) < 0 || disk_floor_check(query->manager, reterr) < 0)
		return -1;
	if (row_find(t, sandbox_owner(s), query->name))
		return refuse_taken(query->name, reterr);
	save = calloc(1, sizeof(*save));
	if (!save)
		return error_set_errno(reterr, -ENOMEM, "sandbox %s cannot be saved",
				       sandbox_name(s));
	r = make_row(t, query->peer, s, query->name, &row);
	if (r < 0) {
		free(save);
		template_sweep(query->manager); /* perhaps that is why */
		return fail_row(r, query->name, reterr);
	}
	*save = (struct save){ row, { .layer = row->layer }, done, userdata };
	row->save = save;
	if (sandbox_copy(s, &save->copy, on_copied, save, reterr) < 0) {
		row_free_save(row);
		if (store_template_delete(query->manager->store, row->owner, row->name) < 0)
			log_warning("template %s: its row stays until the next start", row->name);
		row_tell_event(row, NULL, template_state_to_string(TEMPLATE_STATE_FAILED),
			       reterr ? reterr->message : NULL);
		row_drop(row);
		return -1;
	}
	return 0;
}

void row_free_save(struct row *row)
{
	free(row->save);
	row->save = NULL;
}

const char *template_tool(const struct manager *m, uid_t owner, const char *template_name)
{
	const struct row *row = template_name ? row_find(m->templates, owner, template_name) : NULL;

	return row ? row->tool : NULL;
}
