/* SPDX-License-Identifier: Apache-2.0 */
/* What a session does when its connection ends: it waits for the daemon to come back, and finds its
 * command again.
 *
 * By its id: exec.attach goes on behind the last byte that was shown, exec.wait waits for one whose
 * output goes elsewhere, exec.get asks for one that was to be detached. A request with an
 * idempotency key is sent again when the daemon does not know its command, and so is a loop.run,
 * which has a result of its own that only its key finds. */

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "macro.h"
#include "message.h"
#include "result.h"
#include "session-internal.h"

#define CODE_NOT_FOUND (-32001)
#define RECONNECT_STEP_MS 50
/* A connection that lasted so long is no daemon that dies of our request. */
#define STABLE_MS 1000

static bool is_method(const struct session *s, const char *name)
{
	return strcmp(s->options->method, name) == 0;
}

static bool is_run(const struct session *s)
{
	return is_method(s, "exec.run");
}

static bool has_key(const struct session *s)
{
	return json_object_object_get_ex(s->options->params, "idempotencyKey", NULL);
}

static bool is_streamed(const struct session *s)
{
	return json_object_get_boolean(json_object_object_get(s->options->params, "stream"));
}

/* A loop.run has a result of its own, which only its key finds again. */
static bool can_return(const struct session *s)
{
	return !is_method(s, "loop.run") || has_key(s);
}

/* The daemon does not know the command. With a key it can be asked to run it, unless the command
 * was to have descriptors, which we have given away. */
static bool can_repeat(const struct session *s)
{
	return is_run(s) && has_key(s) && !s->fds;
}

/* Those that were made for the command were closed when it was asked for. */
static bool has_all_fds(const struct session *s)
{
	return !s->fds || s->fds->n_pumps == 0;
}

static void repeat_request(struct session *s)
{
	int r = session_send(s, s->options->method, s->options->params, s->fds);

	if (r < 0)
		session_end_with(s, r);
}

static void begin_absence(struct session *s)
{
	const int64_t now = clock_now_ms();

	if (s->absent_since_ms == 0 || now - s->returned_ms >= STABLE_MS)
		s->absent_since_ms = now;
	s->attempt_ms = now + RECONNECT_STEP_MS;
	s->absent = true;
}

void session_tell_unknown(const struct session *s)
{
	message_error(has_key(s) ? "run it again with the same key"
				 : "--key makes it safe to repeat",
		      "sandboxd restarted and does not know the command: it may have run");
}

bool session_is_unknown(const struct session *s, const struct sandboxd_reply *reply)
{
	return reply->status == SANDBOXD_REFUSED && s->returned &&
	       reply->error->code == CODE_NOT_FOUND;
}

bool session_is_end(struct session *s, const struct sandboxd_reply *reply)
{
	if (reply->status == -ECONNRESET) {
		s->never_got = !s->returned && has_all_fds(s) &&
			       client_never_got(s->ctl->client, reply->id);
		if (!s->never_got && !can_return(s))
			return true;
		begin_absence(s);
		return false;
	}
	if (session_is_unknown(s, reply) && can_repeat(s)) {
		s->returned = false;
		s->exec_id[0] = '\0';
		repeat_request(s);
		return false;
	}
	return true;
}

/* A command that we run is called by a name of our own, unless somebody gave it one. */
int session_name_exec(struct session *s)
{
	struct json_object *params = s->options->params;
	struct json_object *given = NULL;
	int r;

	if (json_object_object_get_ex(params, "execId", &given)) {
		(void)snprintf(s->own_id, sizeof s->own_id, "%s", json_object_get_string(given));
		return 0;
	}
	if (!is_run(s))
		return 0;
	r = client_make_exec_id(s->own_id);
	if (r == 0)
		json_object_object_add(params, "execId", json_object_new_string(s->own_id));
	return r;
}

/* ---- output ---- */

size_t session_already_shown(struct session *s, const struct sandboxd_output *output)
{
	const uint64_t end = output->offset + output->size;
	size_t i = 0;
	uint64_t next;

	while (i < EXEC_STREAM_MAX && strcmp(output->stream, exec_stream_names[i]) != 0)
		i++;
	if (i == EXEC_STREAM_MAX)
		return 0;
	next = s->shown.seen[i] ? s->shown.next[i] : output->offset;
	if (output->offset > next)
		message_note("%s: bytes %llu to %llu are not kept any more", output->stream,
			     (unsigned long long)next, (unsigned long long)output->offset);
	s->shown.seen[i] = true;
	s->shown.next[i] = end > next ? end : next;
	if (next <= output->offset)
		return 0;
	return next < end ? (size_t)(next - output->offset) : output->size;
}

static void show(struct session *s, int fd, const void *data, size_t size)
{
	if (size > 0 && message_write(fd, data, size) < 0)
		s->failed = true;
}

void session_show_kept(struct session *s, const char *result, size_t size)
{
	struct sandboxd_exec_result *r;

	if (!is_run(s) || !is_streamed(s) || s->exec_id[0] != '\0' ||
	    sandboxd_exec_result_parse(result, size, &r) < 0)
		return;
	show(s, STDOUT_FILENO, r->out, r->out_size);
	show(s, STDOUT_FILENO, r->output, r->output_size);
	show(s, STDERR_FILENO, r->err, r->err_size);
	sandboxd_exec_result_free(r);
}

/* ---- the daemon again ---- */

static struct json_object *found_params(struct session *s, bool attach)
{
	struct json_object *params = json_object_new_object();
	struct json_object *from = json_value_object(s->options->params, "from");
	struct json_object *places = NULL;

	json_object_object_add(params, "execId", json_object_new_string(s->exec_id));
	if (!attach)
		return params;
	if (json_object_deep_copy(from, &places, NULL) < 0)
		places = json_object_new_object();
	json_object_object_add(params, "from", places);
	for (size_t i = 0; i < EXEC_STREAM_MAX; i++)
		if (s->shown.seen[i])
			json_object_object_add(places, exec_stream_names[i],
					       json_object_new_uint64(s->shown.next[i]));
	return params;
}

/* Looks for the command by its id. */
static int ask_for_exec(struct session *s)
{
	const bool attach = is_method(s, "exec.attach") || is_streamed(s);
	const bool detach = options_have(&s->ctl->options, OPTION_DETACH);
	CLEANUP_JSON struct json_object *params = NULL;

	if (s->exec_id[0] == '\0')
		memcpy(s->exec_id, s->own_id, sizeof s->exec_id);
	s->returned = true;
	params = found_params(s, attach);
	return session_send(s,
			    attach   ? "exec.attach"
			    : detach ? "exec.get"
				     : "exec.wait",
			    params, NULL);
}

/* What it was to hear meanwhile. */
static void catch_up(struct session *s)
{
	if (s->early_signal)
		session_request_signal(s, s->early_signal);
	if (s->options->tty)
		session_request_resize(s);
	if (s->input_closed)
		session_request(s, "exec.closeStdin", json_object_new_object());
	s->early_signal = 0;
	/* a key that was pressed may be pressed again; a hole in data is an end */
	if (s->input_lost && !isatty(STDIN_FILENO)) {
		message_error(NULL,
			      "some of stdin may not have reached the command: it is cancelled");
		s->failed = true;
		s->reading = false;
		session_cancel(s);
	}
	s->input_lost = false;
}

void session_come_back(struct session *s)
{
	const int64_t now = clock_now_ms();
	int r;

	if (now < s->attempt_ms)
		return;
	s->attempt_ms = now + RECONNECT_STEP_MS;
	r = sandboxd_reconnect(s->ctl->client, 0);
	if (r < 0) {
		if ((r != -ENOENT && r != -ECONNREFUSED) ||
		    now - s->absent_since_ms >= SANDBOXD_RECONNECT_MS)
			session_end_with(s, r);
		else if (!s->told && !s->ctl->quiet && now - s->absent_since_ms >= STABLE_MS)
			message_note("sandboxd is gone; waiting for it to come back");
		s->told = s->told || now - s->absent_since_ms >= STABLE_MS;
		return;
	}
	s->absent = false;
	s->returned_ms = now;
	if (is_method(s, "loop.run") || s->never_got) {
		repeat_request(s);
		return;
	}
	r = ask_for_exec(s);
	if (r < 0)
		session_end_with(s, r);
	else
		catch_up(s);
}
