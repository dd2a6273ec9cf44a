/* SPDX-License-Identifier: Apache-2.0 */
/* secret ls: what there is, and who it is enough for. */

#include <json-c/json.h>
#include <stdio.h>

#include "macro.h"
#include "table.h"
#include "tools-ready.h"
#include "verbs.h"

static const struct column tool_columns[] = {
	{ "TOOL", "tool", COLUMN_TEXT },     { "READY", "ready", COLUMN_TEXT },
	{ "SECRET", "secret", COLUMN_TEXT }, { "HOW TO GET IT", "hint", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};

int verb_secret_list(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *tools = NULL;
	int status = verb_list(ctl);

	if (status != 0 || ctl->json) /* there they are in the answer */
		return status;
	tools = tools_ready_ask(ctl);
	if (!tools)
		return 0;
	(void)putchar('\n'); /* what fails is found by what follows */
	return table_print(tool_columns, tools) < 0 ? ctl->verb->failure : 0;
}
