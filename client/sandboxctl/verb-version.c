/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "verbs.h"

static const char *member(struct json_object *object, const char *key)
{
	const char *text = json_value_string(object, key);

	return text ? text : "?";
}

/* Ours, and the daemon's if one answers: that none runs is no failure of this verb. */
int verb_version(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *info = NULL;

	if (sandboxd_connect(&ctl->client, ctl->socket) == 0)
		(void)ctl_call(ctl, "system.info", json_object_new_object(), &info); /* told */
	if (ctl->json) {
		struct json_object *result = json_object_new_object();
		int r;

		json_object_object_add(result, "client", json_object_new_string(SANDBOXD_VERSION));
		json_object_object_add(result, "daemon",
				       info ? json_object_new_string(member(info, "version"))
					    : NULL);
		r = ctl_print_json(result, false);
		json_object_put(result);
		return r < 0 ? ctl->verb->failure : 0;
	}
	printf("sandboxctl %s\n", SANDBOXD_VERSION);
	if (info)
		printf("sandboxd %s, protocol %s\n", member(info, "version"),
		       member(info, "protocol"));
	return fflush(stdout) == 0 ? 0 : ctl->verb->failure;
}
