/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The JSON side of a client, for the typed functions: what client.h does in text, in objects. */

#include <stdbool.h>

#include "sandboxd/client.h"

struct json_object;

/* Methods that change nothing, NULL at the end: a lost connection is no reason to fail. */
extern const char *const client_asking_methods[];

struct client_call {
	const char *method;
	struct json_object *params; /* taken; NULL: no memory */
	const int *fds;
	size_t n_fds;
	/* not NULL: it may be sent again over another connection, for which this adapts PARAMS */
	void (*again)(struct json_object *params, void *userdata);
	void *userdata;
};

/* As sandboxd_call(); *RET_RESULT (may be NULL) is a new reference. */
int client_call_with(struct sandboxd_client *c, const struct client_call *call,
		     struct json_object **ret_result, struct sandboxd_error *reterr);
/* As sandboxd_call(); the reference to PARAMS (NULL: no memory) is taken, *RET_RESULT (may be NULL)
 * is a new one. */
int client_call(struct sandboxd_client *c, const char *method, struct json_object *params,
		const int *fds, size_t n_fds, struct json_object **ret_result,
		struct sandboxd_error *reterr);

/* As sandboxd_send(), PARAMS taken. */
int client_send(struct sandboxd_client *c, const char *method, struct json_object *params,
		sandboxd_reply_callback *done, void *userdata);

/* The connection has ended: whether the daemon cannot have read the whole request ID, so that it
 * may be sent again. */
bool client_never_got(const struct sandboxd_client *c, uint64_t id);

/* An id for a command, by which its caller finds it again. Returns 0 or negative errno. */
#define EXEC_ID_SIZE 34
int client_make_exec_id(char id[static EXEC_ID_SIZE]);

/* How far the output of one command was delivered. */
enum { EXEC_STDOUT, EXEC_STDERR, EXEC_OUTPUT, EXEC_STREAM_MAX };
extern const char *const exec_stream_names[EXEC_STREAM_MAX];
struct exec_progress {
	const char *exec_id;
	uint64_t next[EXEC_STREAM_MAX]; /* offset of the byte to come */
	bool seen[EXEC_STREAM_MAX];
};
/* PROGRESS (borrowed; NULL: none) is kept up to date from now on. */
void client_follow(struct sandboxd_client *c, struct exec_progress *progress);

/* An object with one string, unless VALUE is NULL; NULL: no memory. */
struct json_object *params_new(const char *key, const char *value);
/* Adds a string unless it is NULL. */
void params_add_string(struct json_object *params, const char *key, const char *value);
/* Adds `true` unless FLAG is 0. */
void params_add_flag(struct json_object *params, const char *key, int flag);
/* Adds "K=V" strings as an object. Returns 0 or -EINVAL (no "=" in one). */
int params_add_env(struct json_object *params, const char *key, const char *const *pairs);
