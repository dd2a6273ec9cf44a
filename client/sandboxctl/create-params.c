/* SPDX-License-Identifier: Apache-2.0 */
#include "create-params.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "json-value.h"
#include "macro.h"
#include "message.h"
#include "workspace.h"

/* {"path": ...}, or NULL after telling why not. */
static struct json_object *workspace_to_json(const char *text)
{
	CLEANUP(workspace_argument_deinit) struct workspace_argument w = { .path = NULL };
	struct json_object *object;

	if (workspace_argument_parse(&w, text) < 0)
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "path", json_object_new_string(w.path));
	if (w.read_only)
		json_object_object_add(object, "readOnly", json_object_new_boolean(1));
	return object;
}

static int add_workspaces(struct json_object *params, const char *const *workspaces, size_t count)
{
	struct json_object *extra = NULL;

	for (size_t i = 0; i < count; i++) {
		struct json_object *workspace = workspace_to_json(workspaces[i]);

		if (!workspace)
			return -1;
		if (i == 0) {
			json_object_object_add(params, "workspace", workspace);
			continue;
		}
		if (!extra) {
			extra = json_object_new_array();
			json_object_object_add(params, "extraWorkspaces", extra);
		}
		json_object_array_add(extra, workspace);
	}
	return 0;
}

static void add_allowed_host(struct json_object *network, const char *host)
{
	struct json_object *allow = NULL;

	if (!json_object_object_get_ex(network, "allow", &allow)) {
		allow = json_object_new_array();
		json_object_object_add(network, "allow", allow);
	}
	json_object_array_add(allow, json_object_new_string(host));
}

/* A mode alone is its name; rules about hosts are the gateway's. */
void create_add_network(struct json_object *params, const struct options *o)
{
	const char *mode = options_text(o, OPTION_NETWORK);
	const char *policy = options_text(o, OPTION_POLICY);
	struct json_object *network;

	if (!policy && !options_have(o, OPTION_ALLOW_HOST)) {
		if (mode)
			json_object_object_add(params, "network", json_object_new_string(mode));
		return;
	}
	network = json_object_new_object();
	json_object_object_add(network, "mode", json_object_new_string(mode ? mode : "gateway"));
	if (policy)
		json_object_object_add(network, "policy", json_object_new_string(policy));
	for (size_t i = 0; i < o->n_given; i++)
		if (o->given[i].row->id == OPTION_ALLOW_HOST)
			add_allowed_host(network, o->given[i].text);
	json_object_object_add(params, "network", network);
}

/* The orchestrator's switch for running without isolation; an explicit runtime wins. */
const char *create_runtime(const struct options *o)
{
	const char *host = getenv("AGENT_LOOP_HOST");

	return !options_have(o, OPTION_RUNTIME) && host && strcmp(host, "1") == 0 ? "host" : NULL;
}

void create_warn(struct json_object *sandbox)
{
	const char *name = json_value_string(sandbox, "name");
	const char *runtime = json_value_string(sandbox, "runtime");
	struct json_object *isolated = NULL;

	if (!json_object_object_get_ex(sandbox, "isolated", &isolated) ||
	    json_object_get_boolean(isolated))
		return;
	message_note("warning: sandbox %s runs on the host without isolation (runtime %s)",
		     name ? name : "?", runtime ? runtime : "?");
}

struct json_object *create_params(const struct options *o, const char *tool,
				  const char *const *workspaces, size_t n_workspaces)
{
	struct json_object *params = params_from_options(o);

	if (!params)
		return NULL;
	json_object_object_add(params, "tool", json_object_new_string(tool));
	create_add_network(params, o);
	if (create_runtime(o))
		json_object_object_add(params, "runtime",
				       json_object_new_string(create_runtime(o)));
	if (add_workspaces(params, workspaces, n_workspaces) == 0)
		return params;
	json_object_put(params);
	return NULL;
}
