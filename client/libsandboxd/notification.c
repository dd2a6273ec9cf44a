/* SPDX-License-Identifier: Apache-2.0 */
/* Output is decoded here, so that a client never sees base64 and gets pointer and length. */

#include "notification.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "json-value.h"
#include "macro.h"

struct delivery {
	const struct notification_target *to;
	struct json_object *params;
};

const char *const exec_stream_names[EXEC_STREAM_MAX] = { "stdout", "stderr", "output" };

static void keep_count(struct exec_progress *p, const struct sandboxd_output *output)
{
	if (!p || strcmp(p->exec_id, output->exec_id) != 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(exec_stream_names); i++) {
		if (strcmp(output->stream, exec_stream_names[i]) != 0)
			continue;
		p->next[i] = output->offset + output->size;
		p->seen[i] = true;
	}
}

static bool deliver_started(const struct delivery *d)
{
	struct sandboxd_started started = {
		.exec_id = json_value_string(d->params, "execId"),
		.sandbox = json_value_string(d->params, "sandbox"),
		.request = (uint64_t)json_value_int(d->params, "requestId", 0),
		.pid = (pid_t)json_value_int(d->params, "pid", 0),
	};

	if (!d->to->callbacks->on_started || !started.exec_id)
		return false;
	d->to->callbacks->on_started(d->to->client, &started, d->to->userdata);
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

	if ((!d->to->callbacks->on_output && !d->to->follow) || !output.exec_id || !output.stream)
		return false;
	if (!json_object_object_get_ex(d->params, "data", &data) ||
	    json_value_bytes(data, &output.data, &output.size, &owned) <= 0)
		return false;
	keep_count(d->to->follow, &output);
	if (d->to->callbacks->on_output)
		d->to->callbacks->on_output(d->to->client, &output, d->to->userdata);
	free(owned);
	return d->to->callbacks->on_output != NULL;
}

static bool deliver_progress(const struct delivery *d)
{
	struct sandboxd_progress progress = {
		.request = (uint64_t)json_value_int(d->params, "requestId", 0),
		.message = json_value_string(d->params, "message"),
	};

	if (!d->to->callbacks->on_progress || !progress.message)
		return false;
	d->to->callbacks->on_progress(d->to->client, &progress, d->to->userdata);
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

void notification_deliver(const struct notification_target *target, const char *method,
			  struct json_object *params)
{
	struct delivery d = { target, params };
	const char *text = "{}";
	size_t size = 2;

	if (deliver_typed(&d, method) || !target->callbacks->on_notification)
		return;
	if (params)
		text = json_object_to_json_string_length(params,
							 JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE,
							 &size);
	if (text)
		target->callbacks->on_notification(target->client, method, text, size,
						   target->userdata);
}
