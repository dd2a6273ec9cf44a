/* SPDX-License-Identifier: Apache-2.0 */
/* A request belongs to the gate until its handler gets it, and to the handler until it is ended.
 * It holds a reference to its connection (never the other way round), to the JSON that its
 * parameters point into, and the descriptors that nobody took. */

#include "rpc/request.h"

#include <json-c/json.h>
#include <stdlib.h>

#include "codec.h"
#include "macro.h"
#include "rpc/conn.h"
#include "rpc/internal.h"
#include "util/dispose.h"

struct request *request_new(struct conn *c, struct batch *b, struct json_object *call_json,
			    struct json_object *id)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r) {
		json_object_put(call_json);
		return NULL;
	}
	r->conn = conn_ref(c);
	r->batch = b ? batch_get(b) : NULL;
	r->json = call_json;
	r->id = id;
	conn_add_request(c, r);
	return r;
}

/* What a client sends may be a secret. The id stays: a batch looks for its like. */
void request_wipe_params(struct json_object *call_json)
{
	struct json_object *params = NULL;

	if (json_object_is_type(call_json, json_type_object) &&
	    json_object_object_get_ex(call_json, "params", &params))
		codec_wipe(params);
}

/* The batch comes before the connection: it sends through it. */
static void end(struct request *r)
{
	for (size_t i = 0; i < r->fd_count; i++)
		(void)dispose_fd(r->fds[i]);
	conn_remove_request(r->conn, r);
	if (r->batch)
		batch_put(r->batch);
	arena_deinit(&r->arena);
	request_wipe_params(r->json);
	json_object_put(r->json);
	conn_unref(r->conn);
	free(r);
}

static struct buffer *begin_answer(struct request *r)
{
	if (!r->id)
		return NULL; /* a notification is not answered, whatever came of it */
	return r->batch ? batch_begin(r->batch) : conn_begin_line(r->conn);
}

static void commit_answer(struct request *r, int outcome)
{
	if (r->batch)
		batch_commit(r->batch, outcome);
	else
		conn_commit_line(r->conn, outcome);
}

void request_reply(struct request *r, struct json_object *result)
{
	struct buffer *out = begin_answer(r);

	if (out)
		commit_answer(r, codec_add_result(out, r->id, result));
	json_object_put(result);
	end(r);
}

void request_reply_secret(struct request *r, struct json_object *result, const char *name,
			  const void *data, size_t size)
{
	struct buffer *out = begin_answer(r);

	if (out)
		commit_answer(r, codec_add_secret_result(out, r->id, result, name, data, size));
	json_object_put(result);
	end(r);
}

void request_reply_text(struct request *r, const char *result)
{
	struct buffer *out = begin_answer(r);

	if (out)
		commit_answer(r, codec_add_result_text(out, r->id, result));
	end(r);
}

void request_fail(struct request *r, struct error *e)
{
	struct buffer *out = begin_answer(r);

	if (out)
		commit_answer(r, codec_add_error(out, r->id, e));
	error_clear(e);
	end(r);
}

void request_notify(struct request *r, const char *method, struct json_object *params)
{
	struct buffer *out = conn_begin_line(r->conn);

	if (out)
		conn_commit_line(r->conn, codec_add_notification(out, method, params));
	json_object_put(params);
}

/* ---- facts ---- */

const void *request_params(const struct request *r)
{
	return r->params;
}

uid_t request_uid(const struct request *r)
{
	return conn_uid(r->conn);
}

pid_t request_pid(const struct request *r)
{
	return conn_pid(r->conn);
}

struct json_object *request_id(const struct request *r)
{
	return r->id;
}

int request_take_fd(struct request *r, unsigned index)
{
	return index < r->fd_count ? TAKE_FD(r->fds[index]) : -1;
}

size_t request_fd_count(const struct request *r)
{
	return r->fd_count;
}

bool request_writable(const struct request *r)
{
	return conn_is_dead(r->conn) || !conn_is_congested(r->conn);
}

/* ---- watches ---- */

void request_watch(struct request *r, const struct request_watch *watch, void *userdata)
{
	r->watch = *watch;
	r->watch_userdata = userdata;
	if (watch->on_disconnect && !r->told_disconnect && conn_is_dead(r->conn))
		conn_tell_later(r->conn);
}

void request_tell_disconnect(struct request *r)
{
	if (r->told_disconnect || !r->watch.on_disconnect)
		return;
	r->told_disconnect = true;
	r->watch.on_disconnect(r, r->watch_userdata);
}

void request_tell_drain(struct request *r)
{
	if (r->watch.on_drain)
		r->watch.on_drain(r, r->watch_userdata);
}

void request_tell_cancel(struct request *r)
{
	if (r->cancelled || !r->watch.on_cancel)
		return;
	r->cancelled = true;
	r->watch.on_cancel(r, r->watch_userdata);
}
