/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.*: a thin layer over client_call(). An object keeps the daemon's answer; its strings
 * point into it. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>

#include "call.h"
#include "json-value.h"
#include "list.h"
#include "macro.h"
#include "sandboxd/client.h"

struct sandbox_object {
	struct sandboxd_sandbox public; /* first: what the user frees is this */
	struct json_object *json;
};

/* Takes JSON. */
static int sandbox_new(struct sandboxd_sandbox **ret, struct json_object *json)
{
	struct json_object *network = json_value_object(json, "network");
	struct sandbox_object *s = calloc(1, sizeof *s);
	int r = s ? -EBADMSG : -ENOMEM;

	if (!s || !json_value_string(json, "name")) {
		json_object_put(json);
		free(s);
		return r;
	}
	s->json = json;
	s->public = (struct sandboxd_sandbox){
		.name = json_value_string(json, "name"),
		.id = json_value_string(json, "id"),
		.tool = json_value_string(json, "tool"),
		.template_name = json_value_string(json, "template"),
		.runtime = json_value_string(json, "runtime"),
		.state = json_value_string(json, "state"),
		.cause = json_value_string(json, "cause"),
		.network = network ? json_value_string(network, "mode")
				   : json_value_string(json, "network"),
		.created_at = json_value_string(json, "createdAt"),
		.json = json_value_text(json),
		.pid = (pid_t)json_value_int(json, "pid", 0),
	};
	*ret = &s->public;
	return 0;
}

struct sandboxd_sandbox *sandboxd_sandbox_free(struct sandboxd_sandbox *s)
{
	struct sandbox_object *o = (struct sandbox_object *)(void *)s;

	if (!o)
		return NULL;
	json_object_put(o->json);
	free(o);
	return NULL;
}

static struct json_object *workspace_to_json(const struct sandboxd_workspace *w)
{
	struct json_object *object = json_object_new_object();

	params_add_string(object, "path", w->path);
	params_add_flag(object, "readOnly", w->read_only);
	return object;
}

static void add_workspaces(struct json_object *params,
			   const struct sandboxd_sandbox_options *options)
{
	struct json_object *extra;

	if (options->n_workspaces == 0)
		return;
	json_object_object_add(params, "workspace", workspace_to_json(&options->workspaces[0]));
	if (options->n_workspaces == 1)
		return;
	extra = json_object_new_array();
	for (size_t i = 1; i < options->n_workspaces; i++)
		json_object_array_add(extra, workspace_to_json(&options->workspaces[i]));
	json_object_object_add(params, "extraWorkspaces", extra);
}

static void add_number(struct json_object *object, const char *key, uint64_t value)
{
	if (value)
		json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_limits(struct json_object *params, const struct sandboxd_sandbox_options *options)
{
	struct json_object *limits = json_object_new_object();

	add_number(limits, "memoryBytes", options->memory_bytes);
	add_number(limits, "shmBytes", options->shm_bytes);
	add_number(limits, "diskBytes", options->disk_bytes);
	add_number(limits, "cpuMilli", options->cpu_milli);
	add_number(limits, "pids", options->pids);
	if (json_object_object_length(limits) > 0)
		json_object_object_add(params, "limits", limits);
	else
		json_object_put(limits);
}

int sandboxd_sandbox_create(struct sandboxd_client *c,
			    const struct sandboxd_sandbox_options *options,
			    struct sandboxd_sandbox **ret, struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *params = json_object_new_object();
	struct json_object *result = NULL;
	int r;

	params_add_string(params, "name", options->name);
	params_add_string(params, "tool", options->tool);
	params_add_string(params, "template", options->template_name);
	params_add_string(params, "network", options->network);
	params_add_string(params, "runtime", options->runtime);
	params_add_string(params, "idempotencyKey", options->idempotency_key);
	add_workspaces(params, options);
	add_limits(params, options);
	r = params_add_env(params, "env", options->env);
	if (r < 0)
		return r;
	r = client_call(c, "sandbox.create", TAKE_PTR(params), NULL, 0, &result, reterr);
	return r == 0 ? sandbox_new(ret, result) : r;
}

int sandboxd_sandbox_get(struct sandboxd_client *c, const char *name, struct sandboxd_sandbox **ret,
			 struct sandboxd_error *reterr)
{
	struct json_object *result = NULL;
	int r = client_call(c, "sandbox.get", params_new("sandbox", name), NULL, 0, &result,
			    reterr);

	return r == 0 ? sandbox_new(ret, result) : r;
}

int sandboxd_sandbox_stop(struct sandboxd_client *c, const char *name,
			  struct sandboxd_error *reterr)
{
	return client_call(c, "sandbox.stop", params_new("sandbox", name), NULL, 0, NULL, reterr);
}

int sandboxd_sandbox_start(struct sandboxd_client *c, const char *name,
			   struct sandboxd_error *reterr)
{
	return client_call(c, "sandbox.start", params_new("sandbox", name), NULL, 0, NULL, reterr);
}

int sandboxd_sandbox_remove(struct sandboxd_client *c, const char *name, int force,
			    struct sandboxd_error *reterr)
{
	struct json_object *params = params_new("sandbox", name);

	params_add_flag(params, "force", force);
	return client_call(c, "sandbox.remove", params, NULL, 0, NULL, reterr);
}

/* ---- list ---- */

static int make_sandbox(void *items, size_t i, struct json_object *json)
{
	struct sandboxd_sandbox **list = items;

	return sandbox_new(&list[i], json);
}

static void free_sandbox_list(void *items, size_t count)
{
	sandboxd_sandbox_list_free(items, count);
}

int sandboxd_sandbox_list(struct sandboxd_client *c, struct sandboxd_sandbox ***ret,
			  size_t *ret_count, struct sandboxd_error *reterr)
{
	static const struct client_list list = { .method = "sandbox.list",
						 .array = "sandboxes",
						 .key = "id",
						 .make = make_sandbox,
						 .free = free_sandbox_list };
	void *items;
	int r = client_list(c, &list, &items, ret_count, reterr);

	if (r == 0)
		*ret = items;
	return r;
}

void sandboxd_sandbox_list_free(struct sandboxd_sandbox **list, size_t count)
{
	if (!list)
		return;
	for (size_t i = 0; i < count; i++)
		sandboxd_sandbox_free(list[i]);
	free(list);
}
