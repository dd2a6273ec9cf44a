/* SPDX-License-Identifier: Apache-2.0 */
#include "api/loop-result.h"

#include <json-c/json.h>
#include <string.h>

#include "api/values.h"
#include "codec.h"
#include "loop/loop.h"
#include "sandbox/sandbox.h"

static struct json_object *value_list(const struct string_list *l)
{
	return value_strings((const char *const *)l->items, l->count);
}

static struct json_object *sandboxes(const struct loop *l)
{
	const struct loop_facts *f = loop_facts(l);
	struct json_object *list = json_object_new_array();
	const struct sandbox *s;
	size_t i;

	for (i = 0; list && i < f->tools.count; i++) {
		s = loop_sandbox(l, f->tools.items[i]);
		if (s) /* not one that somebody has removed */
			(void)json_object_array_add(list, value_string(sandbox_name(s)));
	}
	return list;
}

struct json_object *value_loop(const struct loop *l)
{
	const struct loop_facts *f = loop_facts(l);
	const struct loop_activity a = loop_activity(l);
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	value_add_string(o, "loopId", f->id);
	value_add_string(o, "state", loop_state_to_string(f->state));
	json_object_object_add(o, "workDir", codec_text(f->work_dir, strlen(f->work_dir)));
	json_object_object_add(o, "tools", value_list(&f->tools));
	json_object_object_add(o, "sandboxes", sandboxes(l));
	value_add_int(o, "execs", (int64_t)a.execs);
	json_object_object_add(o, "alive", json_object_new_boolean(a.alive));
	json_object_object_add(o, "lastOutputAt", value_time(a.last_output_at_ms));
	value_add_int(o, "cpuMs", (int64_t)a.cpu_ms);
	json_object_object_add(o, "createdAt", value_time(f->created_at_ms));
	json_object_object_add(o, "labels", value_pairs(&f->labels));
	if (f->ended_at_ms > 0)
		json_object_object_add(o, "endedAt", value_time(f->ended_at_ms));
	value_add_string(o, "reason", f->reason);
	return o;
}

struct json_object *value_receipt(const struct loop *l)
{
	const struct loop_facts *f = loop_facts(l);
	const struct receipt *r = &f->receipt;
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	value_add_string(o, "loopId", f->id);
	value_add_string(o, "outcome", receipt_outcome_to_string(r->outcome));
	json_object_object_add(o, "at", value_time(r->at_ms));
	json_object_object_add(o, "workDir", codec_text(f->work_dir, strlen(f->work_dir)));
	json_object_object_add(o, "sandboxes", value_list(&r->sandboxes));
	value_add_int(o, "execs", (int64_t)r->execs);
	value_add_int(o, "cpuMs", (int64_t)r->cpu_ms);
	value_add_int(o, "processesKilled", (int64_t)r->processes_killed);
	value_add_int(o, "outputBytes", (int64_t)r->output_bytes);
	json_object_object_add(o, "worktreeUnlocked",
			       r->lock == RECEIPT_LOCK_NONE
				       ? NULL
				       : json_object_new_boolean(r->lock == RECEIPT_LOCK_GONE));
	json_object_object_add(o, "headSha", value_string(f->head_sha));
	return o;
}
