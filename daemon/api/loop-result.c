/* SPDX-License-Identifier: Apache-2.0 */
#include "api/loop-result.h"

#include <json-c/json.h>
#include <string.h>

#include "api/result.h"
#include "api/values.h"
#include "codec.h"
#include "loop/kept.h"
#include "loop/loop-run.h"
#include "loop/loop.h"
#include "sandbox/runtime.h"
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

static struct json_object *value_known(int64_t number)
{
	return number < 0 ? NULL : json_object_new_int64(number);
}

struct json_object *value_loop(const struct loop *l)
{
	const struct loop_facts *f = loop_facts(l);
	const struct loop_activity a = loop_activity(l);
	const struct sandbox *first = loop_first_sandbox(l);
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	value_add_string(o, "loopId", f->id);
	value_add_string(o, "state", loop_state_to_string(f->state));
	json_object_object_add(o, "workDir", codec_text(f->work_dir, strlen(f->work_dir)));
	json_object_object_add(o, "tools", value_list(&f->tools));
	json_object_object_add(o, "sandboxes", sandboxes(l));
	value_add_string(o, "runtime", loop_runtime(l));
	if (first)
		json_object_object_add(o, "isolated",
				       json_object_new_boolean(sandbox_runtime(first) !=
							       RUNTIME_HOST));
	value_add_int(o, "execs", (int64_t)a.execs);
	json_object_object_add(o, "alive", json_object_new_boolean(a.alive));
	json_object_object_add(o, "aliveSince", value_time(a.alive_since_ms));
	json_object_object_add(o, "lastOutputAt", value_time(a.last_output_at_ms));
	json_object_object_add(o, "cpuMilli", value_known(a.cpu_milli));
	json_object_object_add(o, "idleMs", value_known(a.idle_ms));
	value_add_int(o, "cpuMs", (int64_t)a.cpu_ms);
	json_object_object_add(o, "createdAt", value_time(f->created_at_ms));
	json_object_object_add(o, "labels", value_pairs(&f->labels));
	if (f->ended_at_ms > 0)
		json_object_object_add(o, "endedAt", value_time(f->ended_at_ms));
	value_add_string(o, "reason", f->reason);
	return o;
}

/* What git found. */
static struct json_object *value_found(const struct artifacts_result *a)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "headSha", value_string(a->head_sha));
	value_add_string(o, "baseSha", a->base_sha);
	json_object_object_add(o, "touchedFiles", value_list(&a->touched));
	if (a->touched_truncated)
		json_object_object_add(o, "touchedFilesTruncated", json_object_new_boolean(true));
	if (a->patch)
		json_object_object_add(o, "patch", codec_text(a->patch, a->patch_size));
	value_add_string(o, "emptyBecause", a->empty_because);
	if (a->head_sha) {
		json_object_object_add(o, "uncommitted", json_object_new_boolean(a->uncommitted));
		json_object_object_add(o, "unreachableCommits",
				       json_object_new_boolean(a->unreachable_commits));
	}
	return o;
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	value_add_string(o, key, text ? text : ""); /* NULL: memory was out */
}

static struct json_object *value_logs(const char *log, const char *out, const char *err)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "executionLog", log);
	add_text(o, "stdout", out);
	add_text(o, "stderr", err);
	return o;
}

/* null: nothing was kept, or not so long. */
static void add_kept(struct json_object *receipt, const struct loop *l)
{
	struct json_object *o = NULL;
	CLEANUP_KEPT struct loop_kept k;

	loop_kept_load(l, &k);
	json_object_object_add(receipt, "refsChanged", k.refs_known ? value_list(&k.refs) : NULL);
	if (k.looked) {
		o = value_found(&k.artifacts);
		json_object_object_add(o, "gitsInside", value_list(&k.artifacts.gits));
		json_object_object_add(o, "logs", value_logs(k.log, k.out, k.err));
	}
	json_object_object_add(receipt, "artifacts", o);
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
	add_kept(o, l);
	return o;
}

/* ---- LoopRunResult ---- */

static struct json_object *verification(const struct loop_run_result *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "commands", value_list(&r->commands));
	json_object_object_add(o, "success", json_object_new_boolean(r->verified));
	add_text(o, "output", r->verification_output);
	return o;
}

static struct json_object *artifacts(const struct loop_run_result *r)
{
	struct json_object *o = value_found(&r->artifacts);

	if (r->commands.count > 0)
		json_object_object_add(o, "verification", verification(r));
	json_object_object_add(o, "logs", value_logs(r->log, r->out, r->err));
	return o;
}

struct json_object *value_loop_run_result(const struct loop_run_result *r, const struct exec *e)
{
	struct json_object *o = json_object_new_object();
	bool quiet = !r->out || r->out[0] == '\0';

	if (!o)
		return NULL;
	value_add_string(o, "requestId", r->request_id);
	value_add_string(o, "state", loop_run_state_to_string(r->state));
	json_object_object_add(o, "startedAt", value_time(r->started_at_ms));
	json_object_object_add(o, "completedAt", value_time(r->completed_at_ms));
	value_add_int(o, "durationMs", r->duration_ms);
	value_add_string(o, "backend", "local");
	json_object_object_add(o, "artifacts", artifacts(r));
	value_add_string(o, "error", r->error);
	add_text(o, "output", quiet ? r->err : r->out);
	json_object_object_add(o, "exec", value_exec_result(e, false));
	return o;
}
