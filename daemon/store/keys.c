/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of KEY_COLUMNS in statement.c. */

#include "store/keys.h"

#include <errno.h>

#include "store/statement.h"
#include "store/store.h"

int store_key_insert(struct store *s, const struct store_key *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_KEY_INSERT);
	bind_int(&st, row->peer);
	bind_text(&st, row->key);
	bind_int(&st, row->method);
	bind_text(&st, row->digest);
	bind_text(&st, row->subject);
	bind_text(&st, row->exec);
	bind_text(&st, row->base_sha);
	bind_int(&st, row->done);
	bind_text(&st, row->result);
	bind_int(&st, row->created_at_ms);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_key_get(struct store *s, uid_t peer, const char *key, store_key_row *fn, void *userdata)
{
	struct store_key row;
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_KEY_GET);
	bind_int(&st, peer);
	bind_text(&st, key);
	r = statement_step(&st);
	if (r > 0) {
		row.peer = (uid_t)column_int(&st);
		row.key = column_text(&st);
		row.method = (uint32_t)column_int(&st);
		row.digest = column_text(&st);
		row.subject = column_text(&st);
		row.exec = column_text(&st);
		row.base_sha = column_text(&st);
		row.done = column_int(&st) != 0;
		row.result = column_text(&st);
		row.created_at_ms = column_int(&st);
		fn(&row, userdata);
	}
	statement_end(&st);
	return r;
}

int store_key_done(struct store *s, uid_t peer, const char *key, const char *result)
{
	struct statement st;

	statement_begin(&st, s, STORE_KEY_DONE);
	bind_text(&st, result);
	bind_int(&st, peer);
	bind_text(&st, key);
	return statement_run_one(&st);
}

int store_key_exec_done(struct store *s, const char *exec, uint32_t method, const char *result)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_KEY_EXEC_DONE);
	bind_text(&st, result);
	bind_text(&st, exec);
	bind_int(&st, method);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_key_delete(struct store *s, uid_t peer, const char *key)
{
	struct statement st;

	statement_begin(&st, s, STORE_KEY_DELETE);
	bind_int(&st, peer);
	bind_text(&st, key);
	return statement_run_one(&st);
}

int store_key_delete_exec(struct store *s, const char *exec)
{
	struct statement st;

	statement_begin(&st, s, STORE_KEY_DELETE_EXEC);
	bind_text(&st, exec);
	return statement_run_one(&st);
}

static int run_with_number(struct store *s, enum store_sql sql, int64_t number)
{
	struct statement st;
	int r;

	statement_begin(&st, s, sql);
	bind_int(&st, number);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_key_settle_creates(struct store *s, uint32_t method)
{
	int r = run_with_number(s, STORE_KEY_CREATES_DONE, method);

	return r < 0 ? r : run_with_number(s, STORE_KEY_DELETE_BEGUN, method);
}

int store_key_delete_old(struct store *s, int64_t before_ms)
{
	return run_with_number(s, STORE_KEY_DELETE_OLD, before_ms);
}

int64_t store_key_count(struct store *s)
{
	struct statement st;
	int64_t count = 0;
	int r;

	statement_begin(&st, s, STORE_KEY_COUNT);
	r = statement_step(&st);
	if (r > 0)
		count = column_int(&st);
	statement_end(&st);
	return r < 0 ? r : count;
}
