/* SPDX-License-Identifier: Apache-2.0 */
/* A saved template together with a tool that is not in it: the tool's layer goes below what was
 * saved, so that what somebody changed is what is found. Two steps, each of which may have to wait,
 * for a save and for a build; the template is looked up again at the end. */

#include "sandbox/template-row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "macro.h"
#include "util/strings.h"

/* Owned by the table. */
struct pairing {
	struct template_table *table;
	struct template_wait wait; /* of who asked */
	uid_t peer;
	uid_t owner;
	char *tool;
	char *name; /* of the saved template */
	LIST_ENTRY(pairing) link;
};

void pairing_free(struct pairing *p)
{
	LIST_REMOVE(p, link);
	free(p->tool);
	free(p->name);
	free(p);
}

/* The last thing that happens to it. E NULL: LAYERS is the answer. */
static void finish(struct pairing *p, const struct string_list *layers, struct error *e)
{
	const struct template_wait wait = p->wait;
	char *name = TAKE_PTR(p->name);
	const struct template_resolved resolved = {
		.name = name,
		.layers = { .items = layers ? (const char *const *)layers->items : NULL,
			    .count = layers ? layers->count : 0 },
	};

	pairing_free(p);
	wait.done(e ? NULL : &resolved, e, wait.userdata);
	free(name);
}

static void on_tool(const struct template_resolved *t, struct error *e, void *userdata)
{
	CLEANUP_STRINGS struct string_list layers = { 0 };
	CLEANUP_ERROR struct error own = { 0 };
	struct pairing *p = userdata;
	const struct row *row = row_find(p->table, p->owner, p->name);
	int r = 0;

	if (!t) {
		finish(p, NULL, e);
		return;
	}
	if (!row || row->removing || row->state != TEMPLATE_STATE_READY)
		error_set(&own, ERROR_NOT_FOUND, "template", NULL,
			  "the template %s was removed meanwhile", p->name);
	else if (1 + row->lowers.count + t->layers.count > KEEPER_LOWERS_MAX)
		error_set(&own, ERROR_LIMIT_REACHED, "template",
			  "save it again from a sandbox of that tool",
			  "the template %s and tool %s are more than %d layers", p->name, p->tool,
			  KEEPER_LOWERS_MAX);
	else
		r = row_layers(row, &layers);
	for (size_t i = 0; r == 0 && i < t->layers.count; i++)
		r = string_list_add(&layers, t->layers.items[i]);
	if (r < 0)
		error_set_errno(&own, r, "the template %s cannot be used", p->name);
	finish(p, &layers, own.kind == ERROR_NONE ? NULL : &own);
}

static void on_progress(const char *message, void *userdata)
{
	const struct pairing *p = userdata;

	if (p->wait.progress)
		p->wait.progress(message, p->wait.userdata);
}

static void on_saved(const struct template_resolved *t, struct error *e, void *userdata)
{
	struct pairing *p = userdata;
	const struct template_query query = { .peer = p->peer, .owner = p->owner, .tool = p->tool };
	const struct template_wait wait = { on_tool, on_progress, p };
	CLEANUP_ERROR struct error own = { 0 };

	if (!t)
		finish(p, NULL, e);
	else if (template_build(p->table->manager, &query, false, &wait, &own) < 0)
		finish(p, NULL, &own);
}

const struct row *row_of_tool(const struct template_table *t, uid_t owner,
			      const struct string_list *layers, const char *tool)
{
	const struct row *row;

	TAILQ_FOREACH (row, &t->rows, link) {
		if (row->owner != owner || !string_equal(row->tool, tool) ||
		    string_starts(row->layer, SAVED_LAYER_PREFIX))
			continue;
		for (size_t i = 0; i < layers->count; i++)
			if (string_equal(layers->items[i], row->layer))
				return row;
	}
	return NULL;
}

static int start(struct row *row, const struct template_query *q, const struct template_wait *wait,
		 struct error *reterr)
{
	struct template_table *t = row->table;
	const struct template_query query = { .peer = q->peer,
					      .owner = q->owner,
					      .template_name = row->name };
	struct pairing *p = calloc(1, sizeof(*p));
	struct template_wait own = { on_saved, NULL, p };
	int r = -ENOMEM;

	if (!p)
		return error_set_errno(reterr, r, "a template cannot be waited for");
	*p = (struct pairing){ .table = t, .wait = *wait, .peer = q->peer, .owner = q->owner };
	LIST_INSERT_HEAD(&t->pairings, p, link);
	if (string_copy(q->tool, &p->tool) < 0 || string_copy(row->name, &p->name) < 0)
		error_set_errno(reterr, r, "a template cannot be waited for");
	else
		r = template_build(t->manager, &query, false, &own, reterr);
	if (r < 0) {
		pairing_free(p);
		return -1;
	}
	return 1;
}

bool row_has_tool(const struct row *row, const struct template_query *q)
{
	struct tool_choice choice;
	const struct row *has;

	if (!q->tool)
		return true;
	if (tool_choose(row->table->manager->config, q->tool, "tool", &choice, NULL) < 0)
		return false;
	if (!choice.version[0])
		return true;
	has = row_of_tool(row->table, row->owner, &row->lowers, choice.profile->name);
	return has && (!strchr(q->tool, '@') || string_equal(has->version, choice.version));
}

int row_pair(struct row *row, const struct template_query *q, const struct template_wait *wait,
	     struct error *reterr)
{
	const char *lowest = row->lowers.count > 0 ? row->lowers.items[row->lowers.count - 1] : "";
	const size_t length = strlen(lowest), suffix = strlen(KEEPER_ROOT_SUFFIX);
	struct tool_choice choice;
	const struct row *has;

	if (!q->tool)
		return 0;
	if (tool_choose(row->table->manager->config, q->tool, "tool", &choice, reterr) < 0)
		return -1;
	if (!choice.version[0])
		return 0;
	has = row_of_tool(row->table, row->owner, &row->lowers, choice.profile->name);
	if (has && strchr(q->tool, '@') && !string_equal(has->version, choice.version))
		return error_set(reterr, ERROR_UNAVAILABLE, "tool", choice.profile->name,
				 "the template %s has %s@%s, not %s", row->name,
				 choice.profile->name, has->version ? has->version : "", q->tool);
	if (has)
		return 0;
	if (length > suffix && string_equal(lowest + length - suffix, KEEPER_ROOT_SUFFIX))
		return error_set(reterr, ERROR_UNAVAILABLE, "template",
				 "the tool shell, or a template that stands on host",
				 "the layer of tool %s does not stand on debian",
				 choice.profile->name);
	return start(row, q, wait, reterr);
}

void pairing_forget(struct template_table *t, const void *userdata)
{
	struct pairing *p, *next;

	for (p = LIST_FIRST(&t->pairings); p; p = next) {
		next = LIST_NEXT(p, link);
		if (p->wait.userdata != userdata)
			continue;
		template_forget(t->manager, p);
		pairing_free(p);
	}
}
