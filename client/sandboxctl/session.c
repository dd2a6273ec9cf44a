/* SPDX-License-Identifier: Apache-2.0 */
/* One poll loop over the connection, a signalfd, our stdin (when it is streamed) and the pumps.
 * There are no signal handlers, so nothing is interrupted and the terminal is restored on every way
 * out.
 *
 * Signals go to the command. A second INT or TERM cancels it (TERM, grace, KILL by the daemon); if
 * the command has not started yet, the first one waits for its id and the second cancels the
 * request. */

#include "session-internal.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "macro.h"
#include "message.h"
#include "refusal.h"
#include "result.h"

#define STDIN_CHUNK 8192
#define ABSENT_POLL_MS 50
#define POLL_MAX (3 + SESSION_FDS_MAX)

/* ---- requests about the exec ---- */

void session_request(struct session *s, const char *method, struct json_object *params)
{
	struct sandboxd_request r = { .method = method };

	json_object_object_add(params, "execId", json_object_new_string(s->exec_id));
	r.params = json_object_to_json_string_ext(params, JSON_C_TO_STRING_PLAIN);
	/* nothing to do about a failure: the exec's own reply, or the end of the connection, comes
	 * in any case */
	(void)sandboxd_send(s->ctl->client, &r, NULL, NULL, NULL);
	json_object_put(params);
}

void session_request_signal(struct session *s, int number)
{
	struct json_object *params = json_object_new_object();

	json_object_object_add(params, "signal", json_object_new_int(number));
	session_request(s, "exec.signal", params);
}

void session_request_resize(struct session *s)
{
	struct json_object *params = json_object_new_object();
	uint16_t rows;
	uint16_t cols;

	terminal_size(&rows, &cols);
	json_object_object_add(params, "rows", json_object_new_int(rows));
	json_object_object_add(params, "cols", json_object_new_int(cols));
	session_request(s, "exec.resize", params);
}

/* ---- what the daemon says ---- */

static void on_started(struct sandboxd_client *c, const struct sandboxd_started *started,
		       void *userdata)
{
	struct session *s = userdata;

	(void)c;
	if (s->exec_id[0] != '\0' || strlen(started->exec_id) >= sizeof s->exec_id)
		return;
	memcpy(s->exec_id, started->exec_id, strlen(started->exec_id) + 1);
	if (s->early_signal)
		session_request_signal(s, s->early_signal);
	if (s->early_resize)
		session_request_resize(s);
}

static void on_output(struct sandboxd_client *c, const struct sandboxd_output *output,
		      void *userdata)
{
	struct session *s = userdata;
	int fd = strcmp(output->stream, "stderr") == 0 ? STDERR_FILENO : STDOUT_FILENO;
	size_t skip = session_already_shown(s, output);

	(void)c;
	if (!s->failed &&
	    message_write(fd, (const char *)output->data + skip, output->size - skip) < 0)
		s->failed = true;
}

static void on_progress(struct sandboxd_client *c, const struct sandboxd_progress *progress,
			void *userdata)
{
	const struct session *s = userdata;

	(void)c;
	if (!s->ctl->quiet)
		message_note("%s", progress->message);
}

static int detached_status(const struct session *s, const struct sandboxd_reply *reply)
{
	struct json_object *exec = json_tokener_parse(reply->result);
	struct json_object *id = NULL;
	int r;

	if (s->ctl->json)
		r = ctl_print_json(exec, false);
	else if (json_object_object_get_ex(exec, "execId", &id))
		r = message_write(STDOUT_FILENO, json_object_get_string(id),
				  (size_t)json_object_get_string_len(id)) +
		    message_write(STDOUT_FILENO, "\n", 1);
	else
		r = ctl_transport_error(s->ctl, -EBADMSG);
	json_object_put(exec);
	return r == 0 ? 0 : STATUS_FAILURE;
}

static void on_reply(struct sandboxd_client *c, const struct sandboxd_reply *reply, void *userdata)
{
	struct session *s = userdata;

	(void)c;
	if (!session_is_end(s, reply))
		return;
	s->done = true;
	s->status = STATUS_FAILURE;
	terminal_restore(&s->terminal); /* before anything is said */
	if (session_is_unknown(s, reply))
		session_tell_unknown(s);
	else if (reply->status == SANDBOXD_REFUSED)
		refusal_tell(s->ctl, reply->error);
	else if (reply->status < 0)
		ctl_transport_error(s->ctl, reply->status);
	else if (options_have(&s->ctl->options, OPTION_DETACH))
		s->status = detached_status(s, reply);
	else if (s->options->watch_only)
		s->status = 0;
	else if (s->options->finish)
		s->status = s->options->finish(s->ctl, reply->result, reply->result_size);
	else {
		session_show_kept(s, reply->result, reply->result_size);
		s->status = result_finish(s->ctl, reply->result, reply->result_size);
	}
	if (s->failed)
		s->status = STATUS_FAILURE;
}

static void on_written(struct sandboxd_client *c, const struct sandboxd_reply *reply,
		       void *userdata)
{
	struct session *s = userdata;

	(void)c;
	s->writing = false;
	if (reply->status == -ECONNRESET)
		s->input_lost = true;
	else if (reply->status != 0)
		s->reading = false; /* it does not read any more */
}

/* ---- what comes from our side ---- */

static void read_stdin(struct session *s)
{
	char buffer[STDIN_CHUNK];
	ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		s->reading = false;
		s->input_closed = true;
		session_request(s, "exec.closeStdin", json_object_new_object());
		return;
	}
	s->writing = true;
	if (sandboxd_exec_write(s->ctl->client, s->exec_id, buffer, (size_t)n, on_written, s) < 0)
		s->reading = s->writing = false;
}

void session_cancel(struct session *s)
{
	if (s->exec_id[0] != '\0' && !s->options->cancel_request)
		session_request(s, "exec.cancel", json_object_new_object());
	else
		(void)sandboxd_cancel(s->ctl->client, s->request); /* as in request() */
}

static void on_signal(struct session *s, int number)
{
	if (number == SIGWINCH) {
		if (s->exec_id[0] != '\0')
			session_request_resize(s);
		else
			s->early_resize = true;
		return;
	}
	if (++s->interrupts > 1 && s->absent) {
		terminal_restore(&s->terminal);
		message_unreachable(NULL, "sandboxd is gone; the command goes on without us");
		s->done = true;
	} else if (s->interrupts > 1)
		session_cancel(s);
	else if (s->exec_id[0] != '\0' && !s->absent)
		session_request_signal(s, number);
	else
		s->early_signal = number;
}

static void read_signals(struct session *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
		on_signal(s, (int)info.ssi_signo);
}

static int catch_signals(struct session *s)
{
	sigset_t set;

	if (s->options->watch_only)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	if (s->options->tty)
		sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? -errno : 0;
}

/* ---- what is polled ---- */

struct poll_set {
	struct pollfd fds[POLL_MAX];
	struct pump *pumps[POLL_MAX]; /* whose it is, or NULL */
	nfds_t count;
};

static struct pollfd *poll_add(struct poll_set *p, int fd, short events)
{
	struct pollfd *entry = &p->fds[p->count];

	p->pumps[p->count++] = NULL;
	*entry = (struct pollfd){ .fd = fd, .events = events };
	return entry;
}

static void poll_add_pumps(struct poll_set *p, struct session_fds *fds)
{
	for (size_t i = 0; fds && i < fds->n_pumps; i++) {
		if (!pump_want(&fds->pumps[i], &p->fds[p->count]))
			continue;
		p->fds[p->count].revents = 0;
		p->pumps[p->count++] = &fds->pumps[i];
	}
}

/* ---- what the session waits for ---- */

int session_send(struct session *s, const char *method, struct json_object *params,
		 const struct session_fds *fds)
{
	struct sandboxd_request r = {
		.method = method,
		.params = json_object_to_json_string_ext(params,
							 JSON_C_TO_STRING_PLAIN |
								 JSON_C_TO_STRING_NOSLASHESCAPE),
		.fds = fds ? fds->fds : NULL,
		.n_fds = fds ? fds->count : 0,
	};

	return sandboxd_send(s->ctl->client, &r, on_reply, s, &s->request);
}

void session_end_with(struct session *s, int r)
{
	terminal_restore(&s->terminal);
	ctl_transport_error(s->ctl, r);
	s->done = true;
	s->status = STATUS_FAILURE;
}

/* ---- the loop ---- */

static void serve_once(struct session *s)
{
	struct poll_set p = { .count = 0 };
	const struct pollfd *daemon = poll_add(&p, s->absent ? -1 : sandboxd_get_fd(s->ctl->client),
					       s->absent ? 0 : sandboxd_get_events(s->ctl->client));
	const struct pollfd *signals = poll_add(&p, s->signals, POLLIN);
	const struct pollfd *input = NULL;

	if (s->reading && !s->writing && !s->absent && s->exec_id[0] != '\0')
		input = poll_add(&p, STDIN_FILENO, POLLIN);
	poll_add_pumps(&p, s->fds);
	if (poll(p.fds, p.count, s->absent ? ABSENT_POLL_MS : -1) < 0)
		return;
	if (signals->revents)
		read_signals(s);
	if (input && input->revents)
		read_stdin(s);
	for (nfds_t i = 0; i < p.count; i++)
		if (p.pumps[i] && p.fds[i].revents)
			pump_move(p.pumps[i]);
	if (daemon->revents)
		(void)sandboxd_dispatch(s->ctl->client, 0); /* its end is told to on_reply */
	if (s->absent && !s->done)
		session_come_back(s);
}

static int start(struct session *s)
{
	static const struct sandboxd_callbacks callbacks = {
		.on_started = on_started,
		.on_output = on_output,
		.on_progress = on_progress,
	};
	int r = session_name_exec(s);

	if (r < 0)
		return r;
	sandboxd_set_callbacks(s->ctl->client, &callbacks, s);
	return session_send(s, s->options->method, s->options->params, s->fds);
}

/* Our copies of the ends that the command has now: else its pipe would never end. */
static void close_passed(struct session_fds *f)
{
	if (!f || f->n_pumps == 0)
		return;
	for (size_t i = 0; i < f->count; i++)
		if (f->owned[i])
			close_fd(f->fds[i]);
	f->count = 0;
}

static void serve(struct session *s)
{
	if (s->options->tty && s->options->stream_stdin)
		terminal_make_raw(&s->terminal);
	while (!s->done)
		serve_once(s);
	terminal_restore(&s->terminal);
	for (size_t i = 0; s->fds && i < s->fds->n_pumps; i++)
		pump_drain(&s->fds->pumps[i]);
}

int session_run(struct ctl *ctl, const struct session_options *options, struct session_fds *fds)
{
	struct session s = {
		.ctl = ctl,
		.options = options,
		.fds = fds,
		.signals = -1,
		.reading = options->stream_stdin,
		.status = STATUS_FAILURE,
	};
	int r;

	if (result_check_file(ctl) < 0 || ctl_connect(ctl) < 0)
		return STATUS_FAILURE;
	r = catch_signals(&s);
	if (r == 0)
		r = start(&s);
	close_passed(fds);
	if (r == 0)
		serve(&s);
	else
		ctl_transport_error(ctl, r);
	sandboxd_set_callbacks(ctl->client, NULL, NULL);
	close_fd(s.signals);
	return s.status;
}
