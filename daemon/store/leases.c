/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of LEASE_COLUMNS in statement.c. */

#include "store/leases.h"

#include "store/statement.h"
#include "store/store.h"

int store_lease_insert(struct store *s, const struct store_lease *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LEASE_INSERT);
	bind_text(&st, row->id);
	bind_int(&st, row->owner);
	bind_text(&st, row->secret);
	bind_text(&st, row->holder);
	bind_int(&st, row->holder_peer);
	bind_text(&st, row->holder_id);
	bind_text(&st, row->loop_id);
	bind_text(&st, row->sandbox);
	bind_text(&st, row->stage);
	bind_text(&st, row->file);
	bind_text(&st, row->remote_id);
	bind_int(&st, row->ttl_ms);
	bind_int(&st, row->renew);
	bind_int(&st, row->created_at_ms);
	bind_int(&st, row->expires_at_ms);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_lease_update(struct store *s, const struct store_lease *row)
{
	struct statement st;

	statement_begin(&st, s, STORE_LEASE_UPDATE);
	bind_text(&st, row->remote_id);
	bind_int(&st, row->ttl_ms);
	bind_int(&st, row->expires_at_ms);
	bind_text(&st, row->id);
	return statement_run_one(&st);
}

int store_lease_delete(struct store *s, const char *id)
{
	struct statement st;

	statement_begin(&st, s, STORE_LEASE_DELETE);
	bind_text(&st, id);
	return statement_run_one(&st);
}

int store_lease_load(struct store *s, store_lease_row *fn, void *userdata)
{
	struct store_lease row;
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LEASE_LOAD);
	while ((r = statement_step(&st)) > 0) {
		row.id = column_text(&st);
		row.owner = (uid_t)column_int(&st);
		row.secret = column_text(&st);
		row.holder = column_text(&st);
		row.holder_peer = (uid_t)column_int(&st);
		row.holder_id = column_text(&st);
		row.loop_id = column_text(&st);
		row.sandbox = column_text(&st);
		row.stage = column_text(&st);
		row.file = column_text(&st);
		row.remote_id = column_text(&st);
		row.ttl_ms = column_int(&st);
		row.renew = column_int(&st) != 0;
		row.created_at_ms = column_int(&st);
		row.expires_at_ms = column_int(&st);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}
