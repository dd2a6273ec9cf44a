/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers of exec.*. Those that wait (wait, cancel, write) are a struct waiting, which belongs to
 * its request; run and attach are sessions (exec-stream.c); the rest is answered at once. */

#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "api/exec-stream.h"
#include "api/result.h"
#include "api/values.h"
#include "bounds.h"
#include "codec.h"
#include "macro.h"
#include "params.h"
#include "sandbox/exec.h"
#include "sandbox/journal.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "text.h"
#include "util/pairs.h"
#include "util/strings.h"

#define CHARACTER_BYTES_MAX 4 /* of UTF-8 */

/* The exec that the request means; else the request is failed and NULL returned. */
static struct exec *find_or_fail(struct request *r, struct manager *m, const char *id)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct exec *found = exec_find(m, request_uid(r), id, &e);

	if (!found)
		request_fail(r, &e);
	return found;
}

/* Ends the request with {} or with *E. */
static void answer(struct request *r, int result, struct error *e)
{
	if (result < 0)
		request_fail(r, e);
	else
		request_reply(r, json_object_new_object());
}

/* ---- exec.attach ---- */

void method_exec_attach(struct request *r, void *userdata)
{
	const struct exec_attach_params *p = request_params(r);
	struct manager *m = userdata;
	struct exec_stream_config config = {
		.base = m->base, .send_data = true, .keep = true, .from = &p->from
	};
	struct exec *e = find_or_fail(r, m, p->exec_id);

	if (e)
		exec_stream_begin(r, e, &config);
}

/* ---- those that wait ---- */

struct waiting {
	struct request *request;
	struct exec *exec;
	struct exec_follow *follow;
	struct exec_writer *writer;
	struct event *timer;
	bool wants_result; /* exec.wait; else {} is the answer */
};

static void waiting_free(struct waiting *w)
{
	w->follow = exec_unfollow(w->follow);
	exec_write_forget(w->writer);
	if (w->timer)
		event_free(w->timer);
	(void)exec_unref(w->exec);
	free(w);
}

static void stop_waiting(struct waiting *w, enum error_kind kind, const char *what)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct request *r = w->request;

	(void)error_set(&e, kind, NULL, NULL, "%s", what);
	error_set_resource(&e, "exec %s", exec_facts(w->exec)->id);
	waiting_free(w);
	request_fail(r, &e);
}

static void on_wait_cancel(struct request *r, void *userdata)
{
	(void)r;
	stop_waiting(userdata, ERROR_CANCELLED, "the call was cancelled");
}

static void on_wait_timeout(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	stop_waiting(userdata, ERROR_TIMEOUT, "the command has not ended yet");
}

static void on_wait_ended(struct exec *e, void *userdata)
{
	struct waiting *w = userdata;
	struct request *r = w->request;
	struct json_object *result =
		w->wants_result ? value_exec_result(e, true) : json_object_new_object();

	waiting_free(w);
	request_reply(r, result);
}

static void on_wait_written(int error, void *userdata)
{
	struct waiting *w = userdata;
	struct request *r = w->request;

	w->writer = NULL; /* it is gone with this call */
	if (error < 0) {
		stop_waiting(w, ERROR_INVALID_STATE, "the command's stdin is closed");
		return;
	}
	waiting_free(w);
	request_reply(r, json_object_new_object());
}

static struct waiting *waiting_new(struct request *r, struct exec *e)
{
	static const struct request_watch watch = { on_wait_cancel, on_wait_cancel, NULL };
	CLEANUP_ERROR struct error error = { 0 };
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		(void)error_set_errno(&error, -ENOMEM, "the call cannot wait");
		request_fail(r, &error);
		return NULL;
	}
	w->request = r;
	w->exec = exec_ref(e);
	request_watch(r, &watch, w);
	return w;
}

/* Waits for the end, TIMEOUT_MS at most (-1: as long as it takes). */
static void wait_for_end(struct waiting *w, struct event_base *base, int64_t timeout_ms)
{
	static const struct exec_follower follower = { NULL, NULL, on_wait_ended };
	const struct timeval tv = { .tv_sec = timeout_ms / 1000,
				    .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000 };

	if (exec_follow(w->exec, &follower, w, &w->follow) == 0) {
		if (timeout_ms < 0)
			return;
		w->timer = evtimer_new(base, on_wait_timeout, w);
		if (w->timer && event_add(w->timer, &tv) == 0)
			return;
	}
	stop_waiting(w, ERROR_LIMIT_REACHED, "out of memory");
}

void method_exec_wait(struct request *r, void *userdata)
{
	const struct exec_ref_params *p = request_params(r);
	struct manager *m = userdata;
	int64_t timeout_ms = p->timeout_ms; /* find_or_fail() may end the request */
	struct exec *e = find_or_fail(r, m, p->exec_id);
	struct waiting *w;

	if (!e)
		return;
	if (exec_facts(e)->state == EXEC_STATE_ENDED) {
		request_reply(r, value_exec_result(e, true));
		return;
	}
	w = waiting_new(r, e);
	if (!w)
		return;
	w->wants_result = true;
	wait_for_end(w, m->base, timeout_ms);
}

/* The exec to be cancelled, by id or by key. NULL: the request was answered. */
static struct exec *find_to_cancel(struct request *r, struct manager *m,
				   const struct exec_ref_params *p)
{
	CLEANUP_JOURNAL_ENTRY struct journal_entry entry = { 0 };
	CLEANUP_ERROR struct error error = { 0 };
	struct exec *e;
	int known;

	if ((p->exec_id != NULL) == (p->idempotency_key != NULL)) {
		(void)error_set(&error, ERROR_INVALID_PARAMS, "execId", NULL,
				"either execId or idempotencyKey says what is cancelled");
		request_fail(r, &error);
		return NULL;
	}
	if (p->exec_id)
		return find_or_fail(r, m, p->exec_id);
	known = journal_find(m, request_uid(r), p->idempotency_key, &entry, &error);
	e = known > 0 && entry.exec ? exec_of_key(m, entry.exec) : NULL;
	if (known > 0 && !e && entry.done) {
		request_reply(r, json_object_new_object()); /* it has ended */
		return NULL;
	}
	if (known >= 0 && !e)
		(void)error_set(&error, ERROR_NOT_FOUND, "idempotencyKey", NULL,
				"there is no command with the key %s", p->idempotency_key);
	if (!e)
		request_fail(r, &error);
	return e;
}

void method_exec_cancel(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct manager *m = userdata;
	struct exec *e = find_to_cancel(r, m, request_params(r));
	struct waiting *w;

	if (!e)
		return;
	if (exec_facts(e)->state == EXEC_STATE_ENDED) {
		request_reply(r, json_object_new_object());
		return;
	}
	if (exec_cancel(e, &error) < 0) {
		request_fail(r, &error);
		return;
	}
	w = waiting_new(r, e);
	if (w)
		wait_for_end(w, m->base, -1);
}

void method_exec_write(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	const struct exec_write_params *p = request_params(r);
	struct exec *e = find_or_fail(r, userdata, p->exec_id);
	struct waiting *w;
	int result;

	if (!e)
		return;
	w = waiting_new(r, e);
	if (!w)
		return;
	result = exec_write(e, &p->data, on_wait_written, w, &w->writer, &error);
	if (result == 0)
		return; /* on_wait_written() answers */
	waiting_free(w);
	answer(r, result, &error);
}

/* ---- answered at once ---- */

void method_exec_get(struct request *r, void *userdata)
{
	const struct exec_ref_params *p = request_params(r);
	struct exec *e = find_or_fail(r, userdata, p->exec_id);

	if (e)
		request_reply(r, value_exec(e, true));
}

void method_exec_close_stdin(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	const struct exec_ref_params *p = request_params(r);
	struct exec *e = find_or_fail(r, userdata, p->exec_id);

	if (e)
		answer(r, exec_close_stdin(e, &error), &error);
}

void method_exec_resize(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	const struct exec_resize_params *p = request_params(r);
	struct exec *e = find_or_fail(r, userdata, p->exec_id);

	if (e)
		answer(r, exec_resize(e, (uint16_t)p->rows, (uint16_t)p->cols, &error), &error);
}

void method_exec_signal(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	const struct exec_signal_params *p = request_params(r);
	struct exec *e = find_or_fail(r, userdata, p->exec_id);

	if (e)
		answer(r, exec_signal(e, p->signal, &error), &error);
}

/* ---- exec.list ---- */

struct listing {
	const struct list_params *params;
	const struct sandbox *sandbox; /* NULL: any */
	struct json_object *list;
	int64_t left;
};

static bool matches(const struct exec *e, const struct listing *l)
{
	const struct filter_params *f = &l->params->filter;
	const struct sandbox *s = exec_sandbox(e);

	if (l->sandbox && l->sandbox != s)
		return false;
	if (f->state && !string_equal(f->state, exec_state_to_string(exec_facts(e)->state)))
		return false;
	if (f->tool && !string_equal(f->tool, sandbox_facts(s)->tool))
		return false;
	if (f->loop_id && !string_equal(f->loop_id, sandbox_facts(s)->loop_id))
		return false;
	return pairs_include(&sandbox_facts(s)->labels, &f->labels);
}

static bool list_one(struct exec *e, void *userdata)
{
	struct listing *l = userdata;

	if (!matches(e, l))
		return true;
	(void)json_object_array_add(l->list, value_exec(e, false)); /* out of memory: shorter */
	return --l->left > 0;
}

void method_exec_list(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct manager *m = userdata;
	struct listing l = { .params = request_params(r) };
	struct json_object *result;

	l.left = l.params->limit > 0 ? l.params->limit : LIST_LIMIT_DEFAULT;
	if (l.params->filter.sandbox) {
		l.sandbox = sandbox_find(m, request_uid(r), l.params->filter.sandbox, &error);
		if (!l.sandbox) {
			request_fail(r, &error);
			return;
		}
	}
	l.list = json_object_new_array();
	if (!l.list ||
	    exec_table_each(m, request_uid(r), l.params->after, list_one, &l, &error) < 0) {
		json_object_put(l.list);
		if (error.kind == ERROR_NONE)
			(void)error_set_errno(&error, -ENOMEM, "the list cannot be made");
		request_fail(r, &error);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(result, "execs", l.list);
	request_reply(r, result);
}

/* ---- exec.read ---- */

static int check_spooled(const struct exec *e, enum stream_name stream, struct error *reterr)
{
	const struct exec_facts *f = exec_facts(e);
	const bool spooled = (f->streams & (1u << stream)) != 0;

	if (spooled && !f->spool_dropped)
		return 0;
	if (spooled) {
		(void)error_set(reterr, ERROR_INVALID_STATE, "execId",
				"read it sooner, or raise [limits] spool_max",
				"its output was dropped to make room for that of later commands");
		error_set_resource(reterr, "exec %s", f->id);
		return -1;
	}
	(void)error_set(reterr, ERROR_INVALID_STATE, "stream", NULL,
			(f->passed & (1u << stream)) != 0
				? "its %s went to the caller's own descriptor and is not stored"
				: "its %s was not captured",
			stream_to_string(stream));
	error_set_resource(reterr, "exec %s", f->id);
	return -1;
}

static struct json_object *chunk(const void *data, size_t size, uint64_t next, bool eof)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	json_object_object_add(o, "data", codec_text(data, size));
	value_add_int(o, "nextOffset", (int64_t)next);
	json_object_object_add(o, "eof", json_object_new_boolean(eof));
	return o;
}

static int cannot_read(int error_number, const struct exec *e, struct error *reterr)
{
	(void)error_set_errno(reterr, error_number, "its output cannot be read now");
	error_set_resource(reterr, "exec %s", exec_facts(e)->id);
	return -1;
}

static int read_chunk(const struct exec *e, const struct exec_read_params *p,
		      struct json_object **ret, struct error *reterr)
{
	const struct keeper_stream_state *s = &exec_facts(e)->stream[p->stream];
	bool ended = exec_facts(e)->state == EXEC_STATE_ENDED || s->eof != 0;
	CLEANUP_FD int fd = exec_open_spool(e, (enum keeper_spool_stream)p->stream);
	CLEANUP_STR char *data = NULL;
	uint64_t from = (uint64_t)p->from < s->start ? s->start : (uint64_t)p->from;
	size_t size, whole;
	ssize_t n;

	if (from >= s->end) {
		*ret = chunk("", 0, from, ended);
		return 0;
	}
	if (fd < 0 && error_is_shortage(-fd))
		return cannot_read(fd, e, reterr);
	/* a limit within a character would never be passed */
	size = p->limit_bytes < CHARACTER_BYTES_MAX ? CHARACTER_BYTES_MAX : (size_t)p->limit_bytes;
	if (size > s->end - from)
		size = (size_t)(s->end - from);
	data = malloc(size);
	if (!data)
		return cannot_read(-ENOMEM, e, reterr);
	n = fd >= 0 ? pread(fd, data, size, (off_t)from) : -1;
	size = n > 0 ? (size_t)n : 0;
	whole = ended && from + size == s->end ? size : utf8_complete_prefix(data, size);
	*ret = n > 0 ? chunk(data, whole, from + whole, ended && from + whole == s->end)
		     : chunk("", 0, ended ? s->end : from, ended);
	return 0;
}

void method_exec_read(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	const struct exec_read_params *p = request_params(r);
	struct exec *e = find_or_fail(r, userdata, p->exec_id);
	struct json_object *result = NULL;

	if (!e)
		return;
	if (check_spooled(e, p->stream, &error) < 0 || read_chunk(e, p, &result, &error) < 0)
		request_fail(r, &error);
	else
		request_reply(r, result);
}
