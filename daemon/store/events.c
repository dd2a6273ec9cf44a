/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of EVENT_COLUMNS in statement.c. */

#include "store/events.h"

#include "store/statement.h"
#include "store/store.h"

int store_event_insert(struct store *s, const struct store_event *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_EVENT_INSERT);
	bind_int(&st, row->seq);
	bind_int(&st, row->at_ms);
	bind_int(&st, row->peer);
	bind_text(&st, row->type);
	bind_text(&st, row->loop_id);
	bind_text(&st, row->sandbox);
	bind_text(&st, row->sandbox_id);
	bind_text(&st, row->exec_id);
	bind_text(&st, row->tool);
	bind_text(&st, row->state);
	bind_blob(&st, row->labels);
	bind_blob(&st, row->facts);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_event_load(struct store *s, int64_t after, int64_t limit, store_event_row *fn,
		     void *userdata)
{
	struct store_event row;
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_EVENT_LOAD);
	bind_int(&st, after);
	bind_int(&st, limit);
	while ((r = statement_step(&st)) > 0) {
		row.seq = column_int(&st);
		row.at_ms = column_int(&st);
		row.peer = column_int(&st);
		row.type = column_text(&st);
		row.loop_id = column_text(&st);
		row.sandbox = column_text(&st);
		row.sandbox_id = column_text(&st);
		row.exec_id = column_text(&st);
		row.tool = column_text(&st);
		row.state = column_text(&st);
		row.labels = column_blob(&st);
		row.facts = column_blob(&st);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}

int store_event_oldest(struct store *s, int64_t peer, int64_t limit, store_event_age *fn,
		       void *userdata)
{
	struct statement st;
	int64_t seq;
	int r;

	statement_begin(&st, s, STORE_EVENT_OLDEST);
	bind_int(&st, peer);
	bind_int(&st, limit);
	while ((r = statement_step(&st)) > 0) {
		seq = column_int(&st);
		r = fn(seq, column_int(&st), userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}

int store_event_delete(struct store *s, int64_t peer, int64_t upto)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_EVENT_FLOOR_SET);
	bind_int(&st, peer);
	bind_int(&st, upto);
	r = statement_run(&st);
	if (r < 0)
		return r;
	statement_begin(&st, s, STORE_EVENT_DELETE);
	bind_int(&st, peer);
	bind_int(&st, upto);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

static int each_peer(struct store *s, enum store_sql sql, store_event_peer_row *fn, void *userdata)
{
	struct store_event_peer row;
	struct statement st;
	int r;

	statement_begin(&st, s, sql);
	while ((r = statement_step(&st)) > 0) {
		row.peer = column_int(&st);
		row.count = column_int(&st);
		row.last = column_int(&st);
		row.floor = column_int(&st);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}

int store_event_peers(struct store *s, store_event_peer_row *fn, void *userdata)
{
	int r = each_peer(s, STORE_EVENT_COUNTS, fn, userdata);

	return r == 0 ? each_peer(s, STORE_EVENT_FLOORS, fn, userdata) : r;
}
