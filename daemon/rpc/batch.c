/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of one batch, gathered until the last call is done. Each request of it holds one
 * place, its maker another while it makes them. */

#include <stdlib.h>

#include "bounds.h"
#include "macro.h"
#include "rpc/conn.h"
#include "rpc/internal.h"

struct batch {
	struct conn *conn;
	size_t pending;
	struct buffer out; /* answers, each behind a bracket or a comma */
	bool failed;       /* no memory: the connection must not go on as if nothing were missing */
};

struct batch *batch_new(struct conn *c)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->conn = conn_ref(c);
	b->pending = 1;
	return b;
}

struct batch *batch_get(struct batch *b)
{
	b->pending++;
	return b;
}

static void send_answers(struct batch *b)
{
	struct buffer *out = conn_begin_line(b->conn);
	int r = b->failed ? -ENOMEM : 0;

	if (!out || (buffer_size(&b->out) == 0 && !b->failed))
		return; /* nothing but notifications: no answer */
	out->wipes |= b->out.wipes;
	if (r == 0)
		r = buffer_add(out, buffer_data(&b->out), buffer_size(&b->out));
	if (r == 0)
		r = buffer_add_text(out, "]");
	conn_commit_line(b->conn, r);
}

void batch_put(struct batch *b)
{
	if (--b->pending > 0)
		return;
	send_answers(b);
	buffer_deinit(&b->out);
	conn_unref(b->conn);
	free(b);
}

struct buffer *batch_begin(struct batch *b)
{
	if (conn_is_dead(b->conn) || b->failed)
		return NULL;
	if (buffer_add_text(&b->out, buffer_size(&b->out) == 0 ? "[" : ",") < 0) {
		b->failed = true;
		return NULL;
	}
	return &b->out;
}

void batch_commit(struct batch *b, int r)
{
	if (r < 0 || buffer_size(&b->out) > RPC_OUTPUT_MAX)
		b->failed = true;
}
