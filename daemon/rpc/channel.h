/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notifications to a client beyond the answer of a request: made from the request that asked for
 * them, ended by its owner or with the connection. Knows nothing of what goes through it. */

#include <stdbool.h>
#include <stddef.h>

struct channel;
struct json_object;
struct request;

#define CHANNEL_NAME_SIZE 32

/* None is called from inside a call into the channel. */
struct channel_watch {
	void (*on_drain)(void *userdata);  /* there is room again; must not free a channel */
	void (*on_closed)(void *userdata); /* the client is gone: free it */
};

/* On R's connection. Returns 0, -EMFILE (CHANNELS_PER_CONNECTION_MAX) or -ENOMEM. */
int channel_new(struct channel **ret, struct request *r, const struct channel_watch *watch,
		void *userdata);
void channel_free(struct channel *c); /* accepts NULL */

/* Unique in the daemon's life. */
const char *channel_name(const struct channel *c);
/* The userdata of the one of that name on R's connection, or NULL. */
void *channel_find(const struct request *r, const char *name);

/* PARAMS' reference is taken. */
void channel_notify(struct channel *c, const char *method, struct json_object *params);
/* As request_writable(). */
bool channel_writable(const struct channel *c);
