/* SPDX-License-Identifier: Apache-2.0 */
/* audit and audit verify. */

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json-value.h"
#include "macro.h"
#include "message.h"
#include "rpc-params.h"
#include "verbs.h"

int verb_audit(struct ctl *ctl)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *result = NULL;
	int r = -1;

	if (params)
		r = ctl_call(ctl, ctl->verb->method, params, &result);
	if (r == 0 && ctl->json)
		r = ctl_print_json(result, false);
	else if (r == 0)
		r = table_print(ctl->verb->columns,
				json_object_object_get(result, ctl->verb->list_key));
	return r < 0 ? ctl->verb->failure : 0;
}

/* COUNT:HASH, as the journal and an earlier check have it. */
static int add_noted(struct json_object *params, const char *text)
{
	char *hash = NULL;
	long long count;

	errno = 0;
	count = strtoll(text, &hash, 10);
	if (hash == text || *hash != ':' || errno != 0) {
		message_error("COUNT:HASH, as \"audit log: head\" in the daemon's log",
			      "--noted %s", text);
		return -1;
	}
	if (params_set(params, "noted.count", json_object_new_int64(count)) < 0)
		return -1;
	return params_set(params, "noted.hash", json_object_new_string(hash + 1));
}

static const char *sentence(const char *reason)
{
	static const char *const sentences[][2] = {
		{ "missing", "is missing" },
		{ "damaged", "is no entry any more" },
		{ "changed", "is not as it was written" },
		{ "key", "was written under another key" },
		{ "unreadable", "cannot be read" },
	};

	for (size_t i = 0; reason && i < ARRAY_SIZE(sentences); i++)
		if (strcmp(reason, sentences[i][0]) == 0)
			return sentences[i][1];
	return "is not good";
}

static void print_report(struct json_object *report)
{
	struct json_object *head = json_value_object(report, "head");
	struct json_object *problem = json_value_object(report, "problem");
	const char *hash = head ? json_value_string(head, "hash") : NULL;
	const char *file = problem ? json_value_string(problem, "file") : NULL;
	const char *against = problem ? json_value_string(problem, "against") : NULL;
	const int64_t first = json_value_int(report, "first", 0);
	const int64_t checked = json_value_int(report, "checked", 0);

	if (problem)
		message_error(NULL, "entry %lld, in %s, %s%s",
			      (long long)json_value_int(problem, "entry", 0), file ? file : "-",
			      sentence(json_value_string(problem, "reason")),
			      against && strcmp(against, "noted") == 0 ? " (by what was noted)"
								       : "");
	(void)printf("%lld entries from %lld on are as they were written; head %lld:%s\n",
		     (long long)checked, (long long)first,
		     (long long)json_value_int(head, "count", 0), hash ? hash : "-");
}

int verb_audit_verify(struct ctl *ctl)
{
	struct json_object *params = params_from_options(&ctl->options);
	const char *noted = options_text(&ctl->options, OPTION_NOTED);
	CLEANUP_JSON struct json_object *report = NULL;

	if (!params)
		return ctl->verb->failure;
	if (noted && add_noted(params, noted) < 0) {
		json_object_put(params);
		return STATUS_WRONG_USAGE;
	}
	if (ctl_call(ctl, ctl->verb->method, params, &report) < 0)
		return ctl->verb->failure;
	if (ctl->json && ctl_print_json(report, false) < 0)
		return ctl->verb->failure;
	if (!ctl->json)
		print_report(report);
	return json_value_bool(report, "ok") ? 0 : ctl->verb->failure;
}
