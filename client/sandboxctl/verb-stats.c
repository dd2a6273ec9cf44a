/* SPDX-License-Identifier: Apache-2.0 */
/* stats: of the sandboxes that are named, else of all that run. With --watch again and again until
 * a signal; on a terminal in place. */

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json-value.h"
#include "list.h"
#include "macro.h"
#include "message.h"
#include "rpc-params.h"
#include "verbs.h"

#define CLEAR "\033[H\033[J"
#define NOT_FOUND (-32001)

/* Appends the stats of one. WANTED: it was named, so that it is not there is a failure. */
static int add_one(struct ctl *ctl, struct json_object *all, const char *sandbox, bool wanted)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *result = NULL;
	int r;

	if (!params)
		return -1;
	params_set(params, "sandbox", json_object_new_string(sandbox));
	r = ctl_call_expecting(ctl, "sandbox.stats", params, wanted ? 0 : NOT_FOUND, &result);
	if (r == SANDBOXD_REFUSED)
		return 0; /* removed meanwhile */
	if (r < 0)
		return -1;
	return json_object_array_add(all, json_object_get(result));
}

static bool is_up(struct json_object *sandbox)
{
	const char *state = json_value_string(sandbox, "state");

	return state && (strcmp(state, "running") == 0 || strcmp(state, "paused") == 0);
}

static int add_running(struct ctl *ctl, struct json_object *all)
{
	static const struct list_query q = { .method = "sandbox.list", .key = "sandboxes" };
	CLEANUP_JSON struct json_object *list = list_fetch(ctl, &q);
	struct json_object *s;
	const char *id;

	if (!list)
		return -1;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		id = json_value_string(s, "id");
		if (id && is_up(s) && add_one(ctl, all, id, false) < 0)
			return -1;
	}
	return 0;
}

/* What could be had is shown, whatever else failed. */
static int show(struct ctl *ctl, bool in_place)
{
	CLEANUP_JSON struct json_object *all = json_object_new_array();
	int status = 0;

	for (size_t i = 0; i < ctl->options.n_operands; i++)
		if (add_one(ctl, all, ctl->options.operands[i], true) < 0)
			status = -1;
	if (ctl->options.n_operands == 0)
		status = add_running(ctl, all);
	if (in_place && status == 0)
		(void)message_write(STDOUT_FILENO, CLEAR, strlen(CLEAR)); /* the table tells */
	for (size_t i = 0; ctl->json && i < json_object_array_length(all); i++)
		if (ctl_print_json(json_object_array_get_idx(all, i), false) < 0)
			return -1;
	if (!ctl->json && table_print(ctl->verb->columns, all) < 0)
		return -1;
	return status;
}

int verb_stats(struct ctl *ctl)
{
	static const struct timespec pause = { .tv_sec = 1 };
	bool watch = options_have(&ctl->options, OPTION_WATCH);
	bool in_place = watch && !ctl->json && isatty(STDOUT_FILENO);
	int r;

	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	do {
		r = show(ctl, in_place);
	} while (r == 0 && watch && nanosleep(&pause, NULL) == 0);
	return r < 0 ? ctl->verb->failure : 0;
}
