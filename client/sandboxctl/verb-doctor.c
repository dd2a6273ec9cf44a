/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: the checks of the daemon that would be used, as it sees them; or, where none answers,
 * those of them that can be run here. It is asked for mostly when something does not work. */

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon-process.h"
#include "json-value.h"
#include "macro.h"
#include "try-call.h"
#include "util/checks.h"
#include "util/space.h"
#include "verbs.h"

#define PING_MS 5000    /* one that hangs is no use */
#define CHECKS_MS 30000 /* it ends them itself after 20 s */

static struct json_object *to_json(const struct check *c)
{
	struct json_object *o = json_object_new_object();
	struct json_object *fix = json_object_new_array();

	json_object_object_add(o, "name", json_object_new_string(c->name));
	json_object_object_add(o, "ok", c->skipped ? NULL : json_object_new_boolean(c->ok));
	json_object_object_add(o, "severity",
			       json_object_new_string(c->severity == CHECK_REQUIRED ? "required"
										    : "optional"));
	json_object_object_add(o, "detail", json_object_new_string(c->detail));
	json_object_object_add(o, "hint", c->hint ? json_object_new_string(c->hint) : NULL);
	for (size_t i = 0; i < CHECK_FIX_MAX && c->fix[i]; i++)
		json_object_array_add(fix, json_object_new_string(c->fix[i]));
	if (json_object_array_length(fix) > 0)
		json_object_object_add(o, "fix", fix);
	else
		json_object_put(fix);
	return o;
}

static void run_here(struct json_object *list)
{
	CLEANUP_STR char *state_dir = daemon_process_state_dir();
	const struct checks_scope scope = { .uid = geteuid(),
					    .state_dir = state_dir,
					    .min_free = SPACE_FLOOR_DEFAULT };
	struct check checks[CHECKS_MAX];
	size_t count = checks_run(&scope, checks);

	for (size_t i = 0; i < count; i++)
		json_object_array_add(list, to_json(&checks[i]));
}

static struct json_object *ask_daemon(struct ctl *ctl, struct check *c)
{
	CLEANUP_JSON struct json_object *pong = NULL;
	struct json_object *result = NULL;
	int r = sandboxd_connect(&ctl->client, ctl->socket);
	char why[100] = "";

	if (r < 0)
		(void)snprintf(why, sizeof why, "%s", strerror(-r));
	else
		pong = try_call(ctl, "system.ping", NULL, PING_MS, why, sizeof why);
	if (pong)
		result = try_call(ctl, "system.doctor", NULL, CHECKS_MS, why, sizeof why);
	c->name = "daemon";
	c->ok = result != NULL;
	if (result) {
		(void)snprintf(c->detail, sizeof c->detail, "answers: this is what it sees");
		return result;
	}
	c->skipped = r < 0 && !ctl_is_named(ctl); /* none has to run */
	c->severity = c->skipped ? CHECK_OPTIONAL : CHECK_REQUIRED;
	if (r == -EACCES)
		c->hint = NOT_IN_GROUP_HINT;
	else if (!c->skipped)
		c->hint = r < 0 ? "start it, or name another socket" : "see its log";
	(void)snprintf(c->detail, sizeof c->detail,
		       "none answers (%s): this is what sandboxctl itself sees", why);
	return NULL;
}

/* Its answer, or one like it. */
static struct json_object *find_checks(struct ctl *ctl)
{
	struct json_object *all = json_object_new_object(), *list = json_object_new_array();
	struct check daemon = { .severity = CHECK_REQUIRED };
	CLEANUP_JSON struct json_object *answer = ask_daemon(ctl, &daemon);
	struct json_object *checks = json_value_array(answer, "checks");

	json_object_array_add(list, to_json(&daemon));
	for (size_t i = 0; checks && i < json_object_array_length(checks); i++)
		json_object_array_add(list, json_object_get(json_object_array_get_idx(checks, i)));
	if (!checks)
		run_here(list);
	json_object_object_add(all, "checks", list);
	return all;
}

/* -1: it was not looked at. */
static int is_ok(struct json_object *check)
{
	struct json_object *ok;

	return json_object_object_get_ex(check, "ok", &ok) && ok ? json_object_get_boolean(ok) : -1;
}

static bool is_required(struct json_object *check)
{
	const char *severity = json_value_string(check, "severity");

	return severity && strcmp(severity, "required") == 0;
}

static void print_check(struct json_object *check)
{
	struct json_object *fix = json_value_array(check, "fix");
	const char *detail = json_value_string(check, "detail");
	const char *name = json_value_string(check, "name");
	const char *hint = json_value_string(check, "hint");
	int ok = is_ok(check);
	const char *bad = is_required(check) ? "FAIL" : "warn";

	printf("%-5s %-18s %s\n",
	       ok > 0   ? "ok"
	       : ok < 0 ? "?"
			: bad,
	       name ? name : "?", detail ? detail : "");
	if (hint)
		printf("%24s %s\n", "", hint);
	if (ok != 0 || !fix)
		return;
	printf("%24s run:", "");
	for (size_t i = 0; i < json_object_array_length(fix); i++)
		printf(" %s", json_object_get_string(json_object_array_get_idx(fix, i)));
	printf("\n");
}

int verb_doctor(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *all = find_checks(ctl);
	struct json_object *check, *list = json_value_array(all, "checks");
	bool failed = ctl->json && ctl_print_json(all, false) < 0;

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		check = json_object_array_get_idx(list, i);
		failed = failed || (is_ok(check) == 0 && is_required(check));
		if (!ctl->json)
			print_check(check);
	}
	failed = fflush(stdout) != 0 || failed;
	return failed ? ctl->verb->failure : 0;
}
