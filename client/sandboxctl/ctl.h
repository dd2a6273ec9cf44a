/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every verb gets: its options and the daemon, to which it is connected on first use. */

#include <stdbool.h>

#include "json-value.h"
#include "options.h"
#include "sandboxd/client.h"

struct json_object;
struct verb;

struct ctl {
	const struct verb *verb;
	struct options options;
	const char *socket;  /* --socket, or NULL */
	bool json;           /* -o json */
	bool quiet;          /* no progress */
	bool no_autostart;   /* no daemon is started where none runs */
	const char *command; /* what exec or run runs, for messages; NULL: unknown */
	struct sandboxd_client *client;
	char socket_buffer[128]; /* for a socket that had to be put together */
};

/* Whether a socket is named: the daemon that is there is meant, and no other. */
bool ctl_is_named(const struct ctl *ctl);
/* Connects unless it is; starts a daemon where none runs, unless a socket is named, or
 * --no-autostart. Returns 0, or -1 after telling why not. */
int ctl_connect(struct ctl *ctl);
/* Tells why sandboxd_connect() returned R. Returns -1. */
int ctl_connect_failed(const struct ctl *ctl, int r);
#define NOT_IN_GROUP_HINT "the group sandboxd may use the system's daemon"

/* One call, result parsed; progress is shown meanwhile. PARAMS is taken (NULL: out of memory), *RET
 * (may be NULL) is a new reference. Returns 0, or -1 after telling why not. */
int ctl_call(struct ctl *ctl, const char *method, struct json_object *params,
	     struct json_object **ret);
/* The same, but a refusal of this CODE is not told and returns SANDBOXD_REFUSED. */
int ctl_call_expecting(struct ctl *ctl, const char *method, struct json_object *params, int code,
		       struct json_object **ret);

/* The same with descriptor FD, borrowed, as params.fds' only one; -1: without. */
int ctl_call_passing(struct ctl *ctl, const char *method, struct json_object *params, int fd,
		     struct json_object **ret);

/* Tells what a transport call ended with (negative errno). Returns -1. */
int ctl_transport_error(const struct ctl *ctl, int r);

/* Prints one JSON value and a newline to stdout, on one line or for people. Returns 0, or -1 after
 * telling why not. */
int ctl_print_json(struct json_object *value, bool pretty);
/* What a verb that makes something prints: its name, or with -o json all of RESULT. Returns the
 * exit status. */
int ctl_print_name(const struct ctl *ctl, struct json_object *result);

void ctl_deinit(struct ctl *ctl);
