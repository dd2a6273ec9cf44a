/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "macro.h"
#include "store/execs.h"
#include "store/keys.h"
#include "store/loops.h"
#include "store/sandboxes.h"
#include "store/store-private.h"
#include "store/store.h"
#include "store/templates.h"
#include "util/path.h"

static char dir[64];
static char db[96];

static void setup(void)
{
	strcpy(dir, "/tmp/test-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	(void)snprintf(db, sizeof(db), "%s/state.db", dir);
}

static void teardown(void)
{
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

static struct store *open_store(void)
{
	struct store *s = NULL;

	ck_assert_int_eq(store_open(&s, db, false), 0);
	return s;
}

static struct store_sandbox sample_sandbox(const char *id, const char *name)
{
	return (struct store_sandbox){
		.id = id,
		.name = name,
		.peer = 1000,
		.owner = 1001,
		.template_name = "host",
		.layers = { "l1\0l2", 6 },
		.network = NETWORK_HOST,
		.limits = { .memory_bytes = 5,
			    .shm_bytes = 6,
			    .disk_bytes = 9,
			    .cpu_milli = 7,
			    .pids = 8 },
		.workspaces = { "/w\0rg", 6 },
		.state = "creating",
		.created_at_ms = 123,
		.runtime = "crun",
		.loop_id = "l1",
		.ttl_ms = 9,
		.idle_timeout_ms = -1,
		.remove_on_stop = true,
		.launch_type = "warm",
	};
}

struct seen {
	int count;
	char last[64];
};

static int see_sandbox(const struct store_sandbox *row, void *userdata)
{
	struct seen *seen = userdata;

	seen->count++;
	(void)snprintf(seen->last, sizeof(seen->last), "%s", row->id);
	ck_assert_uint_eq(row->peer, 1000);
	ck_assert_uint_eq(row->owner, 1001);
	ck_assert_ptr_null(row->tool);
	ck_assert_uint_eq(row->layers.size, 6);
	ck_assert_int_eq(memcmp(row->layers.data, "l1\0l2", 6), 0);
	ck_assert_int_eq(row->network, NETWORK_HOST);
	ck_assert_uint_eq(row->limits.memory_bytes, 5);
	ck_assert_uint_eq(row->limits.pids, 8);
	ck_assert_uint_eq(row->limits.disk_bytes, 9);
	ck_assert_uint_eq(row->env.size, 0);
	ck_assert_str_eq(row->runtime, "crun");
	ck_assert_str_eq(row->loop_id, "l1");
	ck_assert_int_eq(row->ttl_ms, 9);
	ck_assert_int_eq(row->idle_timeout_ms, -1);
	ck_assert(row->remove_on_stop);
	return 0;
}

START_TEST(sandboxes_survive_reopening)
{
	struct store *s = open_store();
	struct store_sandbox row = sample_sandbox("id1", "a");
	struct seen seen = { 0 };

	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	ck_assert_int_eq(store_sandbox_insert(s, &row), -EEXIST);
	row = sample_sandbox("id2", "a");
	ck_assert_int_eq(store_sandbox_insert(s, &row), -EEXIST);
	row = sample_sandbox("id2", "b");
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	row.state = "running";
	row.foreign_user = true;
	ck_assert_int_eq(store_sandbox_update(s, &row), 0);
	row.id = "id9";
	ck_assert_int_eq(store_sandbox_update(s, &row), -ENOENT);
	store_free(s);
	s = open_store();
	ck_assert_int_eq(store_sandbox_load(s, see_sandbox, &seen), 0);
	ck_assert_int_eq(seen.count, 2);
	ck_assert_str_eq(seen.last, "id2");
	ck_assert_int_eq(store_sandbox_delete(s, "id1"), 0);
	ck_assert_int_eq(store_sandbox_delete(s, "id1"), -ENOENT);
	store_free(s);
}
END_TEST

static int see_exec(const struct store_exec *row, void *userdata)
{
	int *count = userdata;

	(*count)++;
	ck_assert_str_eq(row->id, "e1");
	ck_assert(row->keyed && !row->detached);
	ck_assert_uint_eq(row->command_size, 10);
	ck_assert_int_eq(row->state, EXEC_STATE_ENDED);
	ck_assert_uint_eq(row->stream_end[KEEPER_STREAM_OUTPUT], 30);
	ck_assert_uint_eq(row->stream_start[KEEPER_STREAM_STDOUT], 1);
	ck_assert_int_eq(row->result.exit_code, -1);
	ck_assert_int_eq(row->result.signal, 9);
	ck_assert_int_eq(row->result.cause, EXEC_CAUSE_TIMEOUT);
	ck_assert_uint_eq(row->result.oom_kills, 3);
	ck_assert_uint_eq(row->run.init_exec, UINT64_C(1) << 52);
	ck_assert_int_eq(row->run.input, STORE_EXEC_INPUT_CUT);
	ck_assert_int_eq(row->run.deadline_ms, -1);
	ck_assert_int_eq(row->run.ending, EXEC_CAUSE_MAX);
	ck_assert_uint_eq(row->run.oom_kills_before, 2);
	return 77;
}

START_TEST(execs_keep_their_result)
{
	struct store *s = open_store();
	struct store_exec row = { .id = "e1",
				  .sandbox = "s1",
				  .peer = 5,
				  .keyed = true,
				  .command = "/bin/true",
				  .command_size = 10,
				  .state = EXEC_STATE_STARTING };
	struct store_exec other;
	int count = 0;

	ck_assert_int_eq(store_exec_insert(s, &row), 0);
	other = row;
	other.peer = 6; /* ids are unique whoever has them */
	ck_assert_int_eq(store_exec_insert(s, &other), -EEXIST);
	row.state = EXEC_STATE_ENDED;
	row.stream_end[KEEPER_STREAM_OUTPUT] = 30;
	row.stream_start[KEEPER_STREAM_STDOUT] = 1;
	row.result = (struct exec_result){
		.exit_code = -1, .signal = 9, .cause = EXEC_CAUSE_TIMEOUT, .oom_kills = 3
	};
	row.run = (struct store_exec_run){ .init_exec = UINT64_C(1) << 52,
					   .input = STORE_EXEC_INPUT_CUT,
					   .deadline_ms = -1,
					   .ending = EXEC_CAUSE_MAX,
					   .oom_kills_before = 2 };
	ck_assert_int_eq(store_exec_update(s, &row), 0);
	ck_assert_int_eq(store_exec_load(s, see_exec, &count), 77);
	ck_assert_int_eq(count, 1);
	ck_assert_int_eq(store_exec_delete_sandbox(s, "s1"), 0);
	ck_assert_int_eq(store_exec_delete(s, "e1"), -ENOENT);
	ck_assert_int_eq(store_exec_load(s, see_exec, &count), 0);
	store_free(s);
}
END_TEST

/* ---- keys ---- */

static void see_key(const struct store_key *row, void *userdata)
{
	struct store_key *seen = userdata;

	seen->method = row->method;
	seen->done = row->done;
	seen->created_at_ms = row->created_at_ms;
	ck_assert_str_eq(row->digest, "d1");
	ck_assert_ptr_null(row->base_sha);
	ck_assert(row->done == (row->result && strcmp(row->result, "{}") == 0));
}

START_TEST(keys_are_per_peer_and_once)
{
	struct store *s = open_store();
	struct store_key row = { .peer = 5,
				 .key = "k",
				 .method = 1,
				 .digest = "d1",
				 .subject = "s1",
				 .exec = "e1",
				 .created_at_ms = 1000 };
	struct store_key seen = { 0 };

	ck_assert_int_eq(store_key_insert(s, &row), 0);
	ck_assert_int_eq(store_key_insert(s, &row), -EEXIST);
	row.peer = 6;
	ck_assert_int_eq(store_key_insert(s, &row), 0);
	ck_assert_int_eq(store_key_count(s), 2);
	ck_assert_int_eq(store_key_get(s, 5, "k", see_key, &seen), 1);
	ck_assert(seen.method == 1 && !seen.done && seen.created_at_ms == 1000);
	ck_assert_int_eq(store_key_get(s, 7, "k", see_key, &seen), 0);
	ck_assert_int_eq(store_key_done(s, 5, "k", "{}"), 0);
	ck_assert_int_eq(store_key_get(s, 5, "k", see_key, &seen), 1);
	ck_assert(seen.done);
	ck_assert_int_eq(store_key_delete(s, 6, "k"), 0);
	ck_assert_int_eq(store_key_done(s, 6, "k", NULL), -ENOENT);
	ck_assert_int_eq(store_key_delete_old(s, 1000), 0);
	ck_assert_int_eq(store_key_count(s), 1);
	ck_assert_int_eq(store_key_delete_old(s, 1001), 0);
	ck_assert_int_eq(store_key_count(s), 0);
	store_free(s);
}
END_TEST

START_TEST(keys_of_execs)
{
	struct store *s = open_store();
	struct store_key row = {
		.peer = 5, .key = "k", .method = 1, .digest = "d1", .subject = "s1", .exec = "e1"
	};
	struct store_key seen = { 0 };

	ck_assert_int_eq(store_key_insert(s, &row), 0);
	ck_assert_int_eq(store_key_exec_done(s, "e2", UINT32_MAX, "no"), 0);
	ck_assert_int_eq(store_key_exec_done(s, "e1", 0, "no"), 0);
	ck_assert_int_eq(store_key_get(s, 5, "k", see_key, &seen), 1);
	ck_assert(!seen.done);
	ck_assert_int_eq(store_key_exec_done(s, "e1", 1, "{}"), 0);
	ck_assert_int_eq(store_key_exec_done(s, "e1", UINT32_MAX, NULL), 0); /* it was already */
	ck_assert_int_eq(store_key_get(s, 5, "k", see_key, &seen), 1);
	ck_assert(seen.done);
	ck_assert_int_eq(store_key_delete_exec(s, "e1"), 0);
	ck_assert_int_eq(store_key_count(s), 0);
	store_free(s);
}
END_TEST

/* A sandbox that was finished is its key's; one that was not, or is not there, is as if the key had
 * never been. */
START_TEST(keys_of_creates_are_settled)
{
	static const char *const ids[] = { "finished", "creating", "gone" };
	struct store *s = open_store();
	struct store_key key = { .peer = 5, .method = 2, .digest = "d1" };
	struct store_sandbox row;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		key.key = key.subject = ids[i];
		ck_assert_int_eq(store_key_insert(s, &key), 0);
		row = sample_sandbox(ids[i], ids[i]);
		row.state = strcmp(ids[i], "creating") == 0 ? "creating" : "running";
		row.hidden = false;
		if (strcmp(ids[i], "gone") != 0)
			ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	}
	ck_assert_int_eq(store_key_settle_creates(s, 2), 0);
	ck_assert_int_eq(store_key_count(s), 1);
	ck_assert_int_eq(store_key_delete(s, 5, "finished"), 0);
	store_free(s);
}
END_TEST

static int see_template(const struct store_template *row, void *userdata)
{
	int *count = userdata;

	(*count)++;
	ck_assert_str_eq(row->name, "claude");
	ck_assert_uint_eq(row->owner, 1000);
	ck_assert_str_eq(row->state, "ready");
	ck_assert_uint_eq(row->size_bytes, 99);
	ck_assert_ptr_null(row->base);
	return 0;
}

START_TEST(templates_are_per_owner)
{
	struct store *s = open_store();
	struct store_template row = {
		.name = "claude", .owner = 1000, .peer = 1, .state = "building"
	};
	int count = 0;

	ck_assert_int_eq(store_template_insert(s, &row), 0);
	ck_assert_int_eq(store_template_insert(s, &row), -EEXIST);
	row.state = "ready";
	row.size_bytes = 99;
	ck_assert_int_eq(store_template_update(s, &row), 0);
	ck_assert_int_eq(store_template_list(s, see_template, &count), 0);
	ck_assert_int_eq(count, 1);
	ck_assert_int_eq(store_template_delete(s, 1001, "claude"), -ENOENT);
	ck_assert_int_eq(store_template_delete(s, 1000, "claude"), 0);
	store_free(s);
}
END_TEST

START_TEST(meta_is_a_dictionary)
{
	struct store *s = open_store();
	char *text = NULL;

	ck_assert_int_eq(store_meta_get(s, "x", &text), 0);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(store_meta_set(s, "x", "1"), 0);
	ck_assert_int_eq(store_meta_set(s, "x", "2"), 0);
	ck_assert_int_eq(store_meta_get(s, "x", &text), 0);
	ck_assert_str_eq(text, "2");
	free(text);
	store_checkpoint(s);
	store_free(s);
}
END_TEST

START_TEST(the_file_is_nobody_elses)
{
	struct store *s = open_store();
	struct stat st;

	ck_assert_int_eq(stat(db, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	store_free(s);
}
END_TEST

static void raw(const char *sql)
{
	sqlite3 *handle;

	ck_assert_int_eq(sqlite3_open(db, &handle), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
}

START_TEST(an_empty_old_database_is_migrated)
{
	struct store *s;

	raw("PRAGMA user_version = 0");
	s = open_store();
	ck_assert_int_eq(store_meta_set(s, "a", "b"), 0);
	store_free(s);
}
END_TEST

START_TEST(a_migration_that_fails_leaves_nothing)
{
	struct store *s = NULL;
	sqlite3 *handle;

	raw("CREATE TABLE templates (in_the_way TEXT)");
	ck_assert_int_lt(store_open(&s, db, false), 0);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(sqlite3_open(db, &handle), SQLITE_OK);
	ck_assert_int_ne(sqlite3_exec(handle, "SELECT * FROM meta", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
}
END_TEST

/* Each test runs in a process of its own, so the mount namespace is the test's alone. */
START_TEST(a_full_disk_is_an_error_and_passes)
{
	static char big[65536];
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s;
	char id[16], fill[96];
	int i, fd, r = 0;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return; /* an ordinary user cannot mount: the root run covers it */
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, "size=2m"), 0);
	s = open_store();
	(void)snprintf(fill, sizeof(fill), "%s/fill", dir);
	fd = open(fill, O_CREAT | O_WRONLY, 0600);
	while (write(fd, big, sizeof(big)) > 0)
		;
	row.env = (struct bytes){ big, sizeof(big) };
	for (i = 0; i < 100 && r == 0; i++) {
		(void)snprintf(id, sizeof(id), "id%d", i);
		row.id = row.name = id;
		r = store_sandbox_insert(s, &row);
	}
	ck_assert_int_eq(r, -ENOSPC);
	store_checkpoint(s);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	(void)close(fd);
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	store_free(s);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

START_TEST(a_read_only_database_is_an_error_and_passes)
{
	struct store_sandbox row = sample_sandbox("id", "name");
	CLEANUP_ERROR struct error e = { 0 };
	struct store *s = open_store();

	ck_assert_int_eq(sqlite3_exec(s->db, "PRAGMA query_only = 1", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(store_sandbox_insert(s, &row), -EROFS);
	ck_assert_int_eq(store_refuse(-EROFS, "sandbox x", &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(e.message, "sandbox x"));
	ck_assert_int_eq(sqlite3_exec(s->db, "PRAGMA query_only = 0", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	store_free(s);
}
END_TEST

static int count_rows(const struct store_sandbox *row, void *userdata)
{
	(void)row;
	++*(int *)userdata;
	return 0;
}

static int rows_of(struct store *s)
{
	int count = 0;

	ck_assert_int_eq(store_sandbox_load(s, count_rows, &count), 0);
	return count;
}

static void read_log_head(char head[static 32])
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s-wal", db);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, head, 32), 32);
	(void)close(fd);
}

/* To begin the log anew takes a wait for the disk. */
START_TEST(no_write_begins_the_log_anew_after_a_checkpoint)
{
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s = open_store();
	char before[32], head[32], after[32];

	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	read_log_head(before);
	store_checkpoint(s);
	read_log_head(head);
	ck_assert_mem_ne(head, before, sizeof(head));
	store_checkpoint(s); /* nothing has changed */
	read_log_head(after);
	ck_assert_mem_eq(after, head, sizeof(head));
	row.id = row.name = "other";
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	read_log_head(after);
	ck_assert_mem_eq(after, head, sizeof(head));
	store_free(s);
}
END_TEST

START_TEST(a_batch_is_stored_whole)
{
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s = open_store(), *reader = open_store();

	ck_assert_int_eq(store_batch_end(s), 0); /* of none */
	ck_assert_int_eq(store_batch_begin(s), 0);
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	ck_assert_int_eq(store_sandbox_insert(s, &row), -EEXIST); /* ends only itself */
	row.id = row.name = "other";
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	ck_assert_int_eq(rows_of(reader), 0);
	ck_assert_int_eq(store_batch_end(s), 0);
	ck_assert_int_eq(rows_of(reader), 2);
	row.id = row.name = "third";
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	ck_assert_int_eq(rows_of(reader), 3);
	store_free(reader);
	store_free(s);
}
END_TEST

/* What SQLite still holds in memory may succeed until the end; what is said then counts. */
START_TEST(a_batch_that_finds_no_space_stores_nothing)
{
	static char big[65536];
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s;
	char id[16], fill[96];
	int i, fd;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return; /* as above */
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, "size=2m"), 0);
	s = open_store();
	(void)snprintf(fill, sizeof(fill), "%s/fill", dir);
	fd = open(fill, O_CREAT | O_WRONLY, 0600);
	while (write(fd, big, sizeof(big)) > 0)
		;
	row.env = (struct bytes){ big, sizeof(big) };
	ck_assert_int_eq(store_batch_begin(s), 0);
	for (i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof(id), "id%d", i);
		row.id = row.name = id;
		if (store_sandbox_insert(s, &row) < 0)
			break;
	}
	ck_assert_int_lt(store_batch_end(s), 0);
	ck_assert_int_eq(rows_of(s), 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	(void)close(fd);
	ck_assert_int_eq(store_batch_begin(s), 0);
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	ck_assert_int_eq(store_batch_end(s), 0);
	ck_assert_int_eq(rows_of(s), 1);
	store_free(s);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

static int check_loop(const struct store_loop *row, void *userdata)
{
	int *seen = userdata;

	ck_assert_uint_eq(row->peer, *seen == 0 ? 1000 : 1001);
	ck_assert_str_eq(row->loop_id, "l");
	ck_assert_str_eq(row->work_dir.data, "/w");
	ck_assert_uint_eq(row->tools.size, 6);
	ck_assert_ptr_null(row->template_name);
	ck_assert_str_eq(row->runtime, "crun");
	ck_assert_int_eq(row->network, NETWORK_HOST);
	ck_assert_uint_eq(row->limits.memory_bytes, 5);
	ck_assert_uint_eq(row->limits.pids, 8);
	ck_assert_uint_eq(row->limits.disk_bytes, 9);
	ck_assert_int_eq(row->ttl_ms, 9);
	ck_assert_int_eq(row->created_at_ms, 123);
	ck_assert_uint_eq(row->stages.size, 2);
	if (*seen == 0) {
		ck_assert_str_eq(row->state, "destroyed");
		ck_assert_str_eq(row->reason, "why");
		ck_assert_str_eq(row->head_sha, "abc");
		ck_assert_int_eq(row->ended_at_ms, 124);
		ck_assert_uint_eq(row->receipt.size, 2);
	} else {
		ck_assert_str_eq(row->state, "active");
		ck_assert_ptr_null(row->reason);
		ck_assert_uint_eq(row->receipt.size, 0);
	}
	(*seen)++;
	return 0;
}

START_TEST(loops_are_per_peer_and_keep_their_receipt)
{
	struct store_loop row = {
		.peer = 1000,
		.loop_id = "l",
		.state = "active",
		.work_dir = { "/w", 3 },
		.tools = { "a\0b@1", 6 },
		.runtime = "crun",
		.network = NETWORK_HOST,
		.limits = { .memory_bytes = 5,
			    .shm_bytes = 6,
			    .disk_bytes = 9,
			    .cpu_milli = 7,
			    .pids = 8 },
		.ttl_ms = 9,
		.created_at_ms = 123,
		.stages = { "x", 2 },
	};
	struct store *s = open_store();
	int seen = 0;

	ck_assert_int_eq(store_loop_insert(s, &row), 0);
	ck_assert_int_eq(store_loop_insert(s, &row), -EEXIST);
	row.peer = 1001;
	ck_assert_int_eq(store_loop_insert(s, &row), 0);
	row.peer = 1000;
	row.state = "destroyed";
	row.reason = "why";
	row.head_sha = "abc";
	row.ended_at_ms = 124;
	row.receipt = (struct bytes){ "1", 2 };
	ck_assert_int_eq(store_loop_update(s, &row), 0);
	store_free(s);
	s = open_store();
	ck_assert_int_eq(store_loop_load(s, check_loop, &seen), 0);
	ck_assert_int_eq(seen, 2);
	ck_assert_int_eq(store_loop_delete(s, 1000, "l"), 0);
	ck_assert_int_eq(store_loop_delete(s, 1000, "l"), -ENOENT);
	ck_assert_int_eq(store_loop_update(s, &row), -ENOENT);
	store_free(s);
}
END_TEST

static void check_kept(struct store *s, uid_t peer, enum store_kept kind, const char *wanted)
{
	CLEANUP_STR char *data = NULL;
	size_t size = 0;
	int r = store_loop_kept(s, peer, "l", kind, &data, &size);

	ck_assert_int_eq(r, wanted ? 0 : -ENOENT);
	if (!wanted)
		return;
	ck_assert_uint_eq(size, strlen(wanted));
	ck_assert_mem_eq(data, wanted, size);
}

START_TEST(what_is_kept_of_a_loop_goes_with_it)
{
	struct store_loop row = { .peer = 1000, .loop_id = "l", .state = "active" };
	struct store *s = open_store();

	ck_assert_int_eq(store_loop_insert(s, &row), 0);
	check_kept(s, 1000, STORE_KEPT_LOG, NULL);
	ck_assert_int_eq(store_loop_keep(s, 1000, "l", STORE_KEPT_LOG, (struct bytes){ "a", 1 }),
			 0);
	ck_assert_int_eq(store_loop_keep(s, 1000, "l", STORE_KEPT_LOG, (struct bytes){ "b\0c", 3 }),
			 0);
	ck_assert_int_eq(store_loop_keep(s, 1001, "l", STORE_KEPT_LOG, (struct bytes){ NULL, 0 }),
			 0);
	store_free(s);
	s = open_store();
	check_kept(s, 1000, STORE_KEPT_STDOUT, NULL);
	check_kept(s, 1001, STORE_KEPT_LOG, "");
	ck_assert_int_eq(store_loop_delete(s, 1000, "l"), 0);
	check_kept(s, 1000, STORE_KEPT_LOG, NULL);
	check_kept(s, 1001, STORE_KEPT_LOG, "");
	store_free(s);
}
END_TEST

START_TEST(the_oldest_that_is_kept_makes_room)
{
	struct store *s = open_store();
	uid_t peer;

	ck_assert_int_eq(store_loop_keep(s, 1, "l", STORE_KEPT_BEGINNING,
					 (struct bytes){ "beginning", 9 }),
			 0);
	for (peer = 1; peer <= 3; peer++)
		ck_assert_int_eq(store_loop_keep(s, peer, "l", STORE_KEPT_LOG,
						 (struct bytes){ "1234", 4 }),
				 0);
	ck_assert_int_eq(store_loop_kept_trim(s, 12), 0);
	check_kept(s, 1, STORE_KEPT_LOG, "1234");
	ck_assert_int_eq(store_loop_kept_trim(s, 11), 0);
	check_kept(s, 1, STORE_KEPT_LOG, NULL);
	check_kept(s, 2, STORE_KEPT_LOG, "1234");
	check_kept(s, 1, STORE_KEPT_BEGINNING, "beginning");
	store_free(s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *t = tcase_create("store");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, sandboxes_survive_reopening);
	tcase_add_test(t, execs_keep_their_result);
	tcase_add_test(t, keys_are_per_peer_and_once);
	tcase_add_test(t, keys_of_execs);
	tcase_add_test(t, keys_of_creates_are_settled);
	tcase_add_test(t, templates_are_per_owner);
	tcase_add_test(t, loops_are_per_peer_and_keep_their_receipt);
	tcase_add_test(t, what_is_kept_of_a_loop_goes_with_it);
	tcase_add_test(t, the_oldest_that_is_kept_makes_room);
	tcase_add_test(t, meta_is_a_dictionary);
	tcase_add_test(t, the_file_is_nobody_elses);
	tcase_add_test(t, an_empty_old_database_is_migrated);
	tcase_add_test(t, a_migration_that_fails_leaves_nothing);
	tcase_add_test(t, a_full_disk_is_an_error_and_passes);
	tcase_add_test(t, a_read_only_database_is_an_error_and_passes);
	tcase_add_test(t, no_write_begins_the_log_anew_after_a_checkpoint);
	tcase_add_test(t, a_batch_is_stored_whole);
	tcase_add_test(t, a_batch_that_finds_no_space_stores_nothing);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
