/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The RPC server: listener, connections, dispatch. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event_base;
struct request;
struct server;

/* Handlers by enum method_id (proto/methods.h); NULL: refused as not available in this version. */
typedef void method_handler(struct request *r, void *userdata);

struct server_config {
	struct event_base *base;
	int listen_fd; /* taken over */
	method_handler *const *handlers;
	void *userdata; /* for handlers */
	/* May this peer speak to us? Asked once per connection, before anything is read. NULL:
	 * everybody. A refused peer gets one error line and is closed. */
	bool (*admit)(uid_t uid, pid_t pid, void *userdata);
};

/* Returns 0 or negative errno. */
int server_new(struct server **ret, const struct server_config *config);
/* Stops accepting; connections live on until server_free(). */
void server_stop_accepting(struct server *s);
size_t server_connection_count(const struct server *s);
size_t server_requests_in_flight(const struct server *s);
/* True when every reply was sent: for a clean stop. */
bool server_is_flushed(const struct server *s);
void server_free(struct server *s);
