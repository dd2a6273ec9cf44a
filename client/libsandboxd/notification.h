/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hands a notification to the callback that is meant for it. */

#include "sandboxd/client.h"

struct exec_progress;
struct json_object;

struct notification_target {
	struct sandboxd_client *client;
	const struct sandboxd_callbacks *callbacks;
	void *userdata;
	struct exec_progress *follow; /* of which command's output to keep count, or NULL */
};

/* PARAMS may be NULL. What is malformed is given to on_notification, or dropped. */
void notification_deliver(const struct notification_target *target, const char *method,
			  struct json_object *params);
