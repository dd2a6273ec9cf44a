/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of POOL_COLUMNS in statement.c. */

#include "store/pools.h"

#include "store/statement.h"
#include "store/store.h"

int store_pool_set(struct store *s, const struct store_pool *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_POOL_SET);
	bind_int(&st, row->owner);
	bind_text(&st, row->template_name);
	bind_int(&st, row->min);
	bind_int(&st, row->max);
	bind_int(&st, row->max_age_ms);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_pool_delete(struct store *s, uid_t owner, const char *template_name)
{
	struct statement st;

	statement_begin(&st, s, STORE_POOL_DELETE);
	bind_int(&st, owner);
	bind_text(&st, template_name);
	return statement_run_one(&st);
}

int store_pool_load(struct store *s, store_pool_row *fn, void *userdata)
{
	struct store_pool row;
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_POOL_LOAD);
	while ((r = statement_step(&st)) > 0) {
		row.owner = (uid_t)column_int(&st);
		row.template_name = column_text(&st);
		row.min = (uint32_t)column_int(&st);
		row.max = (uint32_t)column_int(&st);
		row.max_age_ms = column_int(&st);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}
