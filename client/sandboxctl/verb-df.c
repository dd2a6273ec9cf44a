/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "json-value.h"
#include "macro.h"
#include "plan.h"
#include "verbs.h"

/* COUNT, PRUNE and LIMIT below 0: there is no such number. */
static void add_row(struct json_object *rows, const char *what, int64_t count, int64_t bytes,
		    int64_t prune, int64_t limit)
{
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "what", json_object_new_string(what));
	if (count >= 0)
		json_object_object_add(row, "count", json_object_new_int64(count));
	json_object_object_add(row, "bytes", json_object_new_int64(bytes));
	if (prune >= 0)
		json_object_object_add(row, "prune", json_object_new_int64(prune));
	if (limit >= 0)
		json_object_object_add(row, "limit", json_object_new_int64(limit));
	json_object_array_add(rows, row);
}

static int print_table(const struct ctl *ctl, const struct plan *p)
{
	CLEANUP_JSON struct json_object *rows = json_object_new_array();
	int64_t spools = json_value_int(p->disk, "spoolBytes", 0);
	int64_t trash = json_value_int(p->disk, "trashBytes", 0);

	add_row(rows, "sandboxes", (int64_t)json_object_array_length(p->sandboxes),
		p->sandbox_bytes, p->prune_sandbox_bytes, -1);
	add_row(rows, "templates", (int64_t)json_object_array_length(p->templates),
		p->template_bytes, p->prune_template_bytes, -1);
	add_row(rows, "output of commands", -1, spools, -1,
		json_value_int(p->disk, "spoolMaxBytes", -1));
	add_row(rows, "being deleted", -1, trash, -1, -1);
	add_row(rows, "total", -1, p->sandbox_bytes + p->template_bytes + spools + trash,
		p->prune_sandbox_bytes + p->prune_template_bytes, -1);
	add_row(rows, "free", -1, json_value_int(p->disk, "freeBytes", 0), -1,
		json_value_int(p->disk, "minFreeBytes", -1));
	return table_print(ctl->verb->columns, rows);
}

static int print_json(const struct plan *p)
{
	CLEANUP_JSON struct json_object *o = json_object_new_object();

	json_object_object_add(o, "sandboxes", json_object_get(p->sandboxes));
	json_object_object_add(o, "templates", json_object_get(p->templates));
	json_object_object_add(o, "disk", json_object_get(p->disk));
	json_object_object_add(o, "prunableBytes",
			       json_object_new_int64(p->prune_sandbox_bytes +
						     p->prune_template_bytes));
	return ctl_print_json(o, false);
}

int verb_df(struct ctl *ctl)
{
	CLEANUP(plan_deinit) struct plan p = { 0 };
	int r = plan_make(ctl, &p);

	if (r == 0)
		r = ctl->json ? print_json(&p) : print_table(ctl, &p);
	return r < 0 ? ctl->verb->failure : 0;
}
