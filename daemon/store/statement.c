/* SPDX-License-Identifier: Apache-2.0 */
/* Statements are prepared at their first use and live as long as the store. Only one use of each is
 * under way at a time: the daemon has one thread, and row callbacks do not write. */

#include "store/statement.h"

#include <errno.h>

#include "store/store-private.h"

#define EXEC_COLUMNS                                                                               \
	"id, sandbox, peer, command, stage, story_id, state, detached, keyed, "                    \
	"streams, stdout_end, stderr_end, output_end, stdout_start, stderr_start, output_start, "  \
	"created_at_ms, exit_code, signal, cause, start_error, start_errno, truncated, "           \
	"started_at_ms, completed_at_ms, duration_ms, cpu_ms, peak_memory_bytes, leftovers, "      \
	"oom_kills, init_exec, uid, tty, passed, input, begun_ms, deadline_ms, left_ms, "          \
	"grace_ms, keep_leftovers, spool_max, ending, oom_kills_before"
#define SANDBOX_COLUMNS                                                                            \
	"id, name, peer, owner, tool, template, layers, network, memory_bytes, shm_bytes, "        \
	"cpu_milli, pids, workspaces, env, labels, state, cause, hidden, foreign_user, "           \
	"created_at_ms, runtime, loop_id, ttl_ms, idle_timeout_ms, remove_on_stop, "               \
	"disk_bytes, launch_type, removing, pid, pid_since"
#define TEMPLATE_COLUMNS                                                                           \
	"name, owner, peer, digest, base, tool, version, layer, size_bytes, created_at_ms, "       \
	"state, lowers"
#define LOOP_COLUMNS                                                                               \
	"peer, loop_id, state, work_dir, tools, template, runtime, network, memory_bytes, "        \
	"shm_bytes, cpu_milli, pids, env, labels, ttl_ms, created_at_ms, ended_at_ms, reason, "    \
	"head_sha, receipt, stages, disk_bytes"

#define POOL_COLUMNS "owner, template, min, max, max_age_ms"
#define LEASE_COLUMNS                                                                              \
	"id, owner, secret, holder, holder_peer, holder_id, loop_id, sandbox, stage, file, "       \
	"remote_id, ttl_ms, renew, created_at_ms, expires_at_ms"
#define EVENT_COLUMNS                                                                              \
	"seq, at_ms, peer, type, loop_id, sandbox, sandbox_id, exec_id, tool, state, labels, "     \
	"facts"
#define KEY_COLUMNS                                                                                \
	"peer, key, method, digest, subject, exec, base_sha, state, result, created_at_ms"

static const char *const store_sql[STORE_SQL_MAX] = {
	[STORE_META_GET] = "SELECT value FROM meta WHERE key = ?",
	[STORE_META_SET] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
	[STORE_SANDBOX_INSERT] =
		"INSERT INTO sandboxes (" SANDBOX_COLUMNS
		") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_SANDBOX_UPDATE] =
		"UPDATE sandboxes SET state = ?, cause = ?, template = ?, layers = ?, "
		"foreign_user = ?, launch_type = ?, removing = ?, pid = ?, "
		"pid_since = ? WHERE id = ?",
	[STORE_SANDBOX_CLAIM] =
		"UPDATE sandboxes SET (" SANDBOX_COLUMNS
		") = (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?), "
		"seq = (SELECT max(seq) + 1 FROM sandboxes) WHERE id = ?1",
	[STORE_SANDBOX_DELETE] = "DELETE FROM sandboxes WHERE id = ?",
	[STORE_SANDBOX_LOAD] = "SELECT " SANDBOX_COLUMNS " FROM sandboxes ORDER BY seq",
	[STORE_EXEC_INSERT] =
		"INSERT INTO execs (" EXEC_COLUMNS
		") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
		"?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_EXEC_UPDATE] =
		"UPDATE execs SET command = ?, stage = ?, story_id = ?, state = ?, detached = ?, "
		"keyed = ?, "
		"streams = ?, stdout_end = ?, stderr_end = ?, output_end = ?, stdout_start = ?, "
		"stderr_start = ?, output_start = ?, created_at_ms = ?, exit_code = ?, signal = ?, "
		"cause = ?, start_error = ?, start_errno = ?, truncated = ?, started_at_ms = ?, "
		"completed_at_ms = ?, duration_ms = ?, cpu_ms = ?, peak_memory_bytes = ?, "
		"leftovers = ?, oom_kills = ?, init_exec = ?, uid = ?, tty = ?, passed = ?, "
		"input = ?, begun_ms = ?, deadline_ms = ?, left_ms = ?, grace_ms = ?, "
		"keep_leftovers = ?, spool_max = ?, ending = ?, oom_kills_before = ? WHERE id = ?",
	[STORE_EXEC_DELETE] = "DELETE FROM execs WHERE id = ?",
	[STORE_EXEC_DELETE_SANDBOX] = "DELETE FROM execs WHERE sandbox = ?",
	[STORE_EXEC_LOAD] = "SELECT " EXEC_COLUMNS " FROM execs ORDER BY seq",
	[STORE_TEMPLATE_INSERT] =
		"INSERT INTO templates (" TEMPLATE_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_TEMPLATE_UPDATE] =
		"UPDATE templates SET peer = ?, digest = ?, base = ?, tool = ?, version = ?, "
		"layer = ?, size_bytes = ?, created_at_ms = ?, state = ?, lowers = ? "
		"WHERE owner = ? AND name = ?",
	[STORE_TEMPLATE_DELETE] = "DELETE FROM templates WHERE owner = ? AND name = ?",
	[STORE_LOOP_INSERT] = "INSERT INTO loops (" LOOP_COLUMNS
			      ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_LOOP_UPDATE] =
		"UPDATE loops SET state = ?, tools = ?, ended_at_ms = ?, reason = ?, head_sha = ?, "
		"receipt = ? WHERE peer = ? AND loop_id = ?",
	[STORE_LOOP_DELETE] = "DELETE FROM loops WHERE peer = ? AND loop_id = ?",
	[STORE_LOOP_LOAD] = "SELECT " LOOP_COLUMNS " FROM loops ORDER BY seq",
	[STORE_LOOP_KEEP] = "INSERT OR REPLACE INTO loop_kept (peer, loop_id, kind, data) "
			    "VALUES (?,?,?,?)",
	[STORE_LOOP_KEPT] =
		"SELECT data FROM loop_kept WHERE peer = ? AND loop_id = ? AND kind = ?",
	[STORE_LOOP_KEPT_DELETE] = "DELETE FROM loop_kept WHERE peer = ? AND loop_id = ?",
	/* the newest that fit stay */
	[STORE_LOOP_KEPT_TRIM] =
		"DELETE FROM loop_kept WHERE kind <> ?1 AND seq <= (SELECT max(seq) FROM (SELECT "
		"seq, sum(length(data)) OVER (ORDER BY seq DESC) AS total FROM loop_kept WHERE "
		"kind <> ?1) WHERE total > ?2)",
	[STORE_TEMPLATE_LIST] = "SELECT " TEMPLATE_COLUMNS " FROM templates ORDER BY seq",
	[STORE_POOL_SET] = "INSERT OR REPLACE INTO pools (" POOL_COLUMNS ") VALUES (?,?,?,?,?)",
	[STORE_POOL_DELETE] = "DELETE FROM pools WHERE owner = ? AND template = ?",
	[STORE_POOL_LOAD] = "SELECT " POOL_COLUMNS " FROM pools ORDER BY owner, template",
	[STORE_LEASE_INSERT] =
		"INSERT INTO leases (" LEASE_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_LEASE_UPDATE] =
		"UPDATE leases SET remote_id = ?, ttl_ms = ?, expires_at_ms = ? WHERE id = ?",
	[STORE_LEASE_DELETE] = "DELETE FROM leases WHERE id = ?",
	[STORE_LEASE_LOAD] = "SELECT " LEASE_COLUMNS " FROM leases ORDER BY created_at_ms",
	[STORE_EVENT_INSERT] =
		"INSERT INTO events (" EVENT_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
	[STORE_EVENT_LOAD] =
		"SELECT " EVENT_COLUMNS " FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
	[STORE_EVENT_OLDEST] = "SELECT seq, at_ms FROM events WHERE peer = ? ORDER BY seq LIMIT ?",
	[STORE_EVENT_DELETE] = "DELETE FROM events WHERE peer = ? AND seq <= ?",
	[STORE_EVENT_COUNTS] = "SELECT peer, count(*), max(seq), 0 FROM events GROUP BY peer",
	[STORE_EVENT_FLOOR_SET] = "INSERT OR REPLACE INTO event_floors (peer, seq) VALUES (?, ?)",
	[STORE_EVENT_FLOORS] = "SELECT peer, 0, 0, seq FROM event_floors",
	[STORE_KEY_INSERT] = "INSERT INTO keys (" KEY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?)",
	[STORE_KEY_GET] = "SELECT " KEY_COLUMNS " FROM keys WHERE peer = ? AND key = ?",
	[STORE_KEY_DONE] = "UPDATE keys SET state = 1, result = ? WHERE peer = ? AND key = ?",
	[STORE_KEY_EXEC_DONE] = "UPDATE keys SET state = 1, result = ?1 WHERE exec = ?2 AND "
				"state = 0 AND ?3 IN (method, 4294967295)",
	[STORE_KEY_DELETE] = "DELETE FROM keys WHERE peer = ? AND key = ?",
	[STORE_KEY_DELETE_EXEC] = "DELETE FROM keys WHERE exec = ?",
	[STORE_KEY_CREATES_DONE] =
		"UPDATE keys SET state = 1 WHERE method = ? AND state = 0 AND subject IN "
		"(SELECT id FROM sandboxes WHERE state <> 'creating' AND hidden = 0)",
	[STORE_KEY_DELETE_BEGUN] = "DELETE FROM keys WHERE method = ? AND state = 0",
	[STORE_KEY_DELETE_OLD] = "DELETE FROM keys WHERE state = 1 AND created_at_ms < ?",
	[STORE_KEY_COUNT] = "SELECT count(*) FROM keys",
};

void statement_begin(struct statement *st, struct store *s, enum store_sql sql)
{
	*st = (struct statement){ .store = s, .next = 1 };
	if (!s->statements[sql])
		st->error = sqlite3_prepare_v3(s->db, store_sql[sql], -1, SQLITE_PREPARE_PERSISTENT,
					       &s->statements[sql], NULL);
	st->stmt = s->statements[sql];
}

void statement_end(struct statement *st)
{
	if (!st->stmt)
		return;
	(void)sqlite3_reset(st->stmt); /* repeats the error of the last step */
	(void)sqlite3_clear_bindings(st->stmt);
	st->stmt = NULL;
}

static void note(struct statement *st, int code)
{
	st->next++;
	if (st->error == SQLITE_OK)
		st->error = code;
}

void bind_text(struct statement *st, const char *text)
{
	if (st->error == SQLITE_OK)
		note(st, sqlite3_bind_text(st->stmt, st->next, text, -1, SQLITE_TRANSIENT));
}

void bind_int(struct statement *st, int64_t value)
{
	if (st->error == SQLITE_OK)
		note(st, sqlite3_bind_int64(st->stmt, st->next, value));
}

void bind_blob(struct statement *st, struct bytes b)
{
	/* a NULL pointer would bind null, whatever the size */
	if (st->error == SQLITE_OK)
		note(st, sqlite3_bind_blob64(st->stmt, st->next, b.data ? b.data : "", b.size,
					     SQLITE_TRANSIENT));
}

int statement_step(struct statement *st)
{
	int code = st->error;

	st->next = 0;
	if (code == SQLITE_OK)
		code = sqlite3_step(st->stmt);
	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return store_error(st->store, code, st->stmt ? sqlite3_sql(st->stmt) : "prepare");
}

const char *column_text(struct statement *st)
{
	/* SQLite's texts are UTF-8 bytes */
	return (const char *)sqlite3_column_text(st->stmt, st->next++);
}

int64_t column_int(struct statement *st)
{
	return sqlite3_column_int64(st->stmt, st->next++);
}

struct bytes column_blob(struct statement *st)
{
	struct bytes b;

	b.data = sqlite3_column_blob(st->stmt, st->next);
	b.size = (size_t)sqlite3_column_bytes(st->stmt, st->next++);
	return b;
}

int statement_run(struct statement *st)
{
	int r = statement_step(st);

	if (r >= 0)
		r = sqlite3_changes(st->store->db);
	statement_end(st);
	return r;
}

int statement_run_one(struct statement *st)
{
	int r = statement_run(st);

	if (r < 0)
		return r;
	return r == 0 ? -ENOENT : 0;
}
