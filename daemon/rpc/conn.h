/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One client: bytes and descriptors in, lines out. See conn.c for who owns what. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "buffer.h"
#include "error.h"

struct conn;
struct json_object;
struct request;
struct server;

/* Takes FD over, whatever happens. *RET is linked to the server, which holds the first reference.
 * Returns 0 or negative errno. */
int conn_new(struct conn **ret, struct server *s, int fd, const struct ucred *peer);
struct conn *conn_ref(struct conn *c);
struct conn *conn_unref(struct conn *c); /* returns NULL */

/* Ends it: nothing more is read or sent. The server reaps it later. */
void conn_kill(struct conn *c);
/* For the server's reap: tells the requests in flight, closes, and for LAST (the server goes too)
 * forgets the server. */
void conn_reap(struct conn *c, bool last);

struct server *conn_server(const struct conn *c);
uid_t conn_uid(const struct conn *c);
pid_t conn_pid(const struct conn *c);
bool conn_is_dead(const struct conn *c);
/* More than RPC_OUTPUT_HIGH bytes were unsent and not fewer than RPC_OUTPUT_LOW since. */
bool conn_is_congested(const struct conn *c);
bool conn_is_flushed(const struct conn *c);

/* A line to send: append it to the buffer (NULL: the connection is dead), then commit with the
 * outcome, which ends the line. */
struct buffer *conn_begin_line(struct conn *c);
void conn_commit_line(struct conn *c, int r);
/* The answer to a line that is no request. Descriptors that wait can belong to nothing then: they
 * are closed and the connection ends. */
void conn_refuse_line(struct conn *c, const struct error *e);

/* Descriptors: 0, or -ENOENT when fewer than N wait. */
int conn_take_fds(struct conn *c, int *fds, size_t n);

/* Requests in flight: linked from their creation to their end. */
void conn_add_request(struct conn *c, struct request *r);
void conn_remove_request(struct conn *c, struct request *r);
/* The one with ID, or NULL. */
struct request *conn_find_request(const struct conn *c, struct json_object *id);
/* A request began to care after the connection was gone: it will be told. */
void conn_tell_later(struct conn *c);
