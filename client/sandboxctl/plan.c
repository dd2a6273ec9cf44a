/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "json-value.h"
#include "list.h"
#include "macro.h"

#define NOT_FOUND (-32001)

static bool is(struct json_object *o, const char *key, const char *wanted)
{
	const char *text = json_value_string(o, key);

	return text && wanted && strcmp(text, wanted) == 0;
}

static void copy_member(struct json_object *to, struct json_object *from, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_object_get_ex(from, key, &value))
		json_object_object_add(to, key, json_object_get(value));
}

static void set_prune(struct json_object *entry, bool prune)
{
	json_object_object_add(entry, "prune", json_object_new_boolean(prune));
}

/* ---- sandboxes ---- */

static bool takes_sandbox(struct json_object *s)
{
	return (is(s, "state", "stopped") || is(s, "state", "failed")) &&
	       !json_value_string(s, "loopId");
}

/* Adds the space of one to ENTRY. One that is removed meanwhile takes none. */
static int measure(struct ctl *ctl, struct json_object *entry)
{
	struct json_object *params = json_object_new_object();
	CLEANUP_JSON struct json_object *stats = NULL;
	int r;

	json_object_object_add(params, "sandbox",
			       json_object_new_string(json_value_string(entry, "id")));
	json_object_object_add(params, "disk", json_object_new_boolean(true));
	r = ctl_call_expecting(ctl, "sandbox.stats", params, NOT_FOUND, &stats);
	if (r == 0)
		copy_member(entry, stats, "diskBytes");
	return r == SANDBOXD_REFUSED ? 0 : r;
}

static int add_sandbox(struct ctl *ctl, struct plan *p, struct json_object *s)
{
	struct json_object *entry = json_object_new_object();
	bool prune = takes_sandbox(s);
	int64_t bytes;

	copy_member(entry, s, "name");
	copy_member(entry, s, "id");
	copy_member(entry, s, "state");
	copy_member(entry, s, "template");
	json_object_array_add(p->sandboxes, entry);
	if (!json_value_string(entry, "id"))
		return ctl_transport_error(ctl, -EBADMSG);
	if (measure(ctl, entry) < 0)
		return -1;
	set_prune(entry, prune);
	bytes = json_value_int(entry, "diskBytes", 0);
	p->sandbox_bytes += bytes;
	p->prune_sandbox_bytes += prune ? bytes : 0;
	return 0;
}

static int add_sandboxes(struct ctl *ctl, struct plan *p)
{
	static const struct list_query q = { .method = "sandbox.list", .key = "sandboxes" };
	CLEANUP_JSON struct json_object *list = list_fetch(ctl, &q);

	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		if (add_sandbox(ctl, p, json_object_array_get_idx(list, i)) < 0)
			return -1;
	return list ? 0 : -1;
}

/* ---- templates ---- */

/* TOOL@VERSION, and not the version that a new sandbox of the tool would get. 1, 0, or -1. */
static int is_old_layer(struct ctl *ctl, struct json_object *t)
{
	const char *tool = json_value_string(t, "tool"), *name = json_value_string(t, "name");
	struct json_object *params = json_object_new_object();
	CLEANUP_JSON struct json_object *current = NULL;
	size_t n = tool ? strlen(tool) : 0;
	int r;

	if (!tool || !name || strncmp(name, tool, n) != 0 || name[n] != '@') {
		(void)json_object_put(params); /* 1: it was the only reference */
		return 0;
	}
	json_object_object_add(params, "template", json_object_new_string(tool));
	r = ctl_call_expecting(ctl, "template.get", params, NOT_FOUND, &current);
	if (r == SANDBOXD_REFUSED)
		return 1; /* the configured one is not built, so this is another */
	return r < 0 ? -1 : !is(current, "name", name);
}

/* Whether something in LIST that stays names NAME under KEY. */
static bool stands_on(struct json_object *list, const char *key, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (json_value_bool(o, "prune") <= 0 && is(o, key, name))
			return true;
	}
	return false;
}

static int add_templates(struct ctl *ctl, struct plan *p)
{
	static const struct list_query q = { .method = "template.list", .key = "templates" };
	CLEANUP_JSON struct json_object *list = list_fetch(ctl, &q);
	struct json_object *t, *entry;
	bool prune;
	int old;

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		t = json_object_array_get_idx(list, i);
		old = is_old_layer(ctl, t);
		if (old < 0)
			return -1;
		prune = is(t, "state", "failed") ||
			(old && is(t, "state", "ready") &&
			 !stands_on(p->sandboxes, "template", json_value_string(t, "name")) &&
			 !stands_on(list, "base", json_value_string(t, "name")));
		entry = json_object_new_object();
		copy_member(entry, t, "name");
		copy_member(entry, t, "state");
		copy_member(entry, t, "sizeBytes");
		set_prune(entry, prune);
		json_object_array_add(p->templates, entry);
		p->template_bytes += json_value_int(t, "sizeBytes", 0);
		p->prune_template_bytes += prune ? json_value_int(t, "sizeBytes", 0) : 0;
	}
	return list ? 0 : -1;
}

int plan_make(struct ctl *ctl, struct plan *p)
{
	*p = (struct plan){ .sandboxes = json_object_new_array(),
			    .templates = json_object_new_array() };
	if (add_sandboxes(ctl, p) < 0 || add_templates(ctl, p) < 0)
		return -1;
	return ctl_call(ctl, "system.df", json_object_new_object(), &p->disk);
}

void plan_deinit(struct plan *p)
{
	json_value_putp(&p->sandboxes);
	json_value_putp(&p->templates);
	json_value_putp(&p->disk);
}
