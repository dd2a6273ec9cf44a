/* SPDX-License-Identifier: Apache-2.0 */
/* completion: the script of a shell, or for it the words of a kind. The latter says nothing when
 * something is wrong: it is asked while somebody types. */

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "completion.h"
#include "json-value.h"
#include "list.h"
#include "macro.h"
#include "message.h"
#include "verbs.h"

static const struct {
	const char *kind;
	struct list_query query;
	const char *member;
} lists[] = {
	{ "sandboxes", { .method = "sandbox.list", .key = "sandboxes" }, "name" },
	{ "execs", { .method = "exec.list", .key = "execs" }, "execId" },
	{ "templates", { .method = "template.list", .key = "templates" }, "name" },
	{ "loops", { .method = "loop.list", .key = "loops" }, "loopId" },
	{ "secrets", { .method = "secret.list", .key = "secrets" }, "secret" },
	{ "leases", { .method = "secret.leases", .key = "leases" }, "leaseId" },
};

static void print_members(struct json_object *list, const char *member)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		const char *text = json_value_string(json_object_array_get_idx(list, i), member);

		if (text)
			puts(text);
	}
}

static void print_tools(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *info = NULL;

	if (ctl_call(ctl, "system.info", json_object_new_object(), &info) == 0)
		print_members(json_value_array(info, "tools"), "name");
}

static int print_words(struct ctl *ctl, const char *kind)
{
	(void)close(STDERR_FILENO); /* or in the middle of the command line */
	ctl->no_autostart = true;
	if (strcmp(kind, "tools") == 0 || strcmp(kind, "builds") == 0)
		print_tools(ctl);
	if (strcmp(kind, "builds") == 0)
		puts("debian");
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		CLEANUP_JSON struct json_object *list = NULL;

		if (strcmp(kind, lists[i].kind) != 0)
			continue;
		list = list_fetch(ctl, &lists[i].query);
		print_members(list, lists[i].member);
	}
	return 0;
}

int verb_completion(struct ctl *ctl)
{
	const char *what = ctl->options.operands[0];
	size_t n = ctl->options.n_operands;

	if (n == 2 && strcmp(what, "words") == 0)
		return print_words(ctl, ctl->options.operands[1]);
	if (n == 1 && strcmp(what, "bash") == 0) {
		completion_bash(stdout);
		return 0;
	}
	if (n == 1 && strcmp(what, "zsh") == 0) {
		completion_zsh(stdout);
		return 0;
	}
	message_error("bash or zsh", "there is no completion for %s", what);
	return STATUS_WRONG_USAGE;
}
