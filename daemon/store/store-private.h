/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The body of struct store, for store.c and statement.c. */

#include <sqlite3.h>
#include <stdbool.h>

#include "store/statement.h"

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STORE_SQL_MAX];
	int changes; /* sqlite3_total_changes() when store_checkpoint() had done its work */
	bool batch;  /* between store_batch_begin() and its end */
};

/* The negative errno of an SQLite code, logged when it is unexpected. */
int store_error(struct store *s, int code, const char *what);
/* As store_open(), but it leaves a damaged file alone: -EBADMSG. */
int store_open_file(struct store **ret, const char *path, bool durable);
