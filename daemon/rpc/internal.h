/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bodies that the files of rpc share: server, connection, request, batch. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "arena.h"
#include "buffer.h"
#include "rpc/fd-queue.h"
#include "rpc/request.h"
#include "rpc/server.h"

#define SERVER_READ_SIZE 65536

struct codec;
struct event;
struct json_object;
struct method;

struct batch;

LIST_HEAD(channel_list, channel);
LIST_HEAD(conn_list, conn);
LIST_HEAD(request_list, request);

struct server {
	struct server_config config;
	struct codec *codec;  /* one line at a time */
	char *read_buffer;    /* SERVER_READ_SIZE; what is left of a line moves to its connection */
	char *discover;       /* rpc.discover's result, made on first use: a millisecond of work */
	struct event *accept; /* NULL: stopped */
	struct event *retry;  /* after EMFILE and its kin */
	struct event *reap;
	struct conn_list conns; /* all that exist, reaped ones with requests in flight too */
	struct conn_list to_reap;
	size_t connections; /* not dead */
	size_t in_flight;
	unsigned long long channels; /* made so far */
};

struct conn {
	unsigned refs;
	struct server *server; /* NULL: it was freed before us */
	LIST_ENTRY(conn) link;
	LIST_ENTRY(conn) reap_link;
	bool to_reap;
	uid_t uid;
	pid_t pid;
	int fd;
	int hangup_fd; /* a duplicate, watched while we do not read: see watch_hangup() */
	struct event *read;
	struct event *write;
	struct event *hangup;
	struct event *work; /* everything that must not happen inside a caller's call */
	struct buffer in;   /* bytes not yet understood */
	struct buffer out;
	size_t scanned; /* bytes of in without a newline */
	struct fd_queue fds;
	struct request_list requests;
	struct channel_list channels;
	size_t in_flight;
	bool skipping;  /* the rest of a line that was too long */
	bool backlog;   /* in may hold whole lines that were left when we paused */
	bool end;       /* the client sends no more; it may still read */
	bool congested; /* see conn_is_congested() */
	bool dead;
	bool reaped;
};

struct request {
	struct conn *conn;
	struct batch *batch; /* NULL: on its own */
	LIST_ENTRY(request) link;
	struct json_object *json;
	struct json_object *id; /* in json; NULL: a notification */
	const struct method *method;
	const void *params;
	struct arena arena;
	int *fds; /* in the arena; -1: taken */
	size_t fd_count;
	struct request_watch watch;
	void *watch_userdata;
	bool cancelled;
	bool told_disconnect;
};

/* ---- server.c ---- */
/* Runs conn_reap() soon, from a callback of the server's own. */
void server_reap_later(struct server *s, struct conn *c);

/* Whether what the connections of C's user hold, unread lines and unsent replies, is too much. */
bool server_is_overfull(const struct server *s, const struct conn *c);

/* ---- request.c ---- */
/* A request in flight on C. CALL_JSON's reference is taken; ID is in it. NULL: no memory. */
struct request *request_new(struct conn *c, struct batch *b, struct json_object *call_json,
			    struct json_object *id);
/* Overwrites the parameters of a call that has ended, or that became no request. */
void request_wipe_params(struct json_object *call_json);
/* Ends the request with a result that is JSON text already. */
void request_reply_text(struct request *r, const char *result);
/* The connection is gone, or has room again. */
void request_tell_disconnect(struct request *r);
void request_tell_drain(struct request *r);
/* Somebody wants it cancelled. */
void request_tell_cancel(struct request *r);

/* ---- channel.c ---- */
/* C has room again, or is gone. */
void channels_tell_drain(struct conn *c);
void channels_tell_closed(struct conn *c);

/* ---- batch.c ---- */
/* Answers to come; the maker holds one until batch_put(). NULL: no memory. */
struct batch *batch_new(struct conn *c);
struct batch *batch_get(struct batch *b); /* one more answer to come */
/* One less to come; the last one sends what there is. */
void batch_put(struct batch *b);
/* Where the next answer goes; batch_commit() after it. NULL: nobody will read it. */
struct buffer *batch_begin(struct batch *b);
void batch_commit(struct batch *b, int r);

/* ---- dispatch.c ---- */
void dispatch_line(struct conn *c, const char *line, size_t size);
