/* SPDX-License-Identifier: Apache-2.0 */
/* secret ls: what there is, and who it is enough for. */

#include <json-c/json.h>
#include <stdio.h>

#include "macro.h"
#include "table.h"
#include "try-call.h"
#include "verbs.h"

#define PATIENCE_MS 5000

static const struct column tool_columns[] = {
	{ "TOOL", "tool", COLUMN_TEXT },     { "READY", "ready", COLUMN_TEXT },
	{ "SECRET", "secret", COLUMN_TEXT }, { "HOW TO GET IT", "hint", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};

int verb_secret_list(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *tools;
	int status = verb_list(ctl);

	if (status != 0 || ctl->json) /* there they are in the answer */
		return status;
	result = try_call(ctl, "secret.list", "{\"limit\":1}", PATIENCE_MS, NULL, 0);
	tools = json_value_array(result, "tools");
	if (!tools)
		return 0;
	(void)putchar('\n'); /* what fails is found by what follows */
	return table_print(tool_columns, tools) < 0 ? ctl->verb->failure : 0;
}
