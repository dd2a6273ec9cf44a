/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One exec.run or exec.attach in flight, with what belongs to it on our side: signals, terminal,
 * pumps, streamed output. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"
#include "pump.h"

struct json_object;

#define SESSION_FDS_MAX 3

struct session_options {
	struct json_object *params; /* borrowed; execId etc. are in it */
	const char *method;
	bool tty;          /* the command has a terminal: raw mode, window size */
	bool stream_stdin; /* our stdin goes by exec.write */
	/* what becomes of the reply's result; returns the exit status. NULL: result_finish() */
	int (*finish)(struct ctl *ctl, const char *text, size_t size);
	bool cancel_request; /* a second signal gives up the request, not the command alone */
	bool watch_only;     /* signals end us, not the command; its status is not ours */
};

/* The descriptors that a request passes. Those made for it are closed once it is sent. */
struct session_fds {
	int fds[SESSION_FDS_MAX];
	bool owned[SESSION_FDS_MAX];
	size_t count;
	struct pump pumps[SESSION_FDS_MAX];
	size_t n_pumps;
};

/* Plans what is passed for stdin (WITH_STDIN), stdout and stderr and adds them to PARAMS. Returns
 * 0, or -1 after telling why not. */
int session_fds_prepare(struct session_fds *f, struct json_object *params, bool with_stdin);
void session_fds_deinit(struct session_fds *f);

/* Sends it, serves it until its reply, and returns the exit status. FDS may be NULL. */
int session_run(struct ctl *ctl, const struct session_options *options, struct session_fds *fds);
