/* SPDX-License-Identifier: Apache-2.0 */
#include "api/progress.h"

#include <json-c/json.h>

#include "api/values.h"
#include "rpc/request.h"

void progress_notify(const char *message, void *request)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "requestId", json_object_get(request_id(request)));
	value_add_string(params, "message", message);
	request_notify(request, "progress", params);
}
