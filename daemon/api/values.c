/* SPDX-License-Identifier: Apache-2.0 */
/* json-c's own out-of-memory behaviour is NULL objects, which become null in the text: a result
 * that lacks something is better than no daemon. */

#include "api/values.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "codec.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox.h"
#include "util/time.h"

static const char *const network_names[] = { [NETWORK_UNSET] = "none",
					     [NETWORK_NONE] = "none",
					     [NETWORK_GATEWAY] = "gateway",
					     [NETWORK_HOST] = "host" };

struct json_object *value_time(int64_t realtime_ms)
{
	char text[TIME_TEXT_SIZE];

	if (realtime_ms <= 0)
		return NULL;
	time_format(realtime_ms, text);
	return json_object_new_string(text);
}

struct json_object *value_string(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

void value_add_string(struct json_object *o, const char *key, const char *text)
{
	if (text)
		json_object_object_add(o, key, json_object_new_string(text));
}

void value_add_int(struct json_object *o, const char *key, int64_t number)
{
	json_object_object_add(o, key, json_object_new_int64(number));
}

static struct json_object *value_workspaces(const struct workspaces_params *w)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < w->count; i++) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "path",
				       codec_text(w->items[i].path, strlen(w->items[i].path)));
		json_object_object_add(o, "readOnly",
				       json_object_new_boolean(w->items[i].read_only));
		if (w->items[i].git_config_writable)
			value_add_string(o, "gitConfig", "writable");
		(void)json_object_array_add(list, o); /* out of memory: shorter */
	}
	return list;
}

static void add_limit(struct json_object *o, const char *key, uint64_t value)
{
	if (value > 0)
		value_add_int(o, key, (int64_t)value);
}

static struct json_object *value_limits(const struct limits_params *l)
{
	struct json_object *o = json_object_new_object();

	add_limit(o, "memoryBytes", l->memory_bytes);
	add_limit(o, "cpuMilli", l->cpu_milli);
	add_limit(o, "pids", l->pids);
	add_limit(o, "shmBytes", l->shm_bytes);
	add_limit(o, "diskBytes", l->disk_bytes);
	return o;
}

struct json_object *value_pairs(const struct pairs *pairs)
{
	struct json_object *o = json_object_new_object();
	size_t i;

	for (i = 0; i < pairs->count; i++)
		json_object_object_add(o, pairs->items[i].key,
				       json_object_new_string(pairs->items[i].value));
	return o;
}

struct json_object *value_strings(const char *const *items, size_t count)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; list && i < count; i++)
		(void)json_object_array_add(list,
					    codec_text(items[i], strlen(items[i]))); /* out of
											memory:
											shorter */
	return list;
}

struct json_object *value_sandbox(const struct sandbox *s)
{
	const struct sandbox_facts *f = sandbox_facts(s);
	struct json_object *o = json_object_new_object();
	struct json_object *network = json_object_new_object();

	json_object_object_add(o, "name", value_string(f->name));
	json_object_object_add(o, "id", value_string(f->id));
	value_add_string(o, "loopId", f->loop_id);
	value_add_string(o, "tool", f->tool);
	json_object_object_add(o, "template", value_string(f->template_name));
	json_object_object_add(o, "runtime", value_string(f->runtime));
	json_object_object_add(o, "isolated",
			       json_object_new_boolean(sandbox_runtime(s) != RUNTIME_HOST));
	value_add_string(o, "state", sandbox_state_to_string(f->state));
	value_add_string(o, "cause", f->cause);
	json_object_object_add(o, "workspaces", value_workspaces(&f->workspaces));
	value_add_string(o, "user", "agent");
	value_add_string(network, "mode", network_names[f->network]);
	json_object_object_add(o, "network", network);
	json_object_object_add(o, "limits", value_limits(&f->limits));
	json_object_object_add(o, "labels", value_pairs(&f->labels));
	json_object_object_add(o, "createdAt", value_time(f->created_at_ms));
	if (f->ttl_ms > 0)
		json_object_object_add(o, "expiresAt", value_time(f->created_at_ms + f->ttl_ms));
	if (f->idle_timeout_ms > 0)
		value_add_int(o, "idleTimeoutMs", f->idle_timeout_ms);
	json_object_object_add(o, "rm", json_object_new_boolean(f->remove_on_stop));
	value_add_string(o, "launchType", sandbox_launch_to_string(f->launch));
	json_object_object_add(o, "pid", f->pid > 0 ? json_object_new_int64(f->pid) : NULL);
	return o;
}

char *value_to_text(struct json_object *o)
{
	const char *text =
		o ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE)
		  : NULL;
	char *copy = text ? strdup(text) : NULL;

	json_object_put(o);
	return copy;
}
