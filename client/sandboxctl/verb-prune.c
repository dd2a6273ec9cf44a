/* SPDX-License-Identifier: Apache-2.0 */
/* prune: removes what plan.h says. Without a terminal nobody can be asked, so it must be told. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "json-value.h"
#include "macro.h"
#include "message.h"
#include "plan.h"
#include "verbs.h"

#define WRONG_USAGE 2
#define NOT_FOUND (-32001)
#define CONFLICT (-32003)

/* The entries of both lists that go, with what they are. A new reference. */
static struct json_object *chosen(const struct plan *p)
{
	struct json_object *const lists[] = { p->sandboxes, p->templates };
	static const char *const kinds[] = { "sandbox", "template" };
	static const char *const sizes[] = { "diskBytes", "sizeBytes" };
	struct json_object *all = json_object_new_array();

	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		for (size_t i = 0; i < json_object_array_length(lists[k]); i++) {
			struct json_object *from = json_object_array_get_idx(lists[k], i);
			struct json_object *o = json_object_new_object(), *value = NULL;

			if (json_value_bool(from, "prune") <= 0) {
				(void)json_object_put(o); /* 1: it was the only reference */
				continue;
			}
			json_object_object_add(o, "kind", json_object_new_string(kinds[k]));
			if (json_object_object_get_ex(from, "name", &value))
				json_object_object_add(o, "name", json_object_get(value));
			if (json_object_object_get_ex(from, "id", &value))
				json_object_object_add(o, "id", json_object_get(value));
			json_object_object_add(o, "bytes",
					       json_object_new_int64(
						       json_value_int(from, sizes[k], 0)));
			json_object_array_add(all, o);
		}
	return all;
}

static bool agreed(void)
{
	char line[16];

	fputs("Remove them? [y/N] ", stdout);
	(void)fflush(stdout); /* then the question is missing, and no answer is no */
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* Between the look and now somebody may have started it again. 1: still to go, 0, -1. */
static int still_goes(struct ctl *ctl, const char *id)
{
	struct json_object *params = json_object_new_object();
	CLEANUP_JSON struct json_object *s = NULL;
	const char *state;
	int r;

	json_object_object_add(params, "sandbox", json_object_new_string(id));
	r = ctl_call_expecting(ctl, "sandbox.get", params, NOT_FOUND, &s);
	if (r < 0)
		return r == SANDBOXD_REFUSED ? 0 : -1;
	state = json_value_string(s, "state");
	return state && (strcmp(state, "stopped") == 0 || strcmp(state, "failed") == 0);
}

/* 1: removed, 0: it is gone or in use again, -1 after telling why not. */
static int remove_one(struct ctl *ctl, struct json_object *o)
{
	const char *id = json_value_string(o, "id"), *name = json_value_string(o, "name");
	struct json_object *params;
	int r = id ? still_goes(ctl, id) : 1;

	if (r <= 0 || !name)
		return r;
	params = json_object_new_object();
	json_object_object_add(params, id ? "sandbox" : "template",
			       json_object_new_string(id ? id : name));
	r = ctl_call_expecting(ctl, id ? "sandbox.remove" : "template.remove", params,
			       id ? NOT_FOUND : CONFLICT, NULL);
	if (r == SANDBOXD_REFUSED)
		return 0;
	return r < 0 ? -1 : 1;
}

/* Removes all of LIST and leaves in it what is gone. */
static int remove_all(struct ctl *ctl, struct json_object *list)
{
	int status = 0, r;

	for (size_t i = 0; i < json_object_array_length(list);) {
		r = remove_one(ctl, json_object_array_get_idx(list, i));
		if (r < 0)
			status = -1;
		if (r > 0)
			i++;
		else
			json_object_array_del_idx(list, i, 1);
	}
	return status;
}

static int print_json(struct json_object *list, bool dry)
{
	CLEANUP_JSON struct json_object *o = json_object_new_object();

	json_object_object_add(o, dry ? "wouldRemove" : "removed", json_object_get(list));
	return ctl_print_json(o, false);
}

static int prune(struct ctl *ctl, struct json_object *list, bool dry, bool ask)
{
	int r = 0;

	if (!ctl->json && json_object_array_length(list) == 0) {
		message_note("nothing to remove");
		return 0;
	}
	if ((!ctl->json || ask) && table_print(ctl->verb->columns, list) < 0)
		return -1;
	if (ask && !agreed())
		return 0;
	if (!dry)
		r = remove_all(ctl, list);
	if (ctl->json && print_json(list, dry) < 0)
		return -1;
	return r;
}

int verb_prune(struct ctl *ctl)
{
	CLEANUP(plan_deinit) struct plan p = { 0 };
	CLEANUP_JSON struct json_object *list = NULL;
	bool dry = options_have(&ctl->options, OPTION_DRY_RUN);
	bool force = options_have(&ctl->options, OPTION_FORCE);

	if (!dry && !force && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
		message_error("--force removes, --dry-run shows what would be removed",
			      "prune without a terminal cannot ask");
		return WRONG_USAGE;
	}
	if (plan_make(ctl, &p) < 0)
		return ctl->verb->failure;
	list = chosen(&p);
	return prune(ctl, list, dry, !dry && !force) < 0 ? ctl->verb->failure : 0;
}
