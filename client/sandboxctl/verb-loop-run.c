/* SPDX-License-Identifier: Apache-2.0 */
/* loop run: what the agent writes is shown as it comes; with -o json it is in the LoopRunResult.
 * The exit status is the agent's own, or 1 when it did well and verification did not. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "exec-params.h"
#include "macro.h"
#include "message.h"
#include "read-input.h"
#include "result.h"
#include "session.h"
#include "verbs.h"

#define STATUS_NOT_VERIFIED 1

static int add_prompt(struct json_object *params, const char *operand)
{
	CLEANUP_STR char *text = NULL;
	size_t size = strlen(operand);

	if (strcmp(operand, "-") == 0) {
		if (read_input(&text, &size, "the prompt") < 0)
			return -1;
		operand = text;
	}
	return json_object_object_add(params, "prompt", json_value_from_bytes(operand, size));
}

static void add_strings(struct json_object *params, const char *key, struct json_object *strings)
{
	if (json_object_array_length(strings) > 0)
		json_object_object_add(params, key, strings);
	else
		json_object_put(strings);
}

static int check_operands(const struct options *o)
{
	if (o->n_before_dashes == 3)
		return 0;
	message_error("arguments of the agent come behind --",
		      "usage: sandboxctl loop run LOOP TOOL PROMPT|- [-- ARGS...]");
	return -1;
}

static struct json_object *build_params(const struct options *o)
{
	CLEANUP_JSON struct json_object *params = params_from_options(o);
	struct json_object *commands, *args;

	if (!params || check_operands(o) < 0 || exec_params_add_files(o, params) < 0 ||
	    add_prompt(params, o->operands[2]) < 0)
		return NULL;
	json_object_object_add(params, "loopId", json_object_new_string(o->operands[0]));
	json_object_object_add(params, "tool", json_object_new_string(o->operands[1]));
	commands = json_object_new_array();
	for (size_t i = 0; i < o->n_given; i++)
		if (o->given[i].row->id == OPTION_VERIFY)
			json_object_array_add(commands, json_object_new_string(o->given[i].text));
	add_strings(params, "verificationCommands", commands);
	args = json_object_new_array();
	for (size_t i = o->n_before_dashes; i < o->n_operands; i++)
		json_object_array_add(args, json_object_new_string(o->operands[i]));
	add_strings(params, "args", args);
	return TAKE_PTR(params);
}

/* What its commands wrote, which was not streamed. */
static void show_verification(struct json_object *result)
{
	struct json_object *artifacts = json_value_object(result, "artifacts");
	struct json_object *verification = json_value_object(artifacts, "verification");
	const char *output = json_value_string(verification, "output");

	if (output)
		(void)message_write(STDERR_FILENO, output,
				    strlen(output)); /* the status says all */
}

static int finish(struct ctl *ctl, const char *text, size_t size)
{
	CLEANUP_JSON struct json_object *result = json_tokener_parse(text);
	struct json_object *exec = json_value_object(result, "exec");
	const char *state = json_value_string(result, "state");
	const char *error = json_value_string(result, "error");
	size_t exec_size;
	const char *exec_text;
	int status;

	if (!exec || !state) {
		ctl_transport_error(ctl, -EBADMSG);
		return STATUS_FAILURE;
	}
	exec_text = json_object_to_json_string_length(exec, JSON_C_TO_STRING_PLAIN, &exec_size);
	status = result_status(ctl, exec_text, exec_size);
	if (status == 0 && strcmp(state, "completed") != 0) {
		if (!ctl->json)
			show_verification(result);
		message_error(NULL, "%s", error ? error : state);
		status = STATUS_NOT_VERIFIED;
	}
	return result_write(ctl, text, size, status);
}

/* Only by its key is its result found again when the daemon restarts; so it always has one. */
static int name_call(struct json_object *params)
{
	char key[EXEC_ID_SIZE];
	int r;

	if (json_object_object_get_ex(params, "idempotencyKey", NULL))
		return 0;
	r = client_make_exec_id(key);
	if (r < 0)
		message_error(NULL, "making up a key: %s", strerror(-r));
	else
		json_object_object_add(params, "idempotencyKey", json_object_new_string(key));
	return r;
}

int verb_loop_run(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	CLEANUP_JSON struct json_object *params = build_params(o);
	const struct session_options options = {
		.params = params,
		.method = "loop.run",
		.finish = finish,
		.cancel_request = true,
	};

	if (!params || name_call(params) < 0)
		return STATUS_FAILURE;
	ctl->command = o->operands[1];
	if (!ctl->json && !options_have(o, OPTION_DETACH))
		json_object_object_add(params, "stream", json_object_new_boolean(1));
	return session_run(ctl, &options, NULL);
}
