/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/run.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bounds.h"
#include "sandbox/manager.h"
#include "secret/provider.h"

struct run {
	struct manager *m;
	struct child *child;
	struct event *readable;
	struct event *limit;
	struct event *over; /* it has ended: a child cannot be freed inside its own callback */
	struct gather gather;
	int output;
	int trouble;
	bool ended;
	bool exited;
	int status;
	run_ended *done;
	void *userdata;
};

/* All that it started, unless that left its session. */
static void kill_all(const struct run *r)
{
	if (r->child && !r->ended) /* not reaped, so the number is still its own */
		(void)kill(-child_pid(r->child), SIGKILL);
}

void run_cancel(struct run *r)
{
	if (!r)
		return;
	kill_all(r);
	r->child = child_free(r->child);
	if (r->readable)
		event_free(r->readable);
	if (r->limit)
		event_free(r->limit);
	if (r->over)
		event_free(r->over);
	gather_clear(&r->gather);
	r->output = close_fd(r->output);
	r->m->provider_commands--;
	free(r);
}
DEFINE_CLEANUP(struct run *, run_cancel);

static void finish(struct run *r, bool late)
{
	const struct run_end end = { .gather = &r->gather,
				     .late = late,
				     .trouble = r->trouble,
				     .exited = r->exited,
				     .status = r->status };

	r->done(&end, r->userdata);
	run_cancel(r);
}

static void take_output(struct run *r)
{
	int n = gather_read(&r->gather, r->output);

	if (n == 0)
		return;
	if (n < 0) {
		r->trouble = n;
		kill_all(r);
	}
	(void)event_del(r->readable);
}

static void on_readable(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	take_output(userdata);
}

static void on_over(evutil_socket_t fd, short events, void *userdata)
{
	struct run *r = userdata;

	(void)fd;
	(void)events;
	if (r->trouble == 0)
		take_output(r); /* what it wrote last */
	finish(r, false);
}

static void on_limit(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	finish(userdata, true);
}

static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct run *r = userdata;

	(void)c;
	r->ended = true;
	r->exited = exited;
	r->status = status;
	event_active(r->over, 0, 0);
}

static int start(struct run *r, const struct run_config *config, int out)
{
	const struct timeval limit = { .tv_sec = PROVIDER_TIMEOUT_MS / 1000 };
	const int fds[] = { config->input, out, -1 };
	const struct child_config child = { .base = r->m->base,
					    .argv = config->argv,
					    .fds = fds,
					    .n_fds = 3,
					    .ended = on_ended,
					    .userdata = r };

	r->readable = event_new(r->m->base, r->output, EV_READ | EV_PERSIST, on_readable, r);
	r->limit = evtimer_new(r->m->base, on_limit, r);
	r->over = evtimer_new(r->m->base, on_over, r);
	if (fcntl(r->output, F_SETFL, O_NONBLOCK) < 0 || !r->readable || !r->limit || !r->over ||
	    event_add(r->readable, NULL) < 0 || event_add(r->limit, &limit) < 0)
		return -ENOMEM;
	return config->argv ? child_start(&r->child, &child)
			    : child_fork(&r->child, &child, config->copy, config->argument);
}

int run_start(const struct run_config *config, struct run **ret)
{
	CLEANUP(run_cancelp) struct run *r = NULL;
	CLEANUP_FD int out = -1;
	int pipes[2], error;

	if (config->m->provider_commands >= PROVIDER_COMMANDS_MAX)
		return -ENOBUFS;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->m = config->m;
	r->m->provider_commands++;
	r->done = config->ended;
	r->userdata = config->userdata;
	r->output = -1;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	r->output = pipes[0];
	out = pipes[1];
	error = start(r, config, out);
	if (error == 0)
		*ret = TAKE_PTR(r);
	return error;
}
