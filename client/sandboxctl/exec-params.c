/* SPDX-License-Identifier: Apache-2.0 */
#include "exec-params.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "message.h"
#include "read-input.h"
#include "result.h"
#include "session.h"
#include "terminal.h"

/* What a shell makes of ~ is our home; the command has its own. A new string. */
static struct json_object *below_home(const char *path)
{
	CLEANUP_STR char *text = NULL;
	const char *home = getenv("HOME");
	size_t n = home ? strlen(home) : 0;

	if (n < 2 || strncmp(path, home, n) != 0 || path[n] != '/')
		return json_object_new_string(path);
	if (asprintf(&text, "~%s", path + n) < 0)
		text = NULL;
	return text ? json_object_new_string(text) : NULL;
}

/* NAME, NAME=ENV or NAME=PATH: {"name": NAME, "env": ENV} */
static void add_secret(struct json_object *params, const struct option_given *g)
{
	struct json_object *secrets = NULL;
	struct json_object *secret = json_object_new_object();
	const char *equals = g->row->id == OPTION_SECRET_STDIN ? NULL : strchr(g->text, '=');
	int n = (int)(equals ? (size_t)(equals - g->text) : strlen(g->text));

	if (!json_object_object_get_ex(params, "secrets", &secrets)) {
		secrets = json_object_new_array();
		json_object_object_add(params, "secrets", secrets);
	}
	json_object_object_add(secret, "name", json_object_new_string_len(g->text, n));
	if (g->row->id == OPTION_SECRET_STDIN)
		json_object_object_add(secret, "stdin", json_object_new_boolean(1));
	else if (equals && g->row->id == OPTION_SECRET_FILE)
		json_object_object_add(secret, "file", below_home(equals + 1));
	else if (equals)
		json_object_object_add(secret, "env", json_object_new_string(equals + 1));
	json_object_array_add(secrets, secret);
}

static bool is_secret(enum option_id id)
{
	return id == OPTION_SECRET || id == OPTION_SECRET_FILE || id == OPTION_SECRET_STDIN;
}

int exec_params_add_files(const struct options *o, struct json_object *params)
{
	for (size_t i = 0; i < o->n_given; i++) {
		const struct option_given *g = &o->given[i];

		if (is_secret(g->row->id))
			add_secret(params, g);
		if (g->row->id == OPTION_ENV_FILE && params_add_env_file(params, g->text) < 0)
			return -1;
	}
	return 0;
}

static void add_tty(struct json_object *params)
{
	struct json_object *tty = json_object_new_object();
	uint16_t rows;
	uint16_t cols;

	terminal_size(&rows, &cols);
	json_object_object_add(tty, "rows", json_object_new_int(rows));
	json_object_object_add(tty, "cols", json_object_new_int(cols));
	json_object_object_add(params, "tty", tty);
}

/* Output comes by exec.data, stdin goes by exec.write. */
static int run_streamed(struct ctl *ctl, struct json_object *params, const struct exec_stdio *stdio)
{
	struct session_options options = {
		.params = params,
		.method = "exec.run",
		.tty = stdio->tty,
		.stream_stdin = stdio->interactive && !stdio->detach,
	};

	if (stdio->tty)
		add_tty(params);
	if (stdio->interactive)
		json_object_object_add(params, "stdin", json_object_new_string("stream"));
	if (!ctl->json && !stdio->detach)
		json_object_object_add(params, "stream", json_object_new_boolean(1));
	return session_run(ctl, &options, NULL);
}

/* {"text"} or {"base64"} */
static struct json_object *input_value(const char *data, size_t size)
{
	struct json_object *value = json_value_from_bytes(data, size);
	struct json_object *text;

	if (!json_object_is_type(value, json_type_string))
		return value;
	text = json_object_new_object();
	json_object_object_add(text, "text", value);
	return text;
}

/* The command has our descriptors. */
static int run_passed(struct ctl *ctl, struct json_object *params, const struct exec_stdio *stdio)
{
	struct session_options options = { .params = params, .method = "exec.run" };
	CLEANUP(session_fds_deinit) struct session_fds fds = { .count = 0 };

	if (session_fds_prepare(&fds, params, stdio->interactive) < 0)
		return STATUS_FAILURE;
	return session_run(ctl, &options, &fds);
}

/* What is stored can be shown again by whoever repeats the call: so nothing is passed. And its
 * input belongs to what the call is: read before, it is the same for who comes later. */
static int run_keyed(struct ctl *ctl, struct json_object *params, struct exec_stdio stdio)
{
	CLEANUP_STR char *text = NULL;
	size_t size;

	if (stdio.interactive && !stdio.tty) {
		if (read_input(&text, &size, "stdin") < 0)
			return STATUS_FAILURE;
		json_object_object_add(params, "stdin", input_value(text, size));
		stdio.interactive = false;
	}
	return run_streamed(ctl, params, &stdio);
}

int exec_params_run(struct ctl *ctl, struct json_object *params, const struct exec_stdio *stdio)
{
	if (json_object_object_get_ex(params, "idempotencyKey", NULL))
		return run_keyed(ctl, params, *stdio);
	if (stdio->tty || stdio->detach || ctl->json)
		return run_streamed(ctl, params, stdio);
	return run_passed(ctl, params, stdio);
}
