/* SPDX-License-Identifier: Apache-2.0 */
/* info: what the daemon says about itself, and what it has several of as tables. */

#include <json-c/json.h>
#include <stdio.h>

#include "json-value.h"
#include "macro.h"
#include "table.h"
#include "verbs.h"

static const struct column runtime_columns[] = {
	{ "RUNTIME", "name", COLUMN_TEXT },
	{ "TYPE", "type", COLUMN_TEXT },
	{ "AVAILABLE", "available", COLUMN_TEXT },
	{ "PROGRAM", "path", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};

static const struct column tool_columns[] = {
	{ "TOOL", "name", COLUMN_TEXT },
	{ "VERSION", "version", COLUMN_TEXT },
	{ "HEADLESS", "prompt", COLUMN_TEXT },
	{ "TIMEOUT", "timeoutMs", COLUMN_SPAN },
	{ "NEEDS NETWORK", "needsHosts", COLUMN_TEXT },
	{ "COMMAND", "run", COLUMN_COMMAND },
	{ NULL, NULL, COLUMN_TEXT },
};

static int print_people(struct json_object *info)
{
	CLEANUP_JSON struct json_object *runtimes =
		json_object_get(json_value_array(info, "runtimes"));
	CLEANUP_JSON struct json_object *tools = json_object_get(json_value_array(info, "tools"));

	json_object_object_del(info, "runtimes");
	json_object_object_del(info, "tools");
	(void)table_print_object(info); /* what fails is found by what follows */
	(void)putchar('\n');
	(void)table_print(runtime_columns, runtimes);
	(void)putchar('\n');
	return table_print(tool_columns, tools);
}

int verb_info(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *result = NULL;
	int r;

	if (ctl_call(ctl, "system.info", json_object_new_object(), &result) < 0)
		return ctl->verb->failure;
	r = ctl->json ? ctl_print_json(result, false) : print_people(result);
	return r < 0 ? ctl->verb->failure : 0;
}
