/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The JSON side of a client, for the typed functions: what client.h does in text, in objects. */

#include "sandboxd/client.h"

struct json_object;

/* As sandboxd_call(); the reference to PARAMS (NULL: no memory) is taken, *RET_RESULT (may be NULL)
 * is a new one. */
int client_call(struct sandboxd_client *c, const char *method, struct json_object *params,
		const int *fds, size_t n_fds, struct json_object **ret_result,
		struct sandboxd_error *reterr);

/* As sandboxd_send(), PARAMS taken. */
int client_send(struct sandboxd_client *c, const char *method, struct json_object *params,
		sandboxd_reply_callback *done, void *userdata);

/* Adds a string unless it is NULL. */
void params_add_string(struct json_object *params, const char *key, const char *value);
/* Adds "K=V" strings as an object. Returns 0 or -EINVAL (no "=" in one). */
int params_add_env(struct json_object *params, const char *key, const char *const *pairs);
