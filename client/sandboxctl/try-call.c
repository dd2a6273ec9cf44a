/* SPDX-License-Identifier: Apache-2.0 */
#include "try-call.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "ctl.h"

struct trying {
	struct json_object *result;
	char *why;
	size_t why_size;
};

static void tell(const struct trying *t, const char *why)
{
	if (t->why)
		(void)snprintf(t->why, t->why_size, "%s", why); /* cut if longer */
}

static void on_reply(struct sandboxd_client *c, const struct sandboxd_reply *reply, void *userdata)
{
	struct trying *t = userdata;

	(void)c;
	if (reply->status == 0)
		t->result = json_value_parse(reply->result, reply->result_size);
	else
		tell(t, reply->error ? reply->error->message : strerror(-reply->status));
}

struct json_object *try_call(struct ctl *ctl, const char *method, const char *params,
			     int patience_ms, char *why, size_t why_size)
{
	const struct sandboxd_request request = { .method = method, .params = params };
	struct trying t = { .why = why, .why_size = why_size };
	const int64_t end = clock_now_ms() + patience_ms;
	int64_t left;
	int r;

	tell(&t, "no answer in time");
	r = sandboxd_send(ctl->client, &request, on_reply, &t, NULL);
	if (r < 0) {
		tell(&t, strerror(-r));
		return NULL;
	}
	while (sandboxd_in_flight(ctl->client) > 0 && (left = end - clock_now_ms()) > 0)
		if (sandboxd_dispatch(ctl->client, (int)left) < 0)
			break;
	/* a late answer finds nobody */
	if (sandboxd_in_flight(ctl->client) > 0)
		ctl->client = sandboxd_client_free(ctl->client);
	return t.result;
}
