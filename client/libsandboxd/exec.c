/* SPDX-License-Identifier: Apache-2.0 */
/* exec.*: a thin layer over client_call(). A result keeps the daemon's answer; its strings and
 * bytes point into it, or into what was decoded from base64. */

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "call.h"
#include "json-value.h"
#include "macro.h"
#include "sandboxd/client.h"

#define RUNS_MAX 5 /* a daemon that dies of the request is not asked for ever */
#define CODE_NOT_FOUND (-32001)

enum { DECODED_OUT, DECODED_ERR, DECODED_OUTPUT, DECODED_MAX };

struct result_object {
	struct sandboxd_exec_result public; /* first: what the user frees is this */
	struct json_object *json;
	void *decoded[DECODED_MAX];
};

static int decode_stream(struct json_object *json, const char *key, const void **ret_data,
			 size_t *ret_size, void **ret_owned)
{
	struct json_object *value = NULL;
	int r;

	if (!json_object_object_get_ex(json, key, &value))
		return 0;
	r = json_value_bytes(value, ret_data, ret_size, ret_owned);
	return r < 0 ? r : 0;
}

static int decode_streams(struct result_object *o)
{
	struct sandboxd_exec_result *p = &o->public;
	int r = decode_stream(o->json, "stdout", &p->out, &p->out_size, &o->decoded[DECODED_OUT]);

	if (r == 0)
		r = decode_stream(o->json, "stderr", &p->err, &p->err_size,
				  &o->decoded[DECODED_ERR]);
	if (r == 0)
		r = decode_stream(o->json, "output", &p->output, &p->output_size,
				  &o->decoded[DECODED_OUTPUT]);
	return r;
}

/* The daemon says the name where there is one. */
static int signal_number(struct json_object *json)
{
	const char *name = json_value_string(json, "signal");

	if (!name)
		return (int)json_value_int(json, "signal", 0);
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcmp(known, name) == 0)
			return i;
	}
	return 0;
}

/* Takes JSON. */
static int result_new(struct sandboxd_exec_result **ret, struct json_object *json)
{
	struct json_object *start = json_value_object(json, "startError");
	struct result_object *o = calloc(1, sizeof *o);
	int r = o ? -EBADMSG : -ENOMEM;

	if (!o || !json_value_string(json, "cause")) {
		json_object_put(json);
		free(o);
		return r;
	}
	o->json = json;
	o->public = (struct sandboxd_exec_result){
		.exec_id = json_value_string(json, "execId"),
		.cause = json_value_string(json, "cause"),
		.start_error = json_value_string(start, "kind"),
		.start_message = json_value_string(start, "message"),
		.json = json_value_text(json),
		.exit_code = (int)json_value_int(json, "exitCode", -1),
		.signal = signal_number(json),
		.truncated = json_value_bool(json, "truncated"),
		.duration_ms = json_value_int(json, "durationMs", 0),
	};
	r = decode_streams(o);
	if (r < 0) {
		sandboxd_exec_result_free(&o->public);
		return r;
	}
	*ret = &o->public;
	return 0;
}

struct sandboxd_exec_result *sandboxd_exec_result_free(struct sandboxd_exec_result *result)
{
	struct result_object *o = (struct result_object *)(void *)result;

	if (!o)
		return NULL;
	for (size_t i = 0; i < DECODED_MAX; i++)
		free(o->decoded[i]);
	json_object_put(o->json);
	free(o);
	return NULL;
}

int sandboxd_exec_result_parse(const char *text, size_t size, struct sandboxd_exec_result **ret)
{
	struct json_object *json = json_value_parse(text, size);

	return json ? result_new(ret, json) : -EBADMSG;
}

/* The descriptors of one request, in the order in which they are numbered. */
struct passed_fds {
	int fds[3];
	size_t count;
};

static void pass_fd(struct passed_fds *p, struct json_object *params, const char *key, int fd)
{
	struct json_object *place;

	if (fd < 0)
		return;
	place = json_object_new_object();
	json_object_object_add(place, "fd", json_object_new_int((int)p->count));
	json_object_object_add(params, key, place);
	p->fds[p->count++] = fd;
}

static void add_stdin(struct json_object *params, const void *data, size_t size)
{
	struct json_object *value = json_value_from_bytes(data, size);
	struct json_object *text;

	if (json_object_is_type(value, json_type_string)) {
		text = json_object_new_object();
		json_object_object_add(text, "text", value);
		value = text;
	}
	json_object_object_add(params, "stdin", value);
}

static void add_command(struct json_object *params, const char *const *command)
{
	struct json_object *array = json_object_new_array();

	for (; command && *command; command++)
		json_object_array_add(array, json_object_new_string(*command));
	json_object_object_add(params, "command", array);
}

static void add_times(struct json_object *params, const struct sandboxd_exec_options *options)
{
	if (options->timeout_ms > 0)
		json_object_object_add(params, "timeoutMs",
				       json_object_new_int64(options->timeout_ms));
	if (options->grace_ms > 0)
		json_object_object_add(params, "graceMs", json_object_new_int64(options->grace_ms));
}

static struct json_object *exec_params(const char *exec_id)
{
	struct json_object *params = json_object_new_object();

	params_add_string(params, "execId", exec_id);
	return params;
}

int client_make_exec_id(char id[static EXEC_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[(EXEC_ID_SIZE - 2) / 2];
	char *at = id;

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return -EIO; /* never so for so few bytes, once the system is up */
	*at++ = 'x';
	for (size_t i = 0; i < sizeof bytes; i++) {
		*at++ = digits[bytes[i] >> 4];
		*at++ = digits[bytes[i] & 15];
	}
	*at = '\0';
	return 0;
}

/* The params of an exec.run, and the descriptors that go with it. */
static struct json_object *secret_to_json(const char *secret)
{
	const char *equals = strchr(secret, '=');
	struct json_object *o;

	if (!equals)
		return json_object_new_string(secret);
	o = json_object_new_object();
	if (!o)
		return NULL;
	json_object_object_add(o, "name",
			       json_object_new_string_len(secret, (int)(equals - secret)));
	params_add_string(o, "env", equals + 1);
	return o;
}

static void add_secrets(struct json_object *params, const char *const *secrets)
{
	struct json_object *list;

	if (!secrets || !secrets[0])
		return;
	list = json_object_new_array();
	for (; *secrets; secrets++)
		json_object_array_add(list, secret_to_json(*secrets));
	json_object_object_add(params, "secrets", list);
}

static int run_params(const struct sandboxd_exec_options *options, struct json_object *params,
		      struct passed_fds *p)
{
	params_add_string(params, "sandbox", options->sandbox);
	params_add_string(params, "workDir", options->work_dir);
	params_add_string(params, "user", options->user);
	params_add_string(params, "idempotencyKey", options->idempotency_key);
	params_add_string(params, "capture", options->merged ? "merged" : NULL);
	add_command(params, options->command);
	add_times(params, options);
	add_secrets(params, options->secrets);
	if (options->stdin_data && options->stdin_fd < 0)
		add_stdin(params, options->stdin_data, options->stdin_size);
	pass_fd(p, params, "stdin", options->stdin_fd);
	pass_fd(p, params, "stdout", options->stdout_fd);
	pass_fd(p, params, "stderr", options->stderr_fd);
	return params_add_env(params, "env", options->env);
}

/* The connection was lost while it ran. Refused with not_found: nobody knows it. */
static int find_again(struct sandboxd_client *c, const char *exec_id, struct json_object **ret,
		      struct sandboxd_error *reterr)
{
	return client_call(c, "exec.wait", exec_params(exec_id), NULL, 0, ret, reterr);
}

static int run_once(struct sandboxd_client *c, struct json_object *params,
		    const struct passed_fds *p, struct json_object **ret,
		    struct sandboxd_error *reterr)
{
	return client_call(c, "exec.run", json_object_get(params), p->fds, p->count, ret, reterr);
}

/* With a key the daemon sees to it that repeating runs nothing twice. */
static int run_again(struct sandboxd_client *c, struct json_object *params,
		     const struct passed_fds *p, struct json_object **ret,
		     struct sandboxd_error *reterr)
{
	const char *exec_id = json_value_string(params, "execId");
	const bool has_key = json_object_object_get_ex(params, "idempotencyKey", NULL);
	int r = -ECONNRESET;

	for (unsigned i = 0; i < RUNS_MAX && r == -ECONNRESET; i++) {
		struct sandboxd_error e = SANDBOXD_ERROR_INIT;

		r = find_again(c, exec_id, ret, &e);
		if (r == SANDBOXD_REFUSED && e.code == CODE_NOT_FOUND) {
			sandboxd_error_clear(&e);
			if (!has_key)
				return -ECONNRESET;
			r = run_once(c, params, p, ret, &e);
		}
		if (r == SANDBOXD_REFUSED && reterr)
			*reterr = e;
		else
			sandboxd_error_clear(&e);
	}
	return r;
}

int sandboxd_exec_run(struct sandboxd_client *c, const struct sandboxd_exec_options *options,
		      struct sandboxd_exec_result **ret, struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *params = json_object_new_object();
	struct json_object *result = NULL;
	struct passed_fds p = { .count = 0 };
	char exec_id[EXEC_ID_SIZE];
	int r = client_make_exec_id(exec_id);

	if (r < 0 || !params)
		return r < 0 ? r : -ENOMEM;
	params_add_string(params, "execId", exec_id);
	r = run_params(options, params, &p);
	if (r < 0)
		return r;
	r = run_once(c, params, &p, &result, reterr);
	if (r == -ECONNRESET)
		r = run_again(c, params, &p, &result, reterr);
	return r == 0 ? result_new(ret, result) : r;
}

int sandboxd_exec_wait(struct sandboxd_client *c, const char *exec_id, int64_t timeout_ms,
		       struct sandboxd_exec_result **ret, struct sandboxd_error *reterr)
{
	struct json_object *params = exec_params(exec_id);
	struct json_object *result = NULL;
	int r;

	if (params && timeout_ms >= 0)
		json_object_object_add(params, "timeoutMs", json_object_new_int64(timeout_ms));
	r = client_call(c, "exec.wait", params, NULL, 0, &result, reterr);
	return r == 0 ? result_new(ret, result) : r;
}

/* Where to go on: behind what was delivered, else where the caller began. */
static void attach_again(struct json_object *params, void *userdata)
{
	const struct exec_progress *progress = userdata;
	struct json_object *from = NULL;

	for (size_t i = 0; i < EXEC_STREAM_MAX; i++) {
		if (!progress->seen[i])
			continue;
		from = json_value_object(params, "from");
		if (!from) {
			from = json_object_new_object();
			json_object_object_add(params, "from", from);
		}
		json_object_object_add(from, exec_stream_names[i],
				       json_object_new_uint64(progress->next[i]));
	}
}

int sandboxd_exec_attach(struct sandboxd_client *c, const char *exec_id, const char *from,
			 struct sandboxd_exec_result **ret, struct sandboxd_error *reterr)
{
	struct exec_progress progress = { .exec_id = exec_id };
	struct client_call call = {
		.method = "exec.attach",
		.params = exec_params(exec_id),
		.again = attach_again,
		.userdata = &progress,
	};
	struct json_object *result = NULL;
	struct json_object *place;
	int r;

	if (call.params && from) {
		place = strcmp(from, "end") == 0 ? json_object_new_string(from)
						 : json_value_parse(from, strlen(from));
		if (!place) {
			json_object_put(call.params);
			return -EINVAL;
		}
		json_object_object_add(call.params, "from", place);
	}
	client_follow(c, &progress);
	r = client_call_with(c, &call, &result, reterr);
	client_follow(c, NULL);
	return r == 0 ? result_new(ret, result) : r;
}

/* Makes *OWNED, a fresh allocation, of what may point into the reply. */
static int own_bytes(const void *data, size_t size, void **owned)
{
	if (*owned)
		return 0;
	*owned = malloc(size ? size : 1);
	if (!*owned)
		return -ENOMEM;
	memcpy(*owned, data, size);
	return 0;
}

static int chunk_from_json(struct json_object *json, uint64_t from, struct sandboxd_chunk *ret)
{
	struct json_object *value = NULL;
	const void *data = "";
	void *owned = NULL;
	size_t size = 0;
	int r;

	if (!json_object_object_get_ex(json, "data", &value))
		return -EBADMSG;
	r = json_value_bytes(value, &data, &size, &owned);
	if (r < 0)
		return r;
	r = own_bytes(data, size, &owned);
	if (r < 0)
		return r;
	*ret = (struct sandboxd_chunk){
		.data = owned,
		.size = size,
		.next = (uint64_t)json_value_int(json, "nextOffset", (int64_t)(from + size)),
		.eof = json_value_bool(json, "eof"),
	};
	return 0;
}

int sandboxd_exec_read(struct sandboxd_client *c, const char *exec_id, const char *stream,
		       uint64_t from, size_t limit, struct sandboxd_chunk *ret,
		       struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *params = exec_params(exec_id);
	int r;

	if (!params)
		return -ENOMEM;
	params_add_string(params, "stream", stream);
	json_object_object_add(params, "from", json_object_new_uint64(from));
	if (limit)
		json_object_object_add(params, "limitBytes", json_object_new_uint64(limit));
	r = client_call(c, "exec.read", params, NULL, 0, &result, reterr);
	return r == 0 ? chunk_from_json(result, from, ret) : r;
}

int sandboxd_exec_write(struct sandboxd_client *c, const char *exec_id, const void *data,
			size_t size, sandboxd_reply_callback *done, void *userdata)
{
	struct json_object *params = exec_params(exec_id);

	if (!params)
		return -ENOMEM;
	json_object_object_add(params, "data", json_value_from_bytes(data, size));
	return client_send(c, "exec.write", params, done, userdata);
}
