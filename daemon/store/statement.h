/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside the store only: cached statements and their values, in order of the columns. The first
 * failure of a bind sticks, so that callers check once, when they run it. */

#include <sqlite3.h>
#include <stdint.h>

#include "params.h"

struct store;

/* What is prepared once and kept; the SQL is in statement.c. */
enum store_sql {
	STORE_META_GET,
	STORE_META_SET,
	STORE_SANDBOX_INSERT,
	STORE_SANDBOX_UPDATE,
	STORE_SANDBOX_CLAIM,
	STORE_SANDBOX_DELETE,
	STORE_SANDBOX_LOAD,
	STORE_EXEC_INSERT,
	STORE_EXEC_UPDATE,
	STORE_EXEC_DELETE,
	STORE_EXEC_DELETE_SANDBOX,
	STORE_EXEC_LOAD,
	STORE_TEMPLATE_INSERT,
	STORE_TEMPLATE_UPDATE,
	STORE_TEMPLATE_DELETE,
	STORE_TEMPLATE_LIST,
	STORE_LOOP_INSERT,
	STORE_LOOP_UPDATE,
	STORE_LOOP_DELETE,
	STORE_LOOP_LOAD,
	STORE_LOOP_KEEP,
	STORE_LOOP_KEPT,
	STORE_LOOP_KEPT_DELETE,
	STORE_LOOP_KEPT_TRIM,
	STORE_POOL_SET,
	STORE_POOL_DELETE,
	STORE_POOL_LOAD,
	STORE_LEASE_INSERT,
	STORE_LEASE_UPDATE,
	STORE_LEASE_DELETE,
	STORE_LEASE_LOAD,
	STORE_EVENT_INSERT,
	STORE_EVENT_LOAD,
	STORE_EVENT_OLDEST,
	STORE_EVENT_DELETE,
	STORE_EVENT_COUNTS,
	STORE_EVENT_FLOOR_SET,
	STORE_EVENT_FLOORS,
	STORE_KEY_INSERT,
	STORE_KEY_GET,
	STORE_KEY_DONE,
	STORE_KEY_EXEC_DONE,
	STORE_KEY_DELETE,
	STORE_KEY_DELETE_EXEC,
	STORE_KEY_CREATES_DONE,
	STORE_KEY_DELETE_BEGUN,
	STORE_KEY_DELETE_OLD,
	STORE_KEY_COUNT,
	STORE_SQL_MAX,
};

struct statement {
	struct store *store;
	sqlite3_stmt *stmt;
	int next;  /* parameter to bind, or column to read */
	int error; /* sticky SQLite code */
};

/* Begins to use SQL; statement_end() must follow whatever happens. */
void statement_begin(struct statement *st, struct store *s, enum store_sql sql);
/* Gives it back to the cache; borrowed columns are gone after it. */
void statement_end(struct statement *st);

void bind_text(struct statement *st, const char *text); /* NULL: null */
void bind_int(struct statement *st, int64_t value);
void bind_blob(struct statement *st, struct bytes b); /* never null */

/* The next row's columns: 1 there is one, 0 no more, or negative errno. */
int statement_step(struct statement *st);
const char *column_text(struct statement *st); /* NULL for null */
int64_t column_int(struct statement *st);
struct bytes column_blob(struct statement *st);

/* Runs a writing statement and ends it. Returns rows changed or negative errno. */
int statement_run(struct statement *st);
/* The same, with 0 for success and -ENOENT when no row changed. */
int statement_run_one(struct statement *st);
