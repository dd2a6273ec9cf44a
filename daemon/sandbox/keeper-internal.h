/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside keeper-*.c: the body of a keeper's client. */

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/owner.h"
#include "util/strings.h"

struct child;
struct unit_start;

enum keeper_state {
	KEEPER_STATE_STARTING, /* HELLO is not answered yet */
	KEEPER_STATE_READY,
	KEEPER_STATE_CLOSING, /* it closed the connection; its process is about to end */
	KEEPER_STATE_DEAD,    /* out of the table; waits for its reap event */
};

/* A request without an answer yet. */
struct keeper_pending {
	uint64_t serial;
	int64_t deadline_ms; /* monotonic */
	keeper_reply *done;
	void *userdata;
	struct keeper_pending *next;
};

/* A message that the socket did not take at once; only the first bytes of it are allocated. */
struct keeper_outgoing {
	struct keeper_outgoing *next;
	struct wire_message *message;
};

/* Who asked manager_keeper() and was not told yet. */
struct keeper_waiter {
	manager_keeper_done *done;
	void *userdata;
	struct keeper_waiter *next;
};

struct keeper_client {
	struct manager *manager;
	struct owner owner;
	enum keeper_state state;
	int socket;
	struct child *child;     /* NULL: the service manager has not told which it is */
	struct unit_start *unit; /* asked for as a service, else NULL */
	struct event read_event;
	struct event write_event;
	struct event timer;
	struct event wake; /* tells waiters; when dead, reaps */
	uint64_t last_serial;
	struct keeper_pending *pending;
	struct keeper_outgoing *outgoing;
	struct keeper_waiter *waiters;
	uint32_t controllers; /* that really work */
	bool timed_out;
	bool found;   /* it outlived an earlier daemon */
	bool greeted; /* it has answered HELLO */
	bool shutting_down;
	char *start_error; /* why it could not be started */
	struct keeper_client *next;
};

/* Cgroup directories of a dead keeper, which stay busy until the last process in them is gone. */
struct keeper_remains {
	uid_t owner;
	unsigned tries;
	struct keeper_remains *next;
};

struct keeper_table {
	struct keeper_client *list;
	struct keeper_client *dead; /* waiting for their reap */
	struct wire_message *incoming;
	struct wire_message *scratch;
	int seccomp; /* the program for init, made once; -1 */
	int idmap;   /* of owner 0's workspaces, made once; -1 */
	struct event sweep;
	struct keeper_remains *remains;
};

/* What a keeper is started with. */
struct keeper_process {
	struct string_list args;
	struct string_list env;
	int listener;
	int join; /* a user namespace; -1: it makes one */
};

/* ---- keeper-call.c ---- */
void keeper_calls_init(struct keeper_client *k);
/* K->socket is connected: listens to it. Returns 0 or -ENOMEM. */
int keeper_calls_watch(struct keeper_client *k);
/* Nothing comes and goes any more; who waits is not told. */
void keeper_calls_stop(struct keeper_client *k);
/* Answers every call that waits: -ETIMEDOUT if it is hung, else -ECONNRESET. */
void keeper_calls_fail(struct keeper_client *k);
/* Drops them unanswered, and closes the socket. */
void keeper_calls_free(struct keeper_client *k);

/* keeper-start.c: makes directories, starts the process or asks the service manager for it. When
 * K->child is set, keeper_greet() is called at once, else later. Returns 0 or negative errno, with
 * a sentence in *RET_REASON. */
int keeper_start(struct keeper_client *k, char **ret_reason);
/* Where it listens; freed by the caller. */
char *keeper_socket_path(const struct keeper_client *k);
/* Connects: K->socket is set. Returns 0 or negative errno. */
int keeper_connect(struct keeper_client *k);
/* Fills HELLO into M. Returns 0 or negative errno. */
int keeper_hello(struct keeper_client *k, struct wire_message *m, char **ret_reason);
/* keeper-service.c: asks for it as a service. Returns 0 or negative errno. */
int keeper_service_start(struct keeper_client *k, struct keeper_process *p);
/* Its cgroups are those of the service that PID is in, itself or what an earlier one left. */
void keeper_follow(const struct keeper_client *k, pid_t pid);
/* keeper-client.c, for keeper-start.c's callbacks: connects and sends HELLO. Returns 0 or negative
 * errno, with a sentence in *RET_REASON. */
int keeper_greet(struct keeper_client *k, char **ret_reason);
void keeper_die(struct keeper_client *k);

/* ---- keeper-adopt.c ---- */
/* Connects to the keeper of K's owner that an earlier daemon left. -ENOENT, -ECONNREFUSED: there is
 * none. On success K->socket and K->child are set. */
int keeper_find(struct keeper_client *k);
/* Asks what it has, and ends what is nobody's of it; then K is ready. Returns 0 or negative errno.
 */
int keeper_take_stock(struct keeper_client *k);
/* keeper-client.c: it can be used. */
void keeper_ready(struct keeper_client *k);
/* keeper-client.c: the keeper of OWNER, if there is one from before; else -ECONNREFUSED or another
 * negative errno. */
int keeper_meet(struct manager *m, uid_t owner);
