/* SPDX-License-Identifier: Apache-2.0 */
/* The new database is made beside the damaged one and takes its name only when it is whole, so that
 * a full disk or the end of the machine loses nothing: the next start begins again.
 *
 * Rows are copied one by one, table by table, first up to the first page that cannot be read, then
 * from the other end. A row that does not fit the new table is left out. */

#include "store/rescue.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/store-private.h"
#include "store/store.h"
#include "util/log.h"
#include "util/strings.h"

#define TIME_SIZE 32

struct rescue {
	sqlite3 *from;
	sqlite3 *to;
	char *columns; /* of the table under way, those that both have: "a, b" */
	char *holes;   /* "?, ?" */
	unsigned long long rows;
};

/* ---- copying ---- */

/* The columns of TABLE in TO that FROM has too. Returns 0 (perhaps without any) or -ENOMEM. */
static int find_columns(struct rescue *r, const char *table)
{
	static const char sql[] = "SELECT name FROM pragma_table_info(?)";
	sqlite3_stmt *stmt = NULL;
	const char *name;
	char *columns, *holes;
	int error = 0;

	if (sqlite3_prepare_v2(r->to, sql, -1, &stmt, NULL) != SQLITE_OK)
		return -ENOMEM;
	(void)sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC); /* unbound: no columns */
	while (error == 0 && sqlite3_step(stmt) == SQLITE_ROW) {
		name = (const char *)sqlite3_column_text(stmt, 0);
		if (!name || sqlite3_table_column_metadata(r->from, NULL, table, name, NULL, NULL,
							   NULL, NULL, NULL) != SQLITE_OK)
			continue;
		columns = string_format("%s%s\"%s\"", r->columns ? r->columns : "",
					r->columns ? ", " : "", name);
		holes = string_format("%s?", r->holes ? r->holes : "");
		if (r->holes && holes) {
			free(holes);
			holes = string_format("%s, ?", r->holes);
		}
		error = columns && holes ? 0 : -ENOMEM;
		free(r->columns);
		free(r->holes);
		r->columns = columns;
		r->holes = holes;
	}
	(void)sqlite3_finalize(stmt); /* repeats the error of the last step */
	return error;
}

/* Returns 1 when the row was copied, 0 when the table has it already or does not take it. */
static int copy_row(sqlite3_stmt *row, sqlite3_stmt *insert)
{
	int i, code, n = sqlite3_column_count(row);

	for (i = 0; i < n; i++)
		if (sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i)) != SQLITE_OK)
			return -ENOMEM;
	code = sqlite3_step(insert);
	(void)sqlite3_reset(insert); /* repeats the error of the step */
	if (code == SQLITE_DONE)
		return sqlite3_changes(sqlite3_db_handle(insert)) > 0;
	if ((code & 0xff) == SQLITE_FULL)
		return -ENOSPC;
	return (code & 0xff) == SQLITE_CONSTRAINT ? 0 : -EIO;
}

/* What ends the reading is the damage. */
static int copy_rows(struct rescue *r, const char *select, sqlite3_stmt *insert)
{
	sqlite3_stmt *row = NULL;
	int copied = 0;

	if (sqlite3_prepare_v2(r->from, select, -1, &row, NULL) != SQLITE_OK)
		return 0;
	while (copied >= 0 && sqlite3_step(row) == SQLITE_ROW) {
		copied = copy_row(row, insert);
		if (copied > 0)
			r->rows++;
	}
	(void)sqlite3_finalize(row); /* repeats the error of the last step */
	return copied < 0 ? copied : 0;
}

/* Tables without a rowid are small, and are read once. */
static int copy_from_both_ends(struct rescue *r, const char *table, sqlite3_stmt *insert)
{
	static const char *const orders[] = { "", " ORDER BY rowid DESC" };
	size_t i;
	int error = 0;

	for (i = 0; error == 0 && i < ARRAY_SIZE(orders); i++) {
		CLEANUP_STR char *select =
			string_format("SELECT %s FROM \"%s\"%s", r->columns, table, orders[i]);

		error = select ? copy_rows(r, select, insert) : -ENOMEM;
	}
	return error;
}

static int copy_table(struct rescue *r, const char *table)
{
	CLEANUP_STR char *sql = NULL;
	sqlite3_stmt *insert = NULL;
	int error;

	free(TAKE_PTR(r->columns));
	free(TAKE_PTR(r->holes));
	error = find_columns(r, table);
	if (error < 0 || !r->columns)
		return error;
	sql = string_format("INSERT OR IGNORE INTO \"%s\" (%s) VALUES (%s)", table, r->columns,
			    r->holes);
	if (!sql || sqlite3_prepare_v2(r->to, sql, -1, &insert, NULL) != SQLITE_OK)
		return -ENOMEM;
	error = copy_from_both_ends(r, table, insert);
	(void)sqlite3_finalize(insert); /* repeats the error of the last step */
	return error;
}

static int copy_tables(struct rescue *r)
{
	static const char sql[] =
		"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
	sqlite3_stmt *tables = NULL;
	int error = 0;

	if (sqlite3_exec(r->to, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(r->to, sql, -1, &tables, NULL) != SQLITE_OK)
		return -ENOMEM;
	while (error == 0 && sqlite3_step(tables) == SQLITE_ROW)
		error = copy_table(r, (const char *)sqlite3_column_text(tables, 0));
	(void)sqlite3_finalize(tables); /* repeats the error of the last step */
	if (error < 0)
		return error; /* the file is thrown away */
	/* the newest events may be gone: their numbers must not mean others to who has seen them */
	if (sqlite3_exec(r->to, "DELETE FROM meta WHERE key = '" STORE_META_EVENTS "'", NULL, NULL,
			 NULL) != SQLITE_OK)
		return -EIO;
	if (sqlite3_exec(r->to, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return (sqlite3_errcode(r->to) & 0xff) == SQLITE_FULL ? -ENOSPC : -EIO;
}

/* FROM is only read, its log too. */
static int copy(struct rescue *r, const char *path, const char *fresh)
{
	struct store *s = NULL;
	int error;

	error = store_open_file(&s, fresh, true); /* makes the tables */
	if (error < 0)
		return error;
	store_free(s);
	if (sqlite3_open_v2(fresh, &r->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW, NULL) !=
		    SQLITE_OK ||
	    sqlite3_exec(r->to, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL", NULL,
			 NULL, NULL) != SQLITE_OK) /* all of it is in one file */
		error = -EIO;
	else if (sqlite3_open_v2(path, &r->from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOFOLLOW,
				 NULL) != SQLITE_OK)
		error = -EIO;
	else
		error = copy_tables(r);
	if (sqlite3_close(r->from) != SQLITE_OK || sqlite3_close(r->to) != SQLITE_OK)
		log_error("database: closed with statements in use");
	free(r->columns);
	free(r->holes);
	return error;
}

/* ---- names ---- */

static int unlink_beside(const char *path, const char *suffix)
{
	CLEANUP_STR char *name = string_format("%s%s", path, suffix);

	if (!name)
		return -ENOMEM;
	return unlink(name) < 0 && errno != ENOENT ? -errno : 0;
}

/* The file with its log; what else SQLite left beside it can be made again. */
static int unlink_database(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(suffixes); i++)
		r = unlink_beside(path, suffixes[i]);
	return r;
}

/* The log of PATH, unless there is nothing in it. */
static int move_log(const char *path, const char *aside)
{
	CLEANUP_STR char *from = string_format("%s-wal", path);
	CLEANUP_STR char *to = string_format("%s-wal", aside);
	struct stat st;

	if (!from || !to)
		return -ENOMEM;
	if (stat(from, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return (st.st_size > 0 ? rename(from, to) : unlink(from)) < 0 ? -errno : 0;
}

/* PATH keeps its name until FRESH takes it: a start in between finds the damage again. */
static int change_places(const char *path, const char *fresh, const char *aside)
{
	int r;

	if (link(path, aside) < 0)
		return -errno;
	r = move_log(path, aside);
	if (r == 0)
		r = unlink_beside(path, "-shm");
	if (r == 0 && rename(fresh, path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	(void)move_log(aside, path); /* perhaps it has none */
	(void)unlink(aside);         /* a second name only */
	return r;
}

static char *name_aside(const char *path)
{
	char text[TIME_SIZE];
	time_t now = time(NULL);
	struct tm utc;

	if (!gmtime_r(&now, &utc) || strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &utc) == 0)
		return NULL;
	return string_format("%s.damaged-%s", path, text);
}

int store_rescue(const char *path)
{
	CLEANUP_STR char *fresh = string_format("%s.new", path);
	CLEANUP_STR char *aside = name_aside(path);
	struct rescue r = { 0 };
	int error;

	if (!fresh || !aside)
		return -ENOMEM;
	error = unlink_database(fresh); /* of an earlier try */
	if (error == 0)
		error = copy(&r, path, fresh);
	if (error == 0)
		error = change_places(path, fresh, aside);
	if (error < 0) {
		(void)unlink_database(fresh); /* tried again at the next start */
		return log_errno(LOG_LEVEL_ERROR, error,
				 "%s is damaged, and nothing can be put in its place", path);
	}
	log_error("%s was damaged: it is kept as %s, going on with the %llu rows that could be "
		  "read",
		  path, aside, r.rows);
	return 0;
}
