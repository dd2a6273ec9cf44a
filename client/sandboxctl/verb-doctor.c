/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: the daemon's own checks, run here: it is asked for mostly when no daemon runs. Which
 * tools have their secrets a daemon alone knows; that is left out without one. */

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon-process.h"
#include "macro.h"
#include "tools-ready.h"
#include "util/checks.h"
#include "util/space.h"
#include "verbs.h"

static struct json_object *to_json(const struct check *c)
{
	struct json_object *o = json_object_new_object();
	struct json_object *fix = json_object_new_array();

	json_object_object_add(o, "name", json_object_new_string(c->name));
	json_object_object_add(o, "ok", json_object_new_boolean(c->ok));
	json_object_object_add(o, "severity",
			       json_object_new_string(c->severity == CHECK_REQUIRED ? "required"
										    : "optional"));
	json_object_object_add(o, "detail", json_object_new_string(c->detail));
	json_object_object_add(o, "hint", c->hint ? json_object_new_string(c->hint) : NULL);
	for (size_t i = 0; i < CHECK_FIX_MAX && c->fix[i]; i++)
		json_object_array_add(fix, json_object_new_string(c->fix[i]));
	if (json_object_array_length(fix) > 0)
		json_object_object_add(o, "fix", fix);
	else
		json_object_put(fix);
	return o;
}

/* A tool of secret.list as a check of system.doctor. */
static struct json_object *tool_to_json(struct json_object *tool)
{
	static const char *const command[] = { "sandboxctl", "secret", "set" };
	struct json_object *o = json_object_new_object(), *fix = json_object_new_array();
	const char *secret = json_value_string(tool, "secret");
	const char *detail = json_value_string(tool, "detail");
	const char *name = json_value_string(tool, "tool");
	const char *hint = json_value_string(tool, "hint");
	char text[128];

	(void)snprintf(text, sizeof(text), "secrets: %s", name ? name : "?");
	json_object_object_add(o, "name", json_object_new_string(text));
	json_object_object_add(o, "ok", json_object_new_boolean(json_value_bool(tool, "ready")));
	json_object_object_add(o, "severity", json_object_new_string("optional"));
	json_object_object_add(o, "detail", json_object_new_string(detail ? detail : ""));
	json_object_object_add(o, "hint", hint ? json_object_new_string(hint) : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(command); i++)
		json_object_array_add(fix, json_object_new_string(command[i]));
	json_object_array_add(fix, json_object_new_string(secret ? secret : ""));
	if (json_value_bool(tool, "stored"))
		json_object_object_add(o, "fix", fix);
	else
		json_object_put(fix);
	return o;
}

static int print_json(const struct check *checks, size_t count, struct json_object *tools)
{
	CLEANUP_JSON struct json_object *result = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, to_json(&checks[i]));
	for (size_t i = 0; tools && i < json_object_array_length(tools); i++)
		json_object_array_add(list, tool_to_json(json_object_array_get_idx(tools, i)));
	json_object_object_add(result, "checks", list);
	return ctl_print_json(result, false);
}

static void print_check(const struct check *c)
{
	const char *mark = c->ok ? "ok" : c->severity == CHECK_REQUIRED ? "FAIL" : "warn";

	printf("%-5s %-18s %s\n", mark, c->name, c->detail);
	if (!c->ok && c->hint)
		printf("%24s %s\n", "", c->hint);
	if (c->ok || !c->fix[0])
		return;
	printf("%24s run:", "");
	for (size_t i = 0; i < CHECK_FIX_MAX && c->fix[i]; i++)
		printf(" %s", c->fix[i]);
	printf("\n");
}

static void print_tools(struct json_object *tools)
{
	for (size_t i = 0; tools && i < json_object_array_length(tools); i++) {
		struct json_object *t = json_object_array_get_idx(tools, i);
		const char *name = json_value_string(t, "tool");
		const char *detail = json_value_string(t, "detail");
		const char *hint = json_value_string(t, "hint");

		printf("%-5s secrets: %-9s %s\n", json_value_bool(t, "ready") ? "ok" : "warn",
		       name ? name : "?", detail ? detail : "");
		if (hint)
			printf("%24s %s\n", "", hint);
	}
}

static bool any_required_failed(const struct check *checks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!checks[i].ok && checks[i].severity == CHECK_REQUIRED)
			return true;
	return false;
}

int verb_doctor(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *tools = tools_ready_ask(ctl);
	CLEANUP_STR char *state_dir = daemon_process_state_dir();
	const struct checks_scope scope = { .uid = geteuid(),
					    .state_dir = state_dir,
					    .min_free = SPACE_FLOOR_DEFAULT };
	struct check *checks = calloc(CHECKS_MAX, sizeof *checks);
	size_t count;
	bool failed;

	if (!checks)
		return ctl->verb->failure;
	count = checks_run(&scope, checks);
	if (ctl->json)
		failed = print_json(checks, count, tools) < 0;
	else
		failed = false;
	for (size_t i = 0; i < count && !ctl->json; i++)
		print_check(&checks[i]);
	if (!ctl->json)
		print_tools(tools);
	failed = failed || any_required_failed(checks, count) || fflush(stdout) != 0;
	free(checks);
	return failed ? ctl->verb->failure : 0;
}
