/* SPDX-License-Identifier: Apache-2.0 */
/* A connection, its requests in flight and what comes back.
 *
 * Everything arrives through sandboxd_dispatch(): it takes complete lines and hands each to the
 * callback that waits for it. A blocking call is a request whose callback notes the reply, and a
 * loop around dispatch. When the connection ends, every request in flight is answered with the
 * errno, once, and the errno sticks.
 *
 * A failed send does not end the connection by itself: the daemon may have said why before it
 * closed, and that line is still to be read.
 *
 * A blocking call may live longer than the connection: a daemon that restarts is back soon, and
 * knows its commands. Only here the client connects by itself, because only here nobody else
 * decides what becomes of the requests that were in flight. */

#include "sandboxd/client.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bounds.h"
#include "call.h"
#include "clock.h"
#include "json-value.h"
#include "line-reader.h"
#include "macro.h"
#include "notification.h"
#include "send-queue.h"
#include "socket.h"

#define READ_SIZE 4096
#define RECONNECT_STEP_MS 20
/* A connection that lasted so long is no daemon that dies of our request. */
#define STABLE_MS 1000

/* How a request's end is told: in text to the user's callback, or in JSON to a typed function. */
struct outcome {
	int status;
	struct json_object *result;         /* borrowed */
	const struct sandboxd_error *error; /* when refused */
};
typedef void outcome_callback(const struct outcome *outcome, void *userdata);

struct pending {
	struct pending *next;
	uint64_t id;
	outcome_callback *on_outcome; /* or: */
	sandboxd_reply_callback *on_reply;
	void *userdata;
};

struct sandboxd_client {
	int fd;
	int error;       /* sticky, negative errno: the connection is over */
	bool send_ended; /* nothing more can be sent, but there may be something to read */
	bool unread;     /* it ended before the daemon had read the last of what we sent */
	bool dispatching;
	uint64_t last_id;
	uint64_t last_sent; /* the id of the last message; 0: a notification */
	size_t n_pending;
	struct pending *pending;
	struct pending **pending_tail;
	struct send_queue output;
	struct line_reader input;
	struct sandboxd_callbacks callbacks;
	void *callbacks_userdata;
	struct exec_progress *follow; /* of the exec.attach that is waited for, or NULL */
	int reconnect_ms;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* ---- what comes in ---- */

static void finish(struct sandboxd_client *c, const struct pending *p,
		   const struct outcome *outcome)
{
	struct sandboxd_reply reply = { p->id, outcome->status, NULL, 0, outcome->error };

	if (p->on_outcome) {
		p->on_outcome(outcome, p->userdata);
		return;
	}
	if (!p->on_reply)
		return;
	if (outcome->status == 0) {
		reply.result =
			json_object_to_json_string_length(outcome->result,
							  JSON_C_TO_STRING_PLAIN |
								  JSON_C_TO_STRING_NOSLASHESCAPE,
							  &reply.result_size);
		if (!reply.result)
			reply.status = -ENOMEM;
	}
	p->on_reply(c, &reply, p->userdata);
}

static struct pending *take_pending(struct sandboxd_client *c, uint64_t id)
{
	for (struct pending **at = &c->pending; *at; at = &(*at)->next) {
		struct pending *p = *at;

		if (p->id != id)
			continue;
		*at = p->next;
		if (c->pending_tail == &p->next)
			c->pending_tail = at;
		c->n_pending--;
		return p;
	}
	return NULL;
}

/* Answers everything in flight. Callbacks may try to send again: they are told c->error, or their
 * request comes behind those of now. */
static void finish_all(struct sandboxd_client *c, const struct outcome *outcome)
{
	for (size_t n = c->n_pending; n > 0 && c->pending; n--) {
		struct pending *p = take_pending(c, c->pending->id);

		finish(c, p, outcome);
		free(p);
	}
}

static int connection_over(struct sandboxd_client *c, int error)
{
	struct outcome outcome = { .status = error };

	c->error = error;
	send_queue_deinit(&c->output);
	finish_all(c, &outcome);
	return error;
}

/* Status and error of a reply. Returns 0 or -EBADMSG, -ENOMEM. */
static int read_outcome(struct json_object *message, struct outcome *outcome,
			struct sandboxd_error *error)
{
	struct json_object *refusal = json_value_object(message, "error");

	*outcome = (struct outcome){ .error = error };
	if (refusal) {
		outcome->status = SANDBOXD_REFUSED;
		return json_value_error(refusal, error);
	}
	return json_object_object_get_ex(message, "result", &outcome->result) ? 0 : -EBADMSG;
}

static int handle_reply(struct sandboxd_client *c, struct json_object *message,
			struct json_object *id)
{
	CLEANUP(sandboxd_error_clear) struct sandboxd_error error = SANDBOXD_ERROR_INIT;
	struct outcome outcome;
	struct pending *p;
	int r = read_outcome(message, &outcome, &error);

	if (r < 0)
		return r;
	if (!id) {
		/* not about one request: who we are, or a line that it could not read */
		if (outcome.status != SANDBOXD_REFUSED)
			return -EBADMSG;
		finish_all(c, &outcome);
		return 0;
	}
	if (!json_object_is_type(id, json_type_int))
		return -EBADMSG;
	p = take_pending(c, json_object_get_uint64(id));
	if (!p)
		return -EBADMSG;
	finish(c, p, &outcome);
	free(p);
	return 0;
}

static int handle_line(struct sandboxd_client *c, const char *line, size_t size)
{
	CLEANUP_JSON struct json_object *message = json_value_parse(line, size);
	struct json_object *id = NULL;
	const char *method = json_value_string(message, "method");

	if (!json_object_is_type(message, json_type_object))
		return -EBADMSG;
	if (method) {
		const struct notification_target target = { c, &c->callbacks, c->callbacks_userdata,
							    c->follow };

		notification_deliver(&target, method, json_value_object(message, "params"));
		return 0;
	}
	if (!json_object_object_get_ex(message, "id", &id))
		return -EBADMSG;
	return handle_reply(c, message, id);
}

static int handle_lines(struct sandboxd_client *c)
{
	size_t size;
	char *line;
	int n = 0;

	while ((line = line_reader_next(&c->input, &size))) {
		int r = handle_line(c, line, size);

		if (r < 0)
			return r;
		n++;
	}
	return n;
}

/* Waits until TIMEOUT_MS for something to do. Returns 1 when there may be something to read, 0, or
 * negative errno. */
static int wait_readable(struct sandboxd_client *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = sandboxd_get_events(c) };
	int r = poll(&p, 1, timeout_ms);

	if (r < 0)
		return -errno;
	if (p.revents & POLLOUT) {
		r = send_queue_flush(&c->output, c->fd);
		if (r < 0) {
			c->send_ended = true;
			send_queue_deinit(&c->output);
		}
	}
	return (p.revents & (POLLIN | POLLHUP | POLLERR)) != 0;
}

/* Reads once. Returns how much, 0 when there is nothing, negative errno at the end. */
static long read_input(struct sandboxd_client *c, int flags)
{
	char *space;
	long n = line_reader_space(&c->input, READ_SIZE, &space);

	if (n < 0)
		return n;
	n = recv(c->fd, space, (size_t)n, flags);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && errno == EINTR)
		return -EINTR;
	/* a peer that closed with something unread resets: after its last reply that is its end */
	c->unread = n < 0 && errno == ECONNRESET;
	if (n <= 0)
		return -ECONNRESET;
	line_reader_filled(&c->input, (size_t)n);
	return n;
}

static int dispatch(struct sandboxd_client *c, int timeout_ms)
{
	/* the usual wait, for one reply and with all sent, is one recv without poll */
	bool block = timeout_ms < 0 && send_queue_is_empty(&c->output);
	long n;
	int r;

	if (!block && (timeout_ms != 0 || !send_queue_is_empty(&c->output))) {
		r = wait_readable(c, timeout_ms);
		if (r <= 0)
			return r;
	}
	n = read_input(c, block ? 0 : MSG_DONTWAIT);
	if (n == -EINTR || n == 0)
		return (int)n;
	if (n < 0)
		return connection_over(c, (int)n);
	r = handle_lines(c);
	return r < 0 ? connection_over(c, r) : r;
}

int sandboxd_dispatch(struct sandboxd_client *c, int timeout_ms)
{
	int r;

	if (c->dispatching)
		return -EDEADLK;
	if (c->error)
		return c->error;
	c->dispatching = true;
	r = dispatch(c, timeout_ms);
	c->dispatching = false;
	return r;
}

int sandboxd_get_fd(const struct sandboxd_client *c)
{
	return c->fd;
}

short sandboxd_get_events(const struct sandboxd_client *c)
{
	return send_queue_is_empty(&c->output) ? POLLIN : POLLIN | POLLOUT;
}

size_t sandboxd_in_flight(const struct sandboxd_client *c)
{
	return c->n_pending;
}

void sandboxd_set_callbacks(struct sandboxd_client *c, const struct sandboxd_callbacks *callbacks,
			    void *userdata)
{
	c->callbacks =
		callbacks ? *callbacks : (struct sandboxd_callbacks){ NULL, NULL, NULL, NULL };
	c->callbacks_userdata = userdata;
}

/* ---- connection ---- */

int sandboxd_connect_fd(struct sandboxd_client **ret, int fd)
{
	struct sandboxd_client *c = calloc(1, sizeof *c);

	if (!c) {
		close_fd(fd);
		return -ENOMEM;
	}
	c->fd = fd;
	c->pending_tail = &c->pending;
	c->reconnect_ms = SANDBOXD_RECONNECT_MS;
	send_queue_init(&c->output);
	*ret = c;
	return 0;
}

int sandboxd_connect(struct sandboxd_client **ret, const char *path)
{
	char found[sizeof(((struct sandboxd_client *)NULL)->path)];
	int fd = socket_connect(path, found, sizeof found);
	int r;

	if (fd < 0)
		return fd;
	r = sandboxd_connect_fd(ret, fd);
	if (r < 0)
		return r;
	memcpy((*ret)->path, found, sizeof found);
	return 0;
}

struct sandboxd_client *sandboxd_client_free(struct sandboxd_client *c)
{
	if (!c)
		return NULL;
	while (c->pending)
		free(take_pending(c, c->pending->id));
	send_queue_deinit(&c->output);
	line_reader_deinit(&c->input);
	close_fd(c->fd);
	free(c);
	return NULL;
}

const char *sandboxd_client_path(const struct sandboxd_client *c)
{
	return c->path;
}

void sandboxd_set_reconnect(struct sandboxd_client *c, int timeout_ms)
{
	c->reconnect_ms = timeout_ms;
}

/* FD takes the place of a connection that is over: nothing is in flight or unsent any more. */
static void start_over(struct sandboxd_client *c, int fd)
{
	line_reader_deinit(&c->input);
	close_fd(c->fd);
	c->fd = fd;
	c->error = 0;
	c->send_ended = c->unread = false;
}

int sandboxd_reconnect(struct sandboxd_client *c, int timeout_ms)
{
	const int64_t deadline = clock_now_ms() + timeout_ms;
	char found[sizeof c->path];
	int64_t left;
	int fd;

	if (c->dispatching)
		return -EDEADLK;
	if (!c->error || c->path[0] == '\0')
		return c->error;
	while ((fd = socket_connect(c->path, found, sizeof found)) < 0) {
		left = deadline - clock_now_ms();
		if ((fd != -ENOENT && fd != -ECONNREFUSED) || left <= 0)
			return fd;
		/* nothing tells that somebody listens now */
		(void)poll(NULL, 0, (int)(left < RECONNECT_STEP_MS ? left : RECONNECT_STEP_MS));
	}
	start_over(c, fd);
	return 0;
}

/* ---- what goes out ---- */

/* One line; ID 0: a notification. */
static int send_message(struct sandboxd_client *c, const char *method, struct json_object *params,
			uint64_t id, const int *fds, size_t n_fds)
{
	CLEANUP_JSON struct json_object *message = json_object_new_object();
	const char *text;
	size_t size;
	int r;

	if (!message)
		return -ENOMEM;
	json_object_object_add(message, "jsonrpc", json_object_new_string("2.0"));
	if (id)
		json_object_object_add(message, "id", json_object_new_uint64(id));
	json_object_object_add(message, "method", json_object_new_string(method));
	json_object_object_add(message, "params", json_object_get(params));
	text = json_object_to_json_string_length(message,
						 JSON_C_TO_STRING_PLAIN |
							 JSON_C_TO_STRING_NOSLASHESCAPE,
						 &size);
	if (!text)
		return -ENOMEM;
	if (size > RPC_LINE_MAX)
		return -EMSGSIZE;
	c->last_sent = id;
	/* the text's closing NUL gives way to the newline; nobody reads it as a string again */
	((char *)(uintptr_t)text)[size] = '\n';
	r = send_queue_add(&c->output, c->fd, text, size + 1, fds, n_fds);
	if (r < 0 && r != -ENOBUFS && r != -ENOMEM && r != -EMFILE) {
		c->send_ended = true;
		send_queue_deinit(&c->output);
		return 0;
	}
	return r;
}

static int check_send(const struct sandboxd_client *c, const char *method, size_t n_fds)
{
	if (c->error)
		return c->error;
	if (!method || method[0] == '\0' || n_fds > RPC_FDS_MAX)
		return -EINVAL;
	return c->n_pending >= RPC_IN_FLIGHT_MAX ? -ENOBUFS : 0;
}

/* PARAMS stays the caller's; P is copied to the list, with its id. */
static int send_request(struct sandboxd_client *c, const char *method, struct json_object *params,
			const int *fds, size_t n_fds, struct pending *request)
{
	struct pending *p;
	int r = check_send(c, method, n_fds);

	if (r < 0)
		return r;
	p = malloc(sizeof *p);
	if (!p)
		return -ENOMEM;
	request->id = ++c->last_id;
	*p = *request;
	p->next = NULL;
	if (n_fds > 0)
		json_object_object_add(params, "fds", json_object_new_int((int)n_fds));
	r = c->send_ended ? 0 : send_message(c, method, params, p->id, fds, n_fds);
	if (r < 0) {
		free(p);
		return r;
	}
	*c->pending_tail = p;
	c->pending_tail = &p->next;
	c->n_pending++;
	return 0;
}

/* The object of a params text, new; NULL is an empty one. */
static int parse_params(const char *text, struct json_object **ret)
{
	struct json_object *params =
		text ? json_value_parse(text, strlen(text)) : json_object_new_object();

	if (!json_object_is_type(params, json_type_object)) {
		json_object_put(params);
		return -EINVAL;
	}
	*ret = params;
	return 0;
}

int sandboxd_send(struct sandboxd_client *c, const struct sandboxd_request *request,
		  sandboxd_reply_callback *done, void *userdata, uint64_t *ret_id)
{
	CLEANUP_JSON struct json_object *params = NULL;
	struct pending p = { .on_reply = done, .userdata = userdata };
	int r = parse_params(request->params, &params);

	if (r == 0)
		r = send_request(c, request->method, params, request->fds, request->n_fds, &p);
	if (r == 0 && ret_id)
		*ret_id = p.id;
	return r;
}

int client_send(struct sandboxd_client *c, const char *method, struct json_object *params,
		sandboxd_reply_callback *done, void *userdata)
{
	CLEANUP_JSON struct json_object *owned = params;
	struct pending p = { .on_reply = done, .userdata = userdata };

	return owned ? send_request(c, method, owned, NULL, 0, &p) : -ENOMEM;
}

int sandboxd_cancel(struct sandboxd_client *c, uint64_t id)
{
	CLEANUP_JSON struct json_object *params = json_object_new_object();

	if (!params)
		return -ENOMEM;
	if (c->error)
		return c->error;
	json_object_object_add(params, "id", json_object_new_uint64(id));
	return c->send_ended ? 0 : send_message(c, "rpc.cancel", params, 0, NULL, 0);
}

/* ---- blocking calls ---- */

struct waiter {
	bool done;
	int status;
	struct json_object *result;
	struct sandboxd_error *reterr;
};

static void on_waited(const struct outcome *outcome, void *userdata)
{
	struct waiter *w = userdata;

	w->done = true;
	w->status = outcome->status;
	if (outcome->status == 0)
		w->result = json_object_get(outcome->result);
	if (outcome->status == SANDBOXD_REFUSED && w->reterr) {
		/* moved: the refusal may be for several, so the strings are copied */
		w->reterr->code = outcome->error->code;
		w->reterr->kind = strdup(outcome->error->kind);
		w->reterr->message = strdup(outcome->error->message);
		w->reterr->field = outcome->error->field ? strdup(outcome->error->field) : NULL;
		w->reterr->hint = outcome->error->hint ? strdup(outcome->error->hint) : NULL;
	}
}

/* What changes nothing may be asked again; rpc.discover calls it read-only. */
static bool only_asks(const char *method)
{
	for (size_t i = 0; client_asking_methods[i]; i++)
		if (strcmp(method, client_asking_methods[i]) == 0)
			return true;
	return false;
}

bool client_never_got(const struct sandboxd_client *c, uint64_t id)
{
	return (c->unread || c->send_ended) && c->last_sent == id;
}

/* *RET_SENT: whether the daemon can have got it. */
static int call_once(struct sandboxd_client *c, const struct client_call *call, struct waiter *w,
		     bool *ret_sent)
{
	struct pending p = { .on_outcome = on_waited, .userdata = w };
	int r = send_request(c, call->method, call->params, call->fds, call->n_fds, &p);

	if (r < 0)
		return r;
	w->done = false;
	/* an end of the connection is told through the waiter too */
	while (!w->done)
		(void)sandboxd_dispatch(c, -1);
	*ret_sent = !client_never_got(c, p.id);
	return w->status;
}

/* Connects again if that is needed; *DEADLINE is when it is given up, 0 before the first loss. */
static int come_back(struct sandboxd_client *c, int64_t *deadline)
{
	int64_t left;

	if (c->error != -ECONNRESET || c->reconnect_ms <= 0 || c->path[0] == '\0')
		return c->error;
	if (*deadline == 0)
		*deadline = clock_now_ms() + c->reconnect_ms;
	left = *deadline - clock_now_ms();
	return left > 0 ? sandboxd_reconnect(c, (int)left) : c->error;
}

static int call_until_answered(struct sandboxd_client *c, const struct client_call *call,
			       struct waiter *w)
{
	int64_t deadline = 0;
	int64_t sent_at;
	bool sent = false;
	int r;

	for (;;) {
		r = come_back(c, &deadline);
		if (r < 0)
			return r;
		sent_at = clock_now_ms();
		r = call_once(c, call, w, &sent);
		if (r != -ECONNRESET || (sent && !call->again && !only_asks(call->method)))
			return r;
		if (clock_now_ms() - sent_at >= STABLE_MS)
			deadline = 0;
		else if (deadline != 0)
			(void)poll(NULL, 0, RECONNECT_STEP_MS);
		if (call->again)
			call->again(call->params, call->userdata);
	}
}

int client_call_with(struct sandboxd_client *c, const struct client_call *call,
		     struct json_object **ret_result, struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *owned = call->params;
	struct waiter w = { .reterr = reterr };
	int r;

	if (!owned)
		return -ENOMEM;
	if (c->dispatching)
		return -EDEADLK;
	r = call_until_answered(c, call, &w);
	if (r == 0 && ret_result)
		*ret_result = w.result;
	else
		json_object_put(w.result);
	return r;
}

int client_call(struct sandboxd_client *c, const char *method, struct json_object *params,
		const int *fds, size_t n_fds, struct json_object **ret_result,
		struct sandboxd_error *reterr)
{
	const struct client_call call = { method, params, fds, n_fds, NULL, NULL };

	return client_call_with(c, &call, ret_result, reterr);
}

void client_follow(struct sandboxd_client *c, struct exec_progress *progress)
{
	c->follow = progress;
}

int sandboxd_call(struct sandboxd_client *c, const char *method, const char *params, const int *fds,
		  size_t n_fds, char **ret_result, struct sandboxd_error *reterr)
{
	CLEANUP_JSON struct json_object *result = NULL;
	struct json_object *object = NULL;
	int r = parse_params(params, &object);

	if (r == 0)
		r = client_call(c, method, object, fds, n_fds, &result, reterr);
	if (r == 0 && ret_result) {
		*ret_result = strdup(json_value_text(result));
		if (!*ret_result)
			return -ENOMEM;
	}
	return r;
}
