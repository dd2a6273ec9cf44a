/* SPDX-License-Identifier: Apache-2.0 */
/* system.*: what the daemon says about itself. */

#include <json-c/json.h>

#include "api/api.h"
#include "api/doctor.h"
#include "api/values.h"
#include "bounds.h"
#include "loop/loop.h"
#include "methods.h"
#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/pool.h"
#include "sandbox/sandbox.h"
#include "sandbox/tool.h"
#include "util/time.h"

void method_system_ping(struct request *r, void *userdata)
{
	(void)userdata;
	request_reply(r, json_object_new_object());
}

static struct json_object *string_array(const char *const *items, size_t n)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < n; i++)
		(void)json_object_array_add(list, value_string(items[i])); /* memory: shorter */
	return list;
}

static struct json_object *value_cgroup(const struct manager *m)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} names[] = { { "memory", KEEPER_CONTROLLER_MEMORY },
		      { "cpu", KEEPER_CONTROLLER_CPU },
		      { "pids", KEEPER_CONTROLLER_PIDS },
		      { "freezer", KEEPER_CONTROLLER_FREEZER } };
	uint32_t bits = cgroups_controllers(m->cgroups);
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (bits & names[i].bit)
			(void)json_object_array_add(list, value_string(names[i].name)); /* memory */
	value_add_string(o, "version", cgroups_version(m->cgroups));
	json_object_object_add(o, "controllers", list);
	value_add_string(o, "limits", bits ? "enforced" : "none");
	value_add_string(o, "pause", bits & KEEPER_CONTROLLER_FREEZER ? "freezer" : "signals");
	return o;
}

static struct json_object *value_transport_limits(void)
{
	struct json_object *o = json_object_new_object();

	value_add_int(o, "lineBytes", RPC_LINE_MAX);
	value_add_int(o, "batch", RPC_BATCH_MAX);
	value_add_int(o, "inFlight", RPC_IN_FLIGHT_MAX);
	value_add_int(o, "fds", RPC_FDS_MAX);
	value_add_int(o, "nesting", RPC_NESTING_MAX);
	return o;
}

static struct json_object *value_counts(struct manager *m)
{
	struct json_object *o = json_object_new_object();
	size_t running = manager_sandbox_count_in(m, SANDBOX_STATE_RUNNING);

	value_add_int(o, "sandboxes", (int64_t)(manager_sandbox_count(m) - pool_spare_count(m)));
	value_add_int(o, "spares", (int64_t)pool_spare_count(m));
	value_add_int(o, "sandboxesRunning", (int64_t)running);
	value_add_int(o, "execsRunning", (int64_t)exec_table_running(m));
	value_add_int(o, "loops", (int64_t)loop_count(m));
	value_add_int(o, "keepers", (int64_t)keeper_table_count(m));
	value_add_int(o, "connections", (int64_t)server_connection_count(m->server));
	return o;
}

static struct json_object *value_runtimes(const struct manager *m)
{
	struct json_object *list = json_object_new_array();
	const struct config_runtime *r;
	struct json_object *o;
	char path[RUNTIME_PATH_MAX];
	bool usable;

	for (r = m->config->runtimes; r; r = r->next) {
		usable = r->type == RUNTIME_HOST ? m->config->allow_host
						 : runtime_program(r, path) == 0;
		o = json_object_new_object();
		value_add_string(o, "name", r->name);
		value_add_string(o, "type", runtime_type_to_string(r->type));
		if (r->type != RUNTIME_HOST && usable)
			json_object_object_add(o, "path", value_string(path));
		json_object_object_add(o, "available", json_object_new_boolean(usable));
		(void)json_object_array_add(list, o); /* out of memory: shorter */
	}
	return list;
}

static struct json_object *value_tool(const struct config *config, const struct tool_profile *p)
{
	struct tool_choice choice;
	struct json_object *o, *run;
	const char *word;
	size_t i;

	if (tool_choose(config, p->name, "tool", &choice, NULL) < 0)
		return NULL; /* its section is wrong */
	o = json_object_new_object();
	run = json_object_new_array();
	for (i = 0; (word = tool_run_word(p, i)); i++)
		(void)json_object_array_add(run, value_string(word)); /* memory: shorter */
	value_add_string(o, "name", p->name);
	value_add_string(o, "version", choice.version[0] ? choice.version : NULL);
	json_object_object_add(o, "run", run);
	json_object_object_add(o, "prompt", json_object_new_boolean(p->prompt.count > 0));
	value_add_int(o, "timeoutMs", tool_default_timeout_ms(&choice));
	json_object_object_add(o, "needsHosts", json_object_new_boolean(p->needs_hosts));
	return o;
}

static struct json_object *value_tools(const struct config *config)
{
	struct json_object *list = json_object_new_array(), *tool;
	const struct tool_profile *p;

	for (p = config->tools; p; p = p->next) {
		tool = value_tool(config, p);
		if (tool)
			(void)json_object_array_add(list, tool); /* memory: shorter */
	}
	return list;
}

static struct json_object *value_defaults(const struct manager *m)
{
	struct json_object *o = json_object_new_object();

	value_add_string(o, "runtime", m->config->runtime);
	value_add_string(o, "network",
			 m->config->network_default == NETWORK_HOST ? "host" : "none");
	return o;
}

void method_system_info(struct request *r, void *userdata)
{
	static const char *const features[] = {
		"fd-passing",  "stream",    "batch",  "attach",  "pause",     "stats",
		"disk-usage",  "templates", "loops",  "stages",  "artifacts", "pool",
		"idempotency", "adoption",  "events", "secrets", "audit"
	};
	struct manager *m = userdata;
	struct json_object *o = json_object_new_object();

	value_add_string(o, "version", SANDBOXD_VERSION);
	value_add_string(o, "protocol", PROTOCOL_VERSION);
	json_object_object_add(o, "features", string_array(features, ARRAY_SIZE(features)));
	value_add_string(o, "instanceId", m->instance);
	value_add_int(o, "uptimeMs", time_monotonic_ms() - m->started_at_ms);
	json_object_object_add(o, "runtimes", value_runtimes(m));
	json_object_object_add(o, "tools", value_tools(m->config));
	json_object_object_add(o, "cgroup", value_cgroup(m));
	json_object_object_add(o, "rootless", json_object_new_boolean(!m->is_root));
	json_object_object_add(o, "limits", value_transport_limits());
	json_object_object_add(o, "defaults", value_defaults(m));
	json_object_object_add(o, "counts", value_counts(m));
	request_reply(r, o);
}

void method_system_doctor(struct request *r, void *userdata)
{
	doctor_answer(userdata, r);
}
