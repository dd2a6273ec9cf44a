/* SPDX-License-Identifier: Apache-2.0 */
/* secret lease and secret revoke. A value is printed for --raw alone, and then nothing else. */

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"
#include "rpc-params.h"
#include "verbs.h"

/* The bytes as they are, without a newline: $(...) and a pipe get the same. */
static int print_value(struct json_object *lease)
{
	struct json_object *value = NULL;
	const void *data;
	void *owned;
	size_t size;
	int r;

	(void)json_object_object_get_ex(lease, "value", &value); /* NULL: none */
	if (json_value_bytes(value, &data, &size, &owned) != 1) {
		message_error(NULL, "the daemon answered without a value");
		return -1;
	}
	r = message_write(STDOUT_FILENO, data, size);
	if (owned)
		explicit_bzero(owned, size);
	free(owned);
	return r;
}

/* Of what a provider gives no longer than that, as a login whose token ends. */
static void tell_if_short(const struct ctl *ctl, struct json_object *lease)
{
	const char *expires = json_value_string(lease, "expiresAt");
	int64_t asked = options_number(&ctl->options, OPTION_TTL, 0) / 1000;
	int64_t given =
		table_seconds(expires) - table_seconds(json_value_string(lease, "createdAt"));

	if (given < asked - asked / 10 && !json_value_bool(lease, "renew"))
		message_note("it ends at %s: the secret is not good for longer", expires);
}

static int print_lease(const struct ctl *ctl, struct json_object *lease)
{
	if (options_have(&ctl->options, OPTION_RAW))
		return print_value(lease);
	if (ctl->json)
		return ctl_print_json(lease, false);
	tell_if_short(ctl, lease);
	(void)printf("%s\n", json_value_string(lease, "leaseId")); /* main.c looks at stdout */
	return 0;
}

int verb_secret_lease(struct ctl *ctl)
{
	CLEANUP_JSON struct json_object *lease = NULL;
	struct json_object *params;

	if (!options_have(&ctl->options, OPTION_TTL)) {
		message_error("--ttl 1h, say", "a lease has an end");
		return STATUS_WRONG_USAGE;
	}
	if (ctl->json && options_have(&ctl->options, OPTION_RAW)) {
		message_error("leave out one of them", "--raw is the value and no JSON");
		return STATUS_WRONG_USAGE;
	}
	params = params_from_options(&ctl->options);
	if (!params)
		return ctl->verb->failure;
	params_set(params, ctl->verb->operand_param,
		   json_object_new_string(ctl->options.operands[0]));
	if (ctl_call(ctl, ctl->verb->method, params, &lease) < 0 || print_lease(ctl, lease) < 0)
		return ctl->verb->failure;
	return 0;
}

/* What was revoked cannot be taken back from who has read it. */
static int show_revoked(const struct ctl *ctl, struct json_object *revoked)
{
	int64_t running = json_value_int(revoked, "running", 0);

	if (running > 0)
		message_note("%lld running command%s what was read, --kill ends %s",
			     (long long)running, running == 1 ? " keeps" : "s keep",
			     running == 1 ? "it" : "them");
	return ctl->json ? ctl_print_json(revoked, false) : 0;
}

static int call_one(struct ctl *ctl, const char *method, const char *lease)
{
	struct json_object *params = params_from_options(&ctl->options);
	CLEANUP_JSON struct json_object *revoked = NULL;

	if (!params)
		return -1;
	if (lease)
		params_set(params, ctl->verb->operand_param, json_object_new_string(lease));
	if (ctl_call(ctl, method, params, &revoked) < 0)
		return -1;
	return show_revoked(ctl, revoked);
}

int verb_secret_revoke(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	bool all = options_have(o, OPTION_ALL);
	int status = 0;

	if (all && o->n_operands > 0) {
		message_error("name leases, or give --all", "--all means every lease");
		return STATUS_WRONG_USAGE;
	}
	if (!all && o->n_operands == 0 && !options_have(o, OPTION_HOLDER)) {
		message_error("name leases, or give --exec, --sandbox, --loop or --all",
			      "which leases are to end?");
		return STATUS_WRONG_USAGE;
	}
	if (ctl_connect(ctl) < 0)
		return ctl->verb->failure;
	if (o->n_operands == 0)
		return call_one(ctl, all ? "secret.revokeAll" : ctl->verb->method, NULL) < 0
			       ? ctl->verb->failure
			       : 0;
	for (size_t i = 0; i < o->n_operands; i++)
		if (call_one(ctl, ctl->verb->method, o->operands[i]) < 0)
			status = ctl->verb->failure;
	return status;
}
