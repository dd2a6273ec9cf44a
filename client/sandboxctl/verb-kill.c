/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "macro.h"
#include "util/quantity.h"
#include "verbs.h"

static int kill_one(struct ctl *ctl, const char *exec, const char *signal)
{
	struct json_object *params = json_object_new_object();
	int64_t number;

	json_object_object_add(params, "execId", json_object_new_string(exec));
	json_object_object_add(params, "signal",
			       quantity_count(signal, &number) == 0
				       ? json_object_new_int64(number)
				       : json_object_new_string(signal));
	return ctl_call(ctl, "exec.signal", params, NULL);
}

int verb_kill(struct ctl *ctl)
{
	const char *signal = options_text(&ctl->options, OPTION_SIGNAL);
	int status = 0;

	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	for (size_t i = 0; i < ctl->options.n_operands; i++)
		if (kill_one(ctl, ctl->options.operands[i], signal ? signal : "TERM") < 0)
			status = ctl->verb->failure;
	return status;
}
