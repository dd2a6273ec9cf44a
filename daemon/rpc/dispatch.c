/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: from a line to a handler, in one order for every call: envelope, id, method, available,
 * batch rules, descriptors, parameters. Whatever fails answers with the field's name and goes no
 * further.
 *
 * rpc.discover, rpc.cancel and system.ping are answered here: they need nothing but the tables and
 * the connection. A handler given for one of them is not used. */

#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

#include "bounds.h"
#include "codec.h"
#include "decode.h"
#include "discover.h"
#include "macro.h"
#include "methods.h"
#include "params.h"
#include "rpc/conn.h"
#include "rpc/internal.h"
#include "util/dispose.h"

/* ---- methods of our own ---- */

static void method_system_ping(struct request *r, void *userdata)
{
	(void)userdata;
	request_reply(r, NULL);
}

static void method_rpc_discover(struct request *r, void *userdata)
{
	struct server *s = conn_server(r->conn);
	CLEANUP_ERROR struct error e = { 0 };

	(void)userdata;
	if (!s->discover)
		s->discover = discover_text();
	if (s->discover) {
		request_reply_text(r, s->discover);
		return;
	}
	(void)error_set_errno(&e, ENOMEM, "describing the methods");
	request_fail(r, &e);
}

static bool has_id(const struct request *r, const char *text)
{
	const char *id =
		r->id ? json_object_to_json_string_ext(r->id, JSON_C_TO_STRING_PLAIN) : NULL;

	return id && strcmp(id, text) == 0;
}

static void method_rpc_cancel(struct request *r, void *userdata)
{
	const struct rpc_cancel_params *p = r->params;
	struct request *other;

	(void)userdata;
	LIST_FOREACH (other, &r->conn->requests, link) {
		if (other == r || !has_id(other, p->id_text))
			continue;
		request_tell_cancel(other); /* may end it: the walk stops here */
		break;
	}
	request_reply(r, NULL);
}

static method_handler *own_handler(enum method_id id)
{
	switch ((int)id) {
	case METHOD_RPC_DISCOVER:
		return method_rpc_discover;
	case METHOD_RPC_CANCEL:
		return method_rpc_cancel;
	case METHOD_SYSTEM_PING:
		return method_system_ping;
	default:
		return NULL;
	}
}

/* ---- the gate, step by step; each returns 0, or -1 with an error ---- */

static int check_id(const struct conn *c, struct json_object *id, struct error *reterr)
{
	if (!id || !conn_find_request(c, id))
		return 0;
	return error_set(reterr, ERROR_INVALID_REQUEST, "id", NULL,
			 "a request with this id is in flight");
}

static int find_method(struct request *r, const char *name, struct error *reterr)
{
	r->method = method_by_name(name);
	if (!r->method)
		return error_set(reterr, ERROR_METHOD_NOT_FOUND, "method",
				 "rpc.discover says which there are", "there is no such method");
	if (!(r->method->flags & METHOD_AVAILABLE))
		return error_set(reterr, ERROR_UNAVAILABLE, "method", UNAVAILABLE_HINT,
				 "%s cannot be called yet", r->method->name);
	return 0;
}

static bool is_true(struct json_object *params, const char *key)
{
	struct json_object *value = NULL;

	return json_object_is_type(params, json_type_object) &&
	       json_object_object_get_ex(params, key, &value) &&
	       json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

static int check_batch(const struct request *r, struct json_object *params, struct error *reterr)
{
	const char *name = r->method->name;
	struct json_object *fds = NULL;

	if (!r->batch)
		return 0;
	if (r->method->flags & METHOD_NO_BATCH)
		return error_set(reterr, ERROR_INVALID_REQUEST, NULL, NULL,
				 "%s cannot be called in a batch", name);
	if (!(r->method->flags & METHOD_BATCH_DETACHED))
		return 0;
	if (is_true(params, "stream"))
		return error_set(reterr, ERROR_INVALID_PARAMS, "stream", NULL,
				 "%s cannot stream in a batch", name);
	if (json_object_is_type(params, json_type_object) &&
	    json_object_object_get_ex(params, "fds", &fds) &&
	    !(json_object_is_type(fds, json_type_int) && json_object_get_int64(fds) == 0))
		return error_set(reterr, ERROR_INVALID_PARAMS, "fds", NULL,
				 "%s cannot take descriptors in a batch", name);
	if (!is_true(params, "detach"))
		return error_set(reterr, ERROR_INVALID_PARAMS, "detach", "\"detach\": true",
				 "%s must be detached in a batch", name);
	return 0;
}

/* How many descriptors a call says it uses; nonsense is refused later, by its field. */
static size_t declared_fds(struct json_object *params)
{
	struct json_object *value = NULL;
	int64_t n;

	if (!json_object_is_type(params, json_type_object) ||
	    !json_object_object_get_ex(params, "fds", &value) ||
	    !json_object_is_type(value, json_type_int))
		return 0;
	n = json_object_get_int64(value);
	return n > 0 && n <= RPC_FDS_MAX ? (size_t)n : 0;
}

/* A call takes what it declared even if it is refused for something else: what follows in the queue
 * belongs to later lines. */
static int take_fds(struct request *r, struct json_object *params, struct error *reterr)
{
	size_t n = declared_fds(params);

	if (n == 0)
		return 0;
	r->fds = arena_alloc(&r->arena, n, sizeof(*r->fds));
	if (!r->fds)
		return error_set_errno(reterr, ENOMEM, "taking descriptors");
	if (conn_take_fds(r->conn, r->fds, n) < 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, "fds", NULL,
				 "fewer than %zu descriptors came with the line", n);
	r->fd_count = n;
	return 0;
}

static const char *fd_refused(unsigned index, void *userdata)
{
	const struct request *r = userdata;

	return fd_kind_refused(r->fds[index]);
}

static int decode(struct request *r, struct json_object *params, struct error *reterr)
{
	struct decode_context context = {
		.arena = &r->arena, .fd_count = r->fd_count, .fd_refused = fd_refused, .userdata = r
	};

	return decode_params(r->method, params, &context, &r->params, reterr);
}

static int pass_gate(struct request *r, const struct call *call, struct error *reterr)
{
	CLEANUP_ERROR struct error fds_error = { 0 };
	int taken = take_fds(r, call->params, &fds_error);

	if (find_method(r, call->method, reterr) < 0)
		return -1;
	if (check_batch(r, call->params, reterr) < 0)
		return -1;
	if (taken < 0) {
		error_move(reterr, &fds_error);
		return -1;
	}
	return decode(r, call->params, reterr);
}

static void run_handler(struct request *r)
{
	const struct server_config *config = &conn_server(r->conn)->config;
	enum method_id id = method_id_of(r->method);
	method_handler *handler = own_handler(id);
	CLEANUP_ERROR struct error e = { 0 };

	if (!handler && config->handlers)
		handler = config->handlers[id];
	if (handler) {
		handler(r, config->userdata);
		return;
	}
	(void)error_set(&e, ERROR_UNAVAILABLE, "method", UNAVAILABLE_HINT,
			"%s cannot be called yet", r->method->name);
	request_fail(r, &e);
}

/* An answer to what never became a request. */
static void refuse_call(struct conn *c, struct batch *b, struct json_object *id,
			const struct error *e)
{
	struct buffer *out = b ? batch_begin(b) : conn_begin_line(c);
	int r;

	if (!out)
		return;
	r = codec_add_error(out, id, e);
	if (b)
		batch_commit(b, r);
	else
		conn_commit_line(c, r);
}

/* A call that is no request takes its descriptors along too. */
static void drop_fds(struct conn *c, struct json_object *json)
{
	struct json_object *params = NULL;
	int fds[RPC_FDS_MAX];
	size_t n;

	if (!json_object_is_type(json, json_type_object))
		return;
	(void)json_object_object_get_ex(json, "params", &params);
	n = declared_fds(params);
	if (n == 0 || conn_take_fds(c, fds, n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		(void)dispose_fd(fds[i]);
}

/* One call, alone or of a batch. JSON is borrowed. SEEN_BEFORE: the batch has had its id. */
static void dispatch_call(struct conn *c, struct batch *b, struct json_object *json,
			  bool seen_before)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct request *r;
	struct call call;
	int outcome = codec_call(json, &call, &e);

	if (outcome == 0)
		outcome = check_id(c, call.id, &e);
	if (outcome == 0 && seen_before)
		outcome = error_set(&e, ERROR_INVALID_REQUEST, "id", NULL,
				    "the batch has this id twice");
	if (outcome < 0) {
		drop_fds(c, json);
		refuse_call(c, b, call.id, &e);
		request_wipe_params(json);
		return;
	}
	r = request_new(c, b, json_object_get(json), call.id);
	if (!r) {
		conn_kill(c); /* no memory for an answer either */
		return;
	}
	if (pass_gate(r, &call, &e) < 0)
		request_fail(r, &e);
	else
		run_handler(r);
}

/* ---- batches ---- */

static struct json_object *id_of(struct json_object *call)
{
	struct json_object *id = NULL;

	if (json_object_is_type(call, json_type_object))
		(void)json_object_object_get_ex(call, "id", &id);
	return id;
}

static bool id_seen_before(struct json_object *array, size_t index)
{
	struct json_object *id = id_of(json_object_array_get_idx(array, index));

	for (size_t i = 0; id && i < index; i++) {
		struct json_object *other = id_of(json_object_array_get_idx(array, i));

		if (other && codec_id_equal(id, other))
			return true;
	}
	return false;
}

static void dispatch_batch(struct conn *c, struct json_object *array)
{
	size_t n = json_object_array_length(array);
	CLEANUP_ERROR struct error e = { 0 };
	struct batch *b;

	if (n == 0 || n > RPC_BATCH_MAX) {
		for (size_t i = 0; i < n; i++)
			drop_fds(c, json_object_array_get_idx(array, i));
		(void)error_set(&e, ERROR_INVALID_REQUEST, NULL,
				"system.info.limits has the limits", "a batch has 1 to %d calls",
				RPC_BATCH_MAX);
		refuse_call(c, NULL, NULL, &e);
		return;
	}
	b = batch_new(c);
	if (!b) {
		conn_kill(c);
		return;
	}
	for (size_t i = 0; i < n && !conn_is_dead(c); i++)
		dispatch_call(c, b, json_object_array_get_idx(array, i), id_seen_before(array, i));
	batch_put(b);
}

void dispatch_line(struct conn *c, const char *line, size_t size)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct json_object *json = NULL;
	int r = codec_parse(conn_server(c)->codec, line, size, &json, &e);

	if (r < 0)
		conn_refuse_line(c, &e);
	else if (r > 0 && json_object_is_type(json, json_type_array))
		dispatch_batch(c, json);
	else if (r > 0)
		dispatch_call(c, NULL, json, false);
	json_object_put(json);
}
