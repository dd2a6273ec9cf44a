/* SPDX-License-Identifier: Apache-2.0 */
/* One connection, used by one thread; the lock file of the state directory keeps other daemons
 * away. Each write is a transaction, alone or in a batch. synchronous=NORMAL: after a crash of the
 * machine the last commits may be missing, the database is whole; nothing that was lost can still
 * be running then.
 *
 * The log is moved into the database by store_checkpoint() when the daemon is idle, and by SQLite
 * itself only when it has grown to WAL_PAGES_MAX. */

#include "store/store.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/migrations.h"
#include "store/rescue.h"
#include "store/store-private.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

#define META_CHECKPOINT "checkpoint" /* holds nothing: writing it is what counts */
/* The first bytes of a database file (sqlite.org/fileformat2.html). */
#define HEAD_MAGIC "SQLite format 3"
#define HEAD_SIZE 100
#define HEAD_VERSION_AT 60 /* user_version, big-endian */
#define VERSION_MAX 9999   /* beyond is no version, but damage */
#define WAL_PAGES_MAX 8192 /* 32 MiB */

int store_error(struct store *s, int code, const char *what)
{
	int os = s->db ? sqlite3_system_errno(s->db) : 0;

	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
		if (code != SQLITE_READONLY_DBMOVED)
			return -EROFS;
		break;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		if (os == ENOSPC || os == EDQUOT)
			return -ENOSPC;
		if (os == EROFS)
			return -EROFS;
		break;
	default:
		break;
	}
	if (log_ratelimit())
		log_error("database: %s (%d, errno %d) in: %.100s",
			  s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code), code, os, what);
	return (code & 0xff) == SQLITE_NOTADB || (code & 0xff) == SQLITE_CORRUPT ? -EBADMSG : -EIO;
}

static int execute(struct store *s, const char *sql)
{
	int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : store_error(s, code, sql);
}

static int user_version(struct store *s, int *ret)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &stmt, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int(stmt, 0);
	(void)sqlite3_finalize(stmt); /* repeats the error */
	return code == SQLITE_ROW ? 0 : store_error(s, code, "PRAGMA user_version");
}

/* One transaction per version: either it is whole or it never was. */
static int migrate_one(struct store *s, int from)
{
	CLEANUP_STR char *sql =
		string_format("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version = %d;\nCOMMIT;",
			      store_migrations[from], from + 1);
	int r;

	if (!sql)
		return -ENOMEM;
	r = execute(s, sql);
	if (r < 0)
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL,
				   NULL); /* it may never have begun */
	return r;
}

static bool is_newer(int64_t version)
{
	return version > STORE_VERSION && version <= VERSION_MAX;
}

static int refuse_newer(const char *path, int64_t version)
{
	log_error("%s has version %lld, this sandboxd knows up to %d: it was used by a newer "
		  "sandboxd; install that again, or start with another --state-dir",
		  path, (long long)version, STORE_VERSION);
	return -EPROTO;
}

static int check_version(struct store *s, const char *path, int *ret)
{
	int r = user_version(s, ret);

	if (r < 0 || (*ret >= 0 && *ret <= STORE_VERSION))
		return r;
	if (is_newer(*ret))
		return refuse_newer(path, *ret);
	log_error("database: its version is %d", *ret);
	return -EBADMSG;
}

/* Reads all of it: damage is found here, and not by whoever asks for a row. */
static int check_pages(struct store *s)
{
	static const char sql[] = "PRAGMA quick_check(1)";
	sqlite3_stmt *stmt = NULL;
	const char *text;
	int code, r = 0;

	code = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code != SQLITE_ROW) {
		r = store_error(s, code, sql);
	} else {
		text = (const char *)sqlite3_column_text(stmt, 0);
		if (!text || strcmp(text, "ok") != 0) {
			log_error("database: %.200s", text ? text : "damaged");
			r = -EBADMSG;
		}
	}
	(void)sqlite3_finalize(stmt); /* repeats the error */
	return r;
}

static int migrate(struct store *s, int version)
{
	int r = 0;

	for (; r == 0 && version < STORE_VERSION; version++)
		r = migrate_one(s, version);
	return r;
}

static int configure(struct store *s, bool durable)
{
	int code;
	int r;

	r = execute(s, "PRAGMA journal_mode = WAL");
	if (r < 0)
		return r;
	r = execute(s, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
	if (r < 0)
		return r;
	code = sqlite3_wal_autocheckpoint(s->db, WAL_PAGES_MAX);
	if (code != SQLITE_OK)
		return store_error(s, code, "wal_autocheckpoint");
	return execute(s, "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512");
}

static int open_checked(struct store *s, const char *path, bool durable)
{
	int version = 0;
	int r;

	(void)sqlite3_extended_result_codes(s->db, 1);
	(void)sqlite3_busy_timeout(s->db, 100); /* an administrator may be looking at it */
	r = check_version(s, path, &version);
	if (r == 0)
		r = check_pages(s);
	if (r == 0)
		r = configure(s, durable);
	return r < 0 ? r : migrate(s, version);
}

int store_open_file(struct store **ret, const char *path, bool durable)
{
	CLEANUP(store_freep) struct store *s = calloc(1, sizeof(*s));
	mode_t mask;
	int code;
	int r;

	if (!s)
		return -ENOMEM;
	mask = umask(077); /* environments of sandboxes are in it */
	code = sqlite3_open_v2(path, &s->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				       SQLITE_OPEN_NOFOLLOW,
			       NULL);
	if (code != SQLITE_OK)
		r = store_error(s, code, path);
	else
		r = open_checked(s, path, durable);
	(void)umask(mask); /* cannot fail */
	if (r < 0) {       /* what is not ours to use is not ours to move the log into, either */
		(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		return r;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

/* Looks at the file without SQLite, which would write beside it: can it be read, and is it a newer
 * program's? */
static int look_at(const char *path)
{
	unsigned char head[HEAD_SIZE];
	uint32_t version;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	n = fd < 0 ? -1 : read(fd, head, sizeof(head));
	if (n < 0) {
		r = -errno;
		return log_errno(LOG_LEVEL_ERROR, r, "cannot read %s", path);
	}
	if (n < HEAD_SIZE || memcmp(head, HEAD_MAGIC, sizeof(HEAD_MAGIC)) != 0)
		return 0; /* empty, or damaged */
	memcpy(&version, head + HEAD_VERSION_AT, sizeof(version));
	version = be32toh(version);
	return is_newer(version) ? refuse_newer(path, version) : 0;
}

int store_open(struct store **ret, const char *path, bool durable)
{
	int r = look_at(path);

	if (r == 0)
		r = store_open_file(ret, path, durable);
	if (r != -EBADMSG)
		return r;
	r = store_rescue(path);
	return r < 0 ? r : store_open_file(ret, path, durable);
}

void store_free(struct store *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < STORE_SQL_MAX; i++)
		(void)sqlite3_finalize(s->statements[i]); /* repeats an old error */
	if (sqlite3_close(s->db) != SQLITE_OK)
		log_error("database: closed with statements in use");
	free(s);
}

int store_batch_begin(struct store *s)
{
	int r = execute(s, "BEGIN");

	s->batch = r == 0;
	return r;
}

bool store_in_batch(const struct store *s)
{
	return s->batch;
}

int store_batch_end(struct store *s)
{
	int r;

	if (!s->batch)
		return 0;
	s->batch = false;
	if (sqlite3_get_autocommit(s->db))
		return -EIO; /* what failed in it rolled all of it back, and was logged */
	r = execute(s, "COMMIT");
	if (r < 0 && !sqlite3_get_autocommit(s->db))
		(void)execute(s, "ROLLBACK"); /* logged there */
	return r;
}

/* The first write behind a checkpoint begins the log anew and waits for the disk: that is done here
 * too, or somebody's request would wait. */
void store_checkpoint(struct store *s)
{
	int code;

	if (sqlite3_total_changes(s->db) == s->changes)
		return;
	code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (code == SQLITE_OK && store_meta_set(s, META_CHECKPOINT, "") == 0)
		s->changes = sqlite3_total_changes(s->db);
	else if (code != SQLITE_OK && code != SQLITE_BUSY &&
		 store_error(s, code, "checkpoint") == -ENOSPC && log_ratelimit())
		log_warning("no space left for the state database, going on with its log");
}

int store_meta_get(struct store *s, const char *key, char **ret)
{
	char *copy = NULL;
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_META_GET);
	bind_text(&st, key);
	r = statement_step(&st);
	if (r > 0)
		r = string_copy(column_text(&st), &copy);
	statement_end(&st);
	if (r < 0)
		return r;
	*ret = copy;
	return 0;
}

int store_meta_set(struct store *s, const char *key, const char *value)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_META_SET);
	bind_text(&st, key);
	bind_text(&st, value);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}
