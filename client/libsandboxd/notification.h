/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Hands a notification to the callback that is meant for it. */

#include "sandboxd/client.h"

struct json_object;

/* PARAMS may be NULL. What is malformed is given to on_notification, or dropped. */
void notification_deliver(struct sandboxd_client *c, const struct sandboxd_callbacks *callbacks,
			  void *userdata, const char *method, struct json_object *params);
