/* SPDX-License-Identifier: Apache-2.0 */
/* loop rm: what a receipt says is shown, since it is the last that is heard of a loop. */

#include <json-c/json.h>

#include "macro.h"
#include "rpc-params.h"
#include "verbs.h"

/* Texts and long lists are for -o json: here it is said that they are there. */
static void shorten(struct json_object *receipt)
{
	struct json_object *artifacts, *value;

	if (!json_object_object_get_ex(receipt, "artifacts", &artifacts) || !artifacts)
		return;
	if (json_object_object_get_ex(artifacts, "touchedFiles", &value))
		json_object_object_add(artifacts, "touchedFiles",
				       json_object_new_uint64(json_object_array_length(value)));
	if (json_object_object_get_ex(artifacts, "patch", &value) && value)
		json_object_object_add(artifacts, "patch",
				       json_object_new_string("kept, -o json shows it"));
	json_object_object_del(artifacts, "logs");
}

static int destroy_one(struct ctl *ctl, const char *loop)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *receipt = NULL;

	if (!params)
		return -1;
	json_object_object_add(params, "loopId", json_object_new_string(loop));
	if (ctl_call(ctl, "loop.destroy", params, &receipt) < 0)
		return -1;
	if (ctl->json)
		return ctl_print_json(receipt, false);
	shorten(receipt);
	return table_print_object(receipt);
}

int verb_loop_rm(struct ctl *ctl)
{
	int status = 0;

	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	for (size_t i = 0; i < ctl->options.n_operands; i++)
		if (destroy_one(ctl, ctl->options.operands[i]) < 0)
			status = ctl->verb->failure;
	return status;
}
