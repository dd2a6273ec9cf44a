/* SPDX-License-Identifier: Apache-2.0 */
#include "tools-ready.h"

#include <json-c/json.h>

#include "clock.h"
#include "ctl.h"
#include "macro.h"

#define PATIENCE_MS 5000 /* with a daemon that hangs: doctor is for such, too */

static void on_reply(struct sandboxd_client *c, const struct sandboxd_reply *reply, void *userdata)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object **tools = userdata;

	(void)c;
	if (reply->status != 0)
		return;
	result = json_value_parse(reply->result, reply->result_size);
	*tools = json_object_get(json_value_array(result, "tools"));
}

struct json_object *tools_ready_ask(struct ctl *ctl)
{
	const struct sandboxd_request request = { .method = "secret.list",
						  .params = "{\"limit\":1}" };
	const int64_t end = clock_now_ms() + PATIENCE_MS;
	struct json_object *tools = NULL;
	int64_t left;

	if (!ctl->client && sandboxd_connect(&ctl->client, ctl->socket) < 0)
		return NULL;
	if (sandboxd_send(ctl->client, &request, on_reply, &tools, NULL) < 0)
		return NULL;
	while (sandboxd_in_flight(ctl->client) > 0 && (left = end - clock_now_ms()) > 0)
		if (sandboxd_dispatch(ctl->client, (int)left) < 0)
			break;
	/* a late answer finds nobody */
	if (sandboxd_in_flight(ctl->client) > 0)
		ctl->client = sandboxd_client_free(ctl->client);
	return tools;
}
