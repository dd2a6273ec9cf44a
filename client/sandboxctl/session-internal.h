/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The body of a session, for session.c and session-return.c only. */

#include <stdint.h>

#include "call.h"
#include "session.h"
#include "terminal.h"

struct session {
	struct ctl *ctl;
	const struct session_options *options;
	struct session_fds *fds;
	uint64_t request;
	char exec_id[160]; /* "" until exec.started */
	char own_id[160];  /* by which it is found if that never came */
	struct exec_progress shown;
	bool absent;             /* the connection ended, and a daemon is waited for */
	bool told;               /* that it is */
	bool never_got;          /* no daemon has read the request: it is sent again */
	bool returned;           /* the reply is that of a later connection */
	int64_t absent_since_ms; /* CLOCK_MONOTONIC, as are the others */
	int64_t returned_ms;
	int64_t attempt_ms; /* when to try to connect */
	int signals;
	unsigned interrupts;
	int early_signal; /* arrived before exec_id */
	bool early_resize;
	struct terminal terminal;
	bool reading;      /* our stdin is to be read */
	bool writing;      /* an exec.write has no reply yet */
	bool input_closed; /* our stdin's end was passed on */
	bool input_lost;   /* nobody knows whether an exec.write was done */
	bool failed;       /* on our side, whatever the command does */
	bool done;
	int status; /* exit status, once done */
};

/* ---- session.c ---- */

/* METHOD with PARAMS (taken) and the command's id; what becomes of it does not matter. */
void session_request(struct session *s, const char *method, struct json_object *params);
void session_request_signal(struct session *s, int number);
void session_request_resize(struct session *s);
/* Sends what the session then waits for. FDS may be NULL. Returns 0 or negative errno. */
int session_send(struct session *s, const char *method, struct json_object *params,
		 const struct session_fds *fds);
/* The end, for R from the transport, which is told. */
void session_end_with(struct session *s, int r);
/* TERM, grace, KILL by the daemon. */
void session_cancel(struct session *s);

/* ---- session-return.c ---- */

/* Gives the command a name of ours, unless it has one. Returns 0 or negative errno. */
int session_name_exec(struct session *s);
/* How many of its bytes were shown before, over another connection; and now all of them are. */
size_t session_already_shown(struct session *s, const struct sandboxd_output *output);
/* Whether REPLY is the last word; else the session goes on by itself. */
bool session_is_end(struct session *s, const struct sandboxd_reply *reply);
/* Whether REPLY says that a restarted daemon does not know the command. */
bool session_is_unknown(const struct session *s, const struct sandboxd_reply *reply);
void session_tell_unknown(const struct session *s);
/* Shows what the command wrote from its RESULT, where none of it was streamed: the daemon knows no
 * more than that of a key from long ago. */
void session_show_kept(struct session *s, const char *result, size_t size);
/* While absent: tries to connect, and asks for the command. */
void session_come_back(struct session *s);
