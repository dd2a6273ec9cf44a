/* SPDX-License-Identifier: Apache-2.0 */
/* A channel belongs to whoever made it and holds a reference to its connection, in whose list it
 * is. */

#include "rpc/channel.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "codec.h"
#include "rpc/conn.h"
#include "rpc/internal.h"

struct channel {
	struct conn *conn;
	struct channel_watch watch;
	void *userdata;
	bool told; /* that it is closed */
	char name[CHANNEL_NAME_SIZE];
	LIST_ENTRY(channel) link;
};

int channel_new(struct channel **ret, struct request *r, const struct channel_watch *watch,
		void *userdata)
{
	struct conn *conn = r->conn;
	struct channel *c;
	size_t n = 0;

	LIST_FOREACH (c, &conn->channels, link)
		n++;
	if (n >= CHANNELS_PER_CONNECTION_MAX)
		return -EMFILE;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->conn = conn_ref(conn);
	c->watch = *watch;
	c->userdata = userdata;
	(void)snprintf(c->name, sizeof(c->name), "s%llu",
		       conn->server ? ++conn->server->channels : 0ULL);
	LIST_INSERT_HEAD(&conn->channels, c, link);
	if (conn_is_dead(conn))
		conn_tell_later(conn);
	*ret = c;
	return 0;
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	LIST_REMOVE(c, link);
	(void)conn_unref(c->conn);
	free(c);
}

const char *channel_name(const struct channel *c)
{
	return c->name;
}

void *channel_find(const struct request *r, const char *name)
{
	struct channel *c;

	LIST_FOREACH (c, &r->conn->channels, link) {
		if (strcmp(c->name, name) == 0)
			return c->userdata;
	}
	return NULL;
}

void channel_notify(struct channel *c, const char *method, struct json_object *params)
{
	struct buffer *out = conn_begin_line(c->conn);

	if (out)
		conn_commit_line(c->conn, codec_add_notification(out, method, params));
	json_object_put(params);
}

bool channel_writable(const struct channel *c)
{
	return !conn_is_dead(c->conn) && !conn_is_congested(c->conn);
}

void channels_tell_drain(struct conn *conn)
{
	struct channel *c;

	LIST_FOREACH (c, &conn->channels, link)
		c->watch.on_drain(c->userdata);
}

void channels_tell_closed(struct conn *conn)
{
	struct channel *c;

	while ((c = LIST_FIRST(&conn->channels)) && !c->told) {
		c->told = true;
		c->watch.on_closed(c->userdata); /* frees it */
	}
}
