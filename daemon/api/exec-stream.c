/* SPDX-License-Identifier: Apache-2.0 */
/* A session belongs to its request and is freed with it. It hears from two sides: the exec (more in
 * the spool, ended) and the connection (room again, cancelled, gone). Whatever happens, pump() is
 * called and looks at what there is: it sends while the client takes it, chunk by chunk and stream
 * by stream, and when the exec has ended and everything was sent, the result is the answer.
 *
 * A reader as fast as we are would hold the loop for the whole spool: after PUMP_CHUNKS the session
 * queues itself behind the others. */

#include "api/exec-stream.h"

#include <errno.h>
#include <event2/event.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/result.h"
#include "api/values.h"
#include "codec.h"
#include "error.h"
#include "macro.h"
#include "rpc/request.h"
#include "sandbox/exec.h"
#include "text.h"

#define CHUNK_SIZE (64u * 1024)
#define PUMP_CHUNKS 16
#define SHORTAGE_MS 100 /* between attempts to open a spool when descriptors have run out */

struct cursor {
	int fd; /* -1: not opened yet */
	uint64_t offset;
};

struct session {
	struct request *request;
	struct exec *exec;
	struct exec_follow *follow;
	struct event *again;
	bool is_run;
	bool joins;
	bool send_data;
	bool detach;
	bool keep;
	bool started; /* exec.started was sent */
	bool cancelled;
	bool holds; /* the spool keeps what was not sent yet */
	struct cursor cursors[KEEPER_STREAM_MAX];
	uint64_t sent;   /* since the spool was told last */
	uint8_t *buffer; /* CHUNK_SIZE */
	void (*done)(struct request *r, struct error *e, void *userdata);
	void *userdata;
};

/* Tells the spool what may go. */
static void hold(struct session *s)
{
	uint64_t offset[KEEPER_STREAM_MAX];
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		offset[i] = s->cursors[i].offset;
	exec_hold(s->exec, offset);
	s->holds = true;
	s->sent = 0;
}

static void session_free(struct session *s)
{
	size_t i;

	if (s->holds)
		exec_hold(s->exec, NULL);

	s->follow = exec_unfollow(s->follow);
	if (s->again)
		event_free(s->again);
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		s->cursors[i].fd = close_fd(s->cursors[i].fd);
	free(s->buffer);
	(void)exec_unref(s->exec);
	free(s);
}

static void finish_otherwise(struct session *s, struct error *e)
{
	static const struct request_watch none = { 0 };
	void (*done)(struct request * r, struct error * e, void *userdata) = s->done;
	void *userdata = s->userdata;
	struct request *r = s->request;

	session_free(s);
	if (done) {
		request_watch(r, &none, NULL);
		done(r, e, userdata);
	} else {
		request_fail(r, e);
	}
}

static void finish_cancelled(struct session *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	error_set_resource(&e, "exec %s", exec_facts(s->exec)->id);
	finish_otherwise(s, &e);
}

/* The same call again may do better. */
static void finish_unlent(struct session *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set(&e, ERROR_INVALID_STATE, "secrets", "the same again",
			"a lease ended before the command began");
	finish_otherwise(s, &e);
}

static void finish(struct session *s, struct json_object *result)
{
	struct request *r = s->request;

	session_free(s);
	request_reply(r, result);
}

static void hand_over(struct session *s)
{
	CLEANUP_ERROR struct error none = { 0 };

	finish_otherwise(s, &none);
}

static void send_started(struct session *s)
{
	struct json_object *params;

	if (s->started)
		return;
	s->started = true;
	params = value_exec_started(s->exec);
	if (params)
		json_object_object_add(params, "requestId",
				       json_object_get(request_id(s->request)));
	request_notify(s->request, "exec.started", params);
}

static void send_data(struct session *s, unsigned stream, uint64_t offset, size_t size)
{
	struct json_object *params = json_object_new_object();

	if (params) {
		value_add_string(params, "execId", exec_facts(s->exec)->id);
		value_add_string(params, "stream", stream_to_string(stream));
		value_add_int(params, "offset", (int64_t)offset);
		json_object_object_add(params, "data", codec_text(s->buffer, size));
	}
	request_notify(s->request, "exec.data", params);
}

/* Reads the next piece of STREAM into the buffer. Returns its size, 0 when there is none now, or
 * negative errno. */
static ssize_t read_chunk(struct session *s, unsigned stream, struct cursor *c)
{
	const struct keeper_stream_state *state = &exec_facts(s->exec)->stream[stream];
	uint64_t there;
	size_t size;
	ssize_t n;

	if (c->offset < state->start)
		c->offset = state->start; /* the oldest bytes are gone */
	if (c->offset >= state->end)
		return 0;
	if (c->fd < 0)
		c->fd = exec_open_spool(s->exec, (enum keeper_spool_stream)stream);
	if (c->fd < 0) {
		n = c->fd;
		c->fd = -1; /* no file yet, or it cannot be had: tried again with the next news */
		return n;
	}
	there = state->end - c->offset;
	size = there < CHUNK_SIZE ? (size_t)there : CHUNK_SIZE;
	do
		n = pread(c->fd, s->buffer, size, (off_t)c->offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* There is no news that descriptors are to be had again. */
static void try_later(struct session *s)
{
	const struct timeval tv = { .tv_usec = SHORTAGE_MS * 1000 };

	(void)event_add(s->again, &tv); /* else with the next news, if there is any */
}

/* Sends the next piece of STREAM. Returns false when there is none now. */
static bool pump_stream(struct session *s, unsigned stream)
{
	const struct exec_facts *f = exec_facts(s->exec);
	struct cursor *c = &s->cursors[stream];
	bool ended = f->state == EXEC_STATE_ENDED;
	size_t size, whole;
	ssize_t n;

	if ((f->streams & (1u << stream)) == 0)
		return false;
	n = read_chunk(s, stream, c);
	size = n > 0 ? (size_t)n : 0;
	if (size == 0) {
		if (error_is_shortage((int)-n))
			try_later(s);
		else if (ended)
			c->offset = UINT64_MAX; /* a file shorter than it was said to be */
		return false;
	}
	whole = utf8_complete_prefix(s->buffer, size);
	if (ended && c->offset + size == f->stream[stream].end)
		whole = size; /* the stream ends there */
	if (whole == 0)
		return false;
	send_data(s, stream, c->offset, whole);
	c->offset += whole;
	s->sent += whole;
	if (s->holds && s->sent >= exec_facts(s->exec)->spool_max / 4)
		hold(s);
	return true;
}

static bool all_sent(const struct session *s)
{
	const struct exec_facts *f = exec_facts(s->exec);
	unsigned i;

	for (i = 0; s->send_data && i < KEEPER_STREAM_MAX; i++)
		if ((f->streams & (1u << i)) != 0 && s->cursors[i].offset < f->stream[i].end)
			return false;
	return true;
}

static void pump(struct session *s)
{
	unsigned stream, chunks = 0;
	bool more = s->send_data && !s->cancelled;

	if (!s->started)
		return; /* the spool may tell of output before init tells of the start */
	if (s->detach) {
		finish(s, value_exec(s->exec, true));
		return;
	}
	while (more && request_writable(s->request)) {
		if (chunks >= PUMP_CHUNKS) {
			event_active(s->again, 0, 0);
			return;
		}
		more = false;
		for (stream = 0; stream < KEEPER_STREAM_MAX; stream++) {
			if (pump_stream(s, stream)) {
				more = true;
				chunks++;
			}
		}
	}
	if (exec_facts(s->exec)->state != EXEC_STATE_ENDED)
		return;
	if (s->cancelled)
		finish_cancelled(s);
	else if (all_sent(s) && s->done)
		hand_over(s);
	else if (all_sent(s))
		finish(s, value_exec_result(s->exec, true));
}

static void on_again(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	pump(userdata);
}

/* ---- the exec's side ---- */

static void on_started(struct exec *e, void *userdata)
{
	struct session *s = userdata;

	send_started(s);
	if (s->detach) {
		finish(s, value_exec(e, true));
		return;
	}
	if (s->is_run && !s->joins && s->send_data && exec_facts(e)->tty)
		hold(s); /* a terminal's spool is opened only now */
	pump(s);
}

static void on_output(struct exec *e, void *userdata)
{
	struct session *s = userdata;

	(void)e;
	if (s->send_data)
		pump(s);
}

static void on_ended(struct exec *e, void *userdata)
{
	struct session *s = userdata;

	if (s->is_run && !s->cancelled && exec_never_ran(e) &&
	    exec_facts(e)->result.cause == EXEC_CAUSE_LEASE_REVOKED) {
		finish_unlent(s);
		return;
	}
	send_started(s);
	if (s->detach && s->cancelled)
		finish_cancelled(s);
	else if (s->detach)
		finish(s, value_exec(e, true));
	else
		pump(s);
}

/* ---- the connection's side ---- */

static void on_cancel(struct request *r, void *userdata)
{
	struct session *s = userdata;

	(void)r;
	if (!s->is_run || exec_facts(s->exec)->state == EXEC_STATE_ENDED) {
		finish_cancelled(s);
		return;
	}
	s->cancelled = true;
	exec_end(s->exec, EXEC_CAUSE_CANCELLED); /* on_ended() answers when all are dead */
}

static void on_disconnect(struct request *r, void *userdata)
{
	struct session *s = userdata;

	(void)r;
	/* a restart of the daemon is no disconnect */
	if (s->is_run && !s->keep && !exec_is_stopping(s->exec))
		exec_end(s->exec, EXEC_CAUSE_CANCELLED);
	finish_cancelled(s); /* nobody hears it */
}

static void on_drain(struct request *r, void *userdata)
{
	(void)r;
	pump(userdata);
}

static void place_cursors(struct session *s, const struct offsets_params *from)
{
	const struct exec_facts *f = exec_facts(s->exec);
	size_t i;

	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		s->cursors[i].fd = -1;
		if (from && from->end)
			s->cursors[i].offset = f->stream[i].end;
		else if (from && from->offset[i] > 0)
			s->cursors[i].offset = (uint64_t)from->offset[i];
	}
}

static int prepare(struct session *s, const struct exec_stream_config *config)
{
	static const struct exec_follower follower = { on_started, on_output, on_ended };

	s->again = event_new(config->base, -1, 0, on_again, s);
	if (s->send_data)
		s->buffer = malloc(CHUNK_SIZE);
	if (!s->again || (s->send_data && !s->buffer))
		return -ENOMEM;
	return exec_follow(s->exec, &follower, s, &s->follow);
}

void exec_stream_begin(struct request *r, struct exec *e, const struct exec_stream_config *config)
{
	static const struct request_watch watch = { on_cancel, on_disconnect, on_drain };
	CLEANUP_ERROR struct error error = { 0 };
	struct session *s = calloc(1, sizeof(*s));
	int result = -ENOMEM;

	if (s) {
		s->request = r;
		s->exec = exec_ref(e);
		s->is_run = config->is_run;
		s->joins = config->joins;
		s->send_data = config->send_data;
		s->detach = config->detach;
		s->keep = config->keep;
		s->done = config->done;
		s->userdata = config->userdata;
		place_cursors(s, config->from);
		result = prepare(s, config);
	}
	if (result < 0) {
		if (config->is_run && !config->joins)
			exec_end(e, EXEC_CAUSE_CANCELLED);
		(void)error_set_errno(&error, result, "the exec cannot be followed");
		if (s)
			finish_otherwise(s, &error);
		else if (config->done)
			config->done(r, &error, config->userdata);
		else
			request_fail(r, &error);
		return;
	}
	request_watch(r, &watch, s);
	if (s->is_run && !s->joins && s->send_data)
		hold(s); /* who attaches later sees what is kept and stops nobody */
	if (exec_facts(e)->state != EXEC_STATE_STARTING)
		send_started(s);
	if (!config->is_run || config->joins) /* what is there already; a run has nothing yet, and
				tells of its end itself */
		event_active(s->again, 0, 0);
}
