/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that are not as they should be: a newer program's, unreadable, damaged. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "macro.h"
#include "store/sandboxes.h"
#include "store/store-private.h"
#include "store/store.h"
#include "util/path.h"

#define ROUNDS 40

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
	return (struct store_sandbox){ .id = id,
				       .name = name,
				       .template_name = "host",
				       .state = "creating",
				       .runtime = "crun",
				       .launch_type = "cold" };
}

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

/* How many files in the directory begin with NAME. */
static int count_files(const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)))
		n += strncmp(entry->d_name, name, strlen(name)) == 0;
	(void)closedir(d);
	return n;
}

static void raw(const char *sql)
{
	sqlite3 *handle;

	ck_assert_int_eq(sqlite3_open(db, &handle), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
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

START_TEST(a_newer_database_is_refused)
{
	struct store *s = NULL;

	store_free(open_store());
	raw("PRAGMA user_version = 99");
	ck_assert_int_eq(store_open(&s, db, false), -EPROTO);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(access(db, F_OK), 0);
	ck_assert_int_eq(count_files("state.db"), 1);
}
END_TEST

/* The newer program died: its version is only in the log. */
START_TEST(a_newer_log_is_refused)
{
	char before[32], after[32];
	struct store *s = NULL;
	pid_t pid;
	int status;

	store_free(open_store());
	pid = fork();
	if (pid == 0) {
		s = open_store();
		_exit(sqlite3_exec(s->db, "PRAGMA user_version = 99", NULL, NULL, NULL));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	read_log_head(before);
	ck_assert_int_eq(store_open(&s, db, false), -EPROTO);
	ck_assert_ptr_null(s);
	read_log_head(after);
	ck_assert_mem_eq(before, after, sizeof(before));
}
END_TEST

START_TEST(what_cannot_be_read_is_refused)
{
	struct store *s = NULL;

	ck_assert_int_eq(mkdir(db, 0700), 0);
	ck_assert_int_eq(store_open(&s, db, false), -EISDIR);
	ck_assert_ptr_null(s);
	ck_assert_int_eq(rmdir(db), 0); /* still empty */
	ck_assert_int_eq(symlink("/dev/null", db), 0);
	ck_assert_int_eq(store_open(&s, db, false), -ELOOP);
}
END_TEST

static void spoil(off_t from, size_t size)
{
	char junk[8192];
	int fd = open(db, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_uint_le(size, sizeof(junk));
	memset(junk, 'j', sizeof(junk));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, junk, size, from), (ssize_t)size);
	(void)close(fd);
}

/* The first page of TABLE. */
static void spoil_table(const char *table)
{
	sqlite3_stmt *stmt;
	sqlite3 *handle;

	ck_assert_int_eq(sqlite3_open(db, &handle), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(handle,
					    "SELECT rootpage FROM sqlite_master WHERE name = ?", -1,
					    &stmt, NULL),
			 SQLITE_OK);
	ck_assert_int_eq(sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	spoil((off_t)(sqlite3_column_int64(stmt, 0) - 1) * 4096, 4096);
	ck_assert_int_eq(sqlite3_finalize(stmt), SQLITE_OK);
	/* or the log would be moved into it at the end */
	(void)sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	ck_assert_int_eq(sqlite3_close(handle), SQLITE_OK);
}

START_TEST(what_is_no_database_is_saved_aside)
{
	struct store *s;

	spoil(0, 8192);
	s = open_store();
	ck_assert_int_eq(store_meta_set(s, "a", "b"), 0);
	store_free(s);
	ck_assert_int_eq(count_files("state.db.damaged-"), 1);
	s = open_store(); /* and that was that */
	store_free(s);
	ck_assert_int_eq(count_files("state.db.damaged-"), 1);
	ck_assert_int_eq(count_files("state.db.new"), 0);
}
END_TEST

static int last_row(const struct store_sandbox *row, void *userdata)
{
	(void)snprintf(userdata, 16, "%s", row->id);
	return 0;
}

/* Good until the next call; NULL: there is none. */
static const char *meta(struct store *s, const char *key)
{
	static char copy[32];
	char *text = NULL;

	ck_assert_int_eq(store_meta_get(s, key, &text), 0);
	if (!text)
		return NULL;
	(void)snprintf(copy, sizeof(copy), "%s", text);
	free(text);
	return copy;
}

START_TEST(a_version_that_is_none_is_damage)
{
	struct store *s = open_store();

	ck_assert_int_eq(store_meta_set(s, "a", "b"), 0);
	store_free(s);
	raw("PRAGMA user_version = 1785358954");
	s = open_store();
	ck_assert_int_eq(count_files("state.db.damaged-"), 1);
	ck_assert_str_eq(meta(s, "a"), "b");
	store_free(s);
}
END_TEST

/* Pages in the middle are lost: what is before and behind them is not. */
START_TEST(rows_around_the_damage_are_kept)
{
	static char env[3000];
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s = open_store();
	char id[16], last[16];
	struct stat st;
	int i, rows;

	memset(env, 'e', sizeof(env));
	row.env = (struct bytes){ env, sizeof(env) };
	ck_assert_int_eq(store_meta_set(s, "instance", "abc"), 0);
	ck_assert_int_eq(store_meta_set(s, STORE_META_EVENTS, "def"), 0);
	for (i = 0; i < 200; i++) {
		(void)snprintf(id, sizeof(id), "id%03d", i);
		row.id = row.name = id;
		ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	}
	store_free(s);
	ck_assert_int_eq(stat(db, &st), 0);
	spoil(st.st_size / 8192 * 4096, 8192);
	s = open_store();
	rows = rows_of(s);
	ck_assert_int_ge(rows, 190);
	ck_assert_int_lt(rows, 200);
	ck_assert_int_eq(store_sandbox_load(s, last_row, last), 0);
	ck_assert_str_eq(last, "id199");
	ck_assert_str_eq(meta(s, "instance"), "abc");
	ck_assert_ptr_null(meta(s, STORE_META_EVENTS)); /* what came last may be lost */
	ck_assert_int_eq(store_sandbox_insert(s, &row), -EEXIST);
	store_free(s);
	ck_assert_int_eq(count_files("state.db.damaged-"), 1);
}
END_TEST

/* Found by a writer: it is told so, and the next start puts it right. */
START_TEST(damage_under_an_open_one_is_an_error)
{
	struct store_sandbox row = sample_sandbox("id", "name");
	CLEANUP_ERROR struct error e = { 0 };
	struct store *s;

	store_free(open_store());
	s = open_store();
	spoil_table("sandboxes");
	ck_assert_int_eq(sqlite3_db_release_memory(s->db), SQLITE_OK); /* it is read anew */
	ck_assert_int_eq(store_sandbox_insert(s, &row), -EBADMSG);
	ck_assert_int_eq(store_refuse(-EBADMSG, "sandbox name", &e), -1);
	ck_assert_int_eq(e.kind, ERROR_UNAVAILABLE);
	store_free(s);
	s = open_store();
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	store_free(s);
}
END_TEST

/* What was committed last is still in the log when a daemon dies. */
START_TEST(the_log_of_a_damaged_one_counts)
{
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s = open_store();
	pid_t pid;
	int status;

	store_free(s);
	pid = fork();
	if (pid == 0) {
		s = open_store();
		if (store_sandbox_insert(s, &row) == 0)
			_exit(0);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(count_files("state.db-wal"), 1);
	spoil_table("templates");
	s = open_store();
	ck_assert_int_eq(rows_of(s), 1);
	store_free(s);
	ck_assert_int_eq(count_files("state.db.damaged-"), 2); /* with its log */
}
END_TEST

static void cut(off_t size)
{
	ck_assert_int_eq(truncate(db, size), 0);
}

/* Whatever is damaged, wherever: it starts, and its rows are some of those that there were. */
START_TEST(any_damage_is_survived)
{
	static char env[700];
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s = open_store();
	struct stat st;
	char id[16];
	int i;

	row.env = (struct bytes){ env, sizeof(env) };
	for (i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof(id), "id%03d", i);
		row.id = row.name = id;
		ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	}
	store_free(s);
	ck_assert_int_eq(stat(db, &st), 0);
	srand((unsigned)_i + 1);
	for (i = 0; i < 1 + _i % 4; i++)
		spoil(rand() % st.st_size, 1 + (size_t)rand() % 6000);
	if (_i % 5 == 0)
		cut(rand() % st.st_size);
	s = open_store();
	ck_assert_int_le(rows_of(s), 100);
	row.id = row.name = "another";
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	store_free(s);
}
END_TEST

START_TEST(no_space_for_a_new_one_changes_nothing)
{
	static char env[60000];
	struct store_sandbox row = sample_sandbox("id", "name");
	struct store *s = NULL;
	struct stat before, after;
	char fill[96];
	int fd;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0)
		return; /* an ordinary user cannot mount: the root run covers it */
	ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	ck_assert_int_eq(mount("tmpfs", dir, "tmpfs", 0, "size=1m"), 0);
	s = open_store();
	row.env = (struct bytes){ env, sizeof(env) };
	ck_assert_int_eq(store_sandbox_insert(s, &row), 0);
	store_free(TAKE_PTR(s));
	spoil(8192, 4096);
	ck_assert_int_eq(stat(db, &before), 0);
	(void)snprintf(fill, sizeof(fill), "%s/fill", dir);
	fd = open(fill, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	while (write(fd, env, sizeof(env)) > 0)
		;
	ck_assert_int_lt(store_open(&s, db, false), 0);
	ck_assert_int_eq(stat(db, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(count_files("state.db.damaged-") + count_files("state.db.new"), 0);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	(void)close(fd);
	s = open_store();
	store_free(s);
	ck_assert_int_eq(count_files("state.db.damaged-"), 1);
	ck_assert_int_eq(umount(dir), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rescue");
	TCase *t = tcase_create("rescue");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_newer_database_is_refused);
	tcase_add_test(t, a_newer_log_is_refused);
	tcase_add_test(t, what_cannot_be_read_is_refused);
	tcase_add_test(t, what_is_no_database_is_saved_aside);
	tcase_add_test(t, a_version_that_is_none_is_damage);
	tcase_add_test(t, rows_around_the_damage_are_kept);
	tcase_add_test(t, damage_under_an_open_one_is_an_error);
	tcase_add_test(t, the_log_of_a_damaged_one_counts);
	tcase_add_loop_test(t, any_damage_is_survived, 0, ROUNDS);
	tcase_add_test(t, no_space_for_a_new_one_changes_nothing);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
