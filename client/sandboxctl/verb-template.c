/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

#include "macro.h"
#include "rpc-params.h"
#include "verbs.h"

/* What is built and is no tool; the daemon knows the tools. */
static bool is_tool(const char *name)
{
	static const char *const templates[] = { "debian", "host" };

	for (size_t i = 0; i < ARRAY_SIZE(templates); i++)
		if (strlen(templates[i]) == strcspn(name, "@:") &&
		    strncmp(templates[i], name, strlen(templates[i])) == 0)
			return false;
	return true;
}

int verb_template_build(struct ctl *ctl)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *result = NULL;
	const char *name = ctl->options.operands[0];

	if (!params)
		return ctl->verb->failure;
	json_object_object_add(params, is_tool(name) ? "tool" : "template",
			       json_object_new_string(name));
	if (ctl_call(ctl, "template.build", params, &result) < 0)
		return ctl->verb->failure;
	return ctl_print_name(ctl, result);
}
