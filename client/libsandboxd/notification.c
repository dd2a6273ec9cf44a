/* SPDX-License-Identifier: Apache-2.0 */
/* Output is decoded here, so that a client never sees base64 and gets pointer and length. */

#include "notification.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "json-value.h"

struct delivery {
	struct sandboxd_client *client;
	const struct sandboxd_callbacks *callbacks;
	void *userdata;
	struct json_object *params;
};

static bool deliver_started(const struct delivery *d)
{
	struct sandboxd_started started = {
		.exec_id = json_value_string(d->params, "execId"),
		.sandbox = json_value_string(d->params, "sandbox"),
		.request = (uint64_t)json_value_int(d->params, "requestId", 0),
		.pid = (pid_t)json_value_int(d->params, "pid", 0),
	};

	if (!d->callbacks->on_started || !started.exec_id)
		return false;
	d->callbacks->on_started(d->client, &started, d->userdata);
	return true;
}

static bool deliver_output(const struct delivery *d)
{
	struct sandboxd_output output = {
		.exec_id = json_value_string(d->params, "execId"),
		.stream = json_value_string(d->params, "stream"),
		.offset = (uint64_t)json_value_int(d->params, "offset", 0),
	};
	struct json_object *data = NULL;
	void *owned = NULL;

	if (!d->callbacks->on_output || !output.exec_id || !output.stream)
		return false;
	if (!json_object_object_get_ex(d->params, "data", &data) ||
	    json_value_bytes(data, &output.data, &output.size, &owned) <= 0)
		return false;
	d->callbacks->on_output(d->client, &output, d->userdata);
	free(owned);
	return true;
}

static bool deliver_progress(const struct delivery *d)
{
	struct sandboxd_progress progress = {
		.request = (uint64_t)json_value_int(d->params, "requestId", 0),
		.message = json_value_string(d->params, "message"),
	};

	if (!d->callbacks->on_progress || !progress.message)
		return false;
	d->callbacks->on_progress(d->client, &progress, d->userdata);
	return true;
}

static bool deliver_typed(const struct delivery *d, const char *method)
{
	if (strcmp(method, "exec.data") == 0)
		return deliver_output(d);
	if (strcmp(method, "exec.started") == 0)
		return deliver_started(d);
	if (strcmp(method, "progress") == 0)
		return deliver_progress(d);
	return false;
}

void notification_deliver(struct sandboxd_client *c, const struct sandboxd_callbacks *callbacks,
			  void *userdata, const char *method, struct json_object *params)
{
	struct delivery d = { c, callbacks, userdata, params };
	const char *text = "{}";
	size_t size = 2;

	if (deliver_typed(&d, method) || !callbacks->on_notification)
		return;
	if (params)
		text = json_object_to_json_string_length(params,
							 JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE,
							 &size);
	if (text)
		callbacks->on_notification(c, method, text, size, userdata);
}
