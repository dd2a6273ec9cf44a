/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of TEMPLATE_COLUMNS in statement.c. */

#include "store/templates.h"

#include "store/statement.h"
#include "store/store.h"

static void bind_changing(struct statement *st, const struct store_template *row)
{
	bind_int(st, row->peer);
	bind_text(st, row->digest);
	bind_text(st, row->base);
	bind_text(st, row->tool);
	bind_text(st, row->version);
	bind_text(st, row->layer);
	bind_int(st, (int64_t)row->size_bytes);
	bind_int(st, row->created_at_ms);
	bind_text(st, row->state);
	bind_blob(st, row->lowers);
}

int store_template_insert(struct store *s, const struct store_template *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_TEMPLATE_INSERT);
	bind_text(&st, row->name);
	bind_int(&st, row->owner);
	bind_changing(&st, row);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_template_update(struct store *s, const struct store_template *row)
{
	struct statement st;

	statement_begin(&st, s, STORE_TEMPLATE_UPDATE);
	bind_changing(&st, row);
	bind_int(&st, row->owner);
	bind_text(&st, row->name);
	return statement_run_one(&st);
}

int store_template_delete(struct store *s, uid_t owner, const char *name)
{
	struct statement st;

	statement_begin(&st, s, STORE_TEMPLATE_DELETE);
	bind_int(&st, owner);
	bind_text(&st, name);
	return statement_run_one(&st);
}

int store_template_list(struct store *s, store_template_row *fn, void *userdata)
{
	struct store_template row;
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_TEMPLATE_LIST);
	while ((r = statement_step(&st)) > 0) {
		row.name = column_text(&st);
		row.owner = (uid_t)column_int(&st);
		row.peer = (uid_t)column_int(&st);
		row.digest = column_text(&st);
		row.base = column_text(&st);
		row.tool = column_text(&st);
		row.version = column_text(&st);
		row.layer = column_text(&st);
		row.size_bytes = (uint64_t)column_int(&st);
		row.created_at_ms = column_int(&st);
		row.state = column_text(&st);
		row.lowers = column_blob(&st);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}
