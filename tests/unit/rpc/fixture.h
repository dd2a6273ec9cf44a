/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A real server on a socket in a temporary folder, its loop, and clients, all in one thread.
 * Methods are replaced by handlers that show what the transport did: sandbox.get   answers {"name":
 * …} at once exec.run      says exec.started, then answers {"fds": n, "text": what it read from fd
 * 0}; with detach it is held exec.wait     is held until the test ends it exec.read     answers
 * limitBytes of text exec.attach   streams STREAM_CHUNKS notifications, stops while it may not
 * write, then answers
 * secret.set    answers {"secret": its name, "value": the value} */

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "buffer.h"
#include "rpc/request.h"
#include "rpc/server.h"

#define STREAM_CHUNKS 400
#define STREAM_CHUNK_SIZE 65536
#define HELD_MAX 2048

struct fixture {
	struct event_base *base;
	struct server *server;
	char dir[32];
	char path[64];
	bool refuse_peers; /* what admit() says */
	bool watch_late;   /* held requests are not watched until fixture_watch() */
	struct request *held[HELD_MAX];
	size_t held_count;
	size_t cancelled;
	size_t disconnected;
	size_t drained;
	size_t chunks_sent;
	size_t handled;
};

struct client {
	struct fixture *fixture;
	int fd;
	struct buffer in;
	bool ended; /* the server closed */
};

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
/* Runs the loop until nothing happens any more. */
void fixture_run(struct fixture *f);
/* Ends the newest held request with {}. */
void fixture_release(struct fixture *f);
/* The same with SIZE bytes of text. */
void fixture_release_with(struct fixture *f, size_t size);
/* Watches the newest held request. */
void fixture_watch(struct fixture *f);

void client_open(struct client *c, struct fixture *f);
void client_close(struct client *c);
/* Sends bytes as they are, running the server while the socket is full. */
void client_send_bytes(struct client *c, const void *data, size_t size);
/* Sends TEXT and a newline. */
void client_send(struct client *c, const char *text);
/* Sends bytes with descriptors beside the first one. */
void client_send_fds(struct client *c, const char *text, const int *fds, size_t n);
/* The next line, or NULL when the server closed. Fails after some seconds. The caller puts it. */
struct json_object *client_read(struct client *c);
/* Sends TEXT and reads the next line. */
struct json_object *client_ask(struct client *c, const char *text);
/* Fails if a line is there or comes. */
void client_expect_silence(struct client *c);
void client_expect_end(struct client *c);
/* The next line must be this error (FIELD may be NULL: none) for this id ("null", "7", "\"a\""). */
void client_expect_error(struct client *c, const char *id, int code, const char *field);
/* The next line must be a result for this id. */
void client_expect_result(struct client *c, const char *id);

/* A member by a dotted path, or NULL; and its text. */
struct json_object *json_at(struct json_object *json, const char *path);
const char *json_text(struct json_object *json, const char *path);
