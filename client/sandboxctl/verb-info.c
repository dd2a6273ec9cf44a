/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "verbs.h"

int verb_info(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *result = NULL;
	int r;

	if (ctl_call(ctl, "system.info", json_object_new_object(), &result) < 0)
		return ctl->verb->failure;
	r = ctl->json ? ctl_print_json(result, false) : table_print_object(result);
	return r < 0 ? ctl->verb->failure : 0;
}
