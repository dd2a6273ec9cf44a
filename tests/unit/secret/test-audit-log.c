/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's files: the chain, restarts, rotation, and that whatever is done to them shows. */
#include <check.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "secret/audit-read.h"
#include "secret/audit-share.h"
#include "secret/audit.h"
#include "util/fd.h"
#include "util/path.h"

static char dir[64];
static struct audit_log l;
static struct audit_anchor saved; /* as a database would have it */
static int save_error;

static int save(const struct audit_anchor *a, void *userdata)
{
	(void)userdata;
	if (save_error == 0)
		saved = *a;
	return save_error;
}

static void start_with(uint8_t key)
{
	l = (struct audit_log){ .parent_fd = AT_FDCWD,
				.name = dir,
				.dir_fd = -1,
				.fd = -1,
				.file_max = 2000,
				.files_max = 4,
				.save = save };
	memset(l.key, key, sizeof(l.key));
	ck_assert_int_eq(audit_log_open(&l, &saved), 0);
}

static void start(void)
{
	start_with(7);
}

static void stop(void)
{
	audit_log_close(&l);
}

static void stop_saved(void)
{
	saved = l.now;
	stop();
}

static void setup(void)
{
	ck_assert_int_eq(audit_line_init(), 0);
	strcpy(dir, "/tmp/test-audit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	saved = (struct audit_anchor){ 0 };
	save_error = 0;
	start();
}

static void teardown(void)
{
	stop();
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

static void add_of(uid_t uid, const char *secret)
{
	const struct audit_entry e = {
		.action = "lease", .result = "ok", .uid = uid, .pid = 42, .secret = secret
	};

	ck_assert_int_eq(audit_log_append(&l, &e, "/usr/bin/node"), 0);
}

static void add(unsigned n)
{
	for (; n > 0; n--)
		add_of(1000, "token");
}

/* ---- what is seen ---- */

static int64_t check_with(const struct audit_mark *given, struct audit_check *c)
{
	ck_assert_int_eq(audit_check_begin(c, &l, given), 0);
	while (audit_check_step(c, &l))
		;
	audit_check_end(c);
	return c->walk.at.count + 1;
}

static void assert_good(void)
{
	struct audit_check c;

	(void)check_with(NULL, &c);
	ck_assert_int_eq(c.walk.fault, AUDIT_FAULT_NONE);
	ck_assert_int_eq(c.walk.at.count, l.now.head.count);
	ck_assert_str_eq(c.walk.at.hash, l.now.head.hash);
}

static void assert_bad(int64_t entry, enum audit_fault fault)
{
	struct audit_check c;

	ck_assert_int_eq(check_with(NULL, &c), entry);
	ck_assert_int_eq(c.walk.fault, fault);
}

static size_t list(uid_t peer, size_t limit, int64_t after, int64_t *ret_first, int64_t *ret_last)
{
	struct audit_list q = {
		.everybody = peer == 0, .uid = peer, .limit = limit, .after = after
	};
	struct audit_line line;
	size_t n;

	ck_assert_int_eq(audit_list_begin(&q, &l), 0);
	while (audit_list_step(&q, &l))
		;
	ck_assert_int_eq(q.error, 0);
	n = q.count;
	for (size_t i = 0; i < n; i++) {
		ck_assert(audit_line_read(q.lines[i], strlen(q.lines[i]), &line));
		if (i == 0)
			*ret_first = line.seq;
		*ret_last = line.seq;
	}
	audit_list_end(&q);
	return n;
}

/* ---- what is done to it ---- */

static void path_of(int64_t first, char *path, size_t size)
{
	char name[AUDIT_FILE_NAME_SIZE];

	audit_log_file_name(first, name);
	(void)snprintf(path, size, "%s/%s", dir, name);
}

/* Changes the first OLD behind entry SEQ's beginning in the file to NEW, which is as long. */
static void edit(int64_t first, const char *behind, const char *old, const char *new)
{
	CLEANUP_STR char *text = NULL;
	char path[128], *at;
	size_t size;
	FILE *f;

	path_of(first, path, sizeof(path));
	ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 1 << 20, &text, &size), 0);
	at = strstr(text, behind);
	ck_assert_ptr_nonnull(at);
	at = strstr(at, old);
	ck_assert_ptr_nonnull(at);
	memcpy(at, new, strlen(new));
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

/* Takes the last N lines of the file away. */
static void cut(int64_t first, unsigned n)
{
	CLEANUP_STR char *text = NULL;
	char path[128], *newline;
	size_t size;

	path_of(first, path, sizeof(path));
	ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 1 << 20, &text, &size), 0);
	for (n++; n > 0; n--) {
		newline = memrchr(text, '\n', size);
		ck_assert_ptr_nonnull(newline);
		size = (size_t)(newline - text);
	}
	ck_assert_int_eq(truncate(path, (off_t)size + 1), 0);
}

/* ---- tests ---- */

START_TEST(test_goes_on_after_restarts)
{
	ck_assert_int_eq(l.now.head.count, 1); /* the file's begin */
	add(3);
	ck_assert_int_eq(l.now.head.count, 4);
	assert_good();
	stop_saved();
	start();
	ck_assert_int_eq(l.now.head.count, 4);
	add(2);
	assert_good();
	stop(); /* killed: what is saved is older than the file */
	start();
	ck_assert_int_eq(l.now.head.count, 6);
	add(1);
	assert_good();
}
END_TEST

START_TEST(test_goes_on_over_files_that_were_not_saved)
{
	struct audit_anchor before;

	add(2);
	before = l.now;
	add(12); /* two files on */
	stop();
	saved = before;
	start();
	ck_assert_int_eq(l.now.head.count, 1 + 2 + 12 + 2);
	assert_good();
}
END_TEST

START_TEST(test_without_what_is_saved)
{
	add(3);
	stop();
	saved = (struct audit_anchor){ 0 }; /* the database was lost */
	start();
	ck_assert_int_eq(l.now.head.count, 4);
	ck_assert_int_eq(saved.first, 1);
	assert_good();
}
END_TEST

START_TEST(test_what_is_written)
{
	struct json_object *o, *v;
	struct audit_mark head = { .hash = AUDIT_HASH_NONE };
	struct audit_line parsed;
	char line[AUDIT_LINE_MAX], previous[AUDIT_HASH_SIZE];
	const struct audit_entry e = { .action = "lease",
				       .result = "ok",
				       .uid = 1000,
				       .pid = 7,
				       .secret = "a\"b\\c\n",
				       .exec_id = "ex-1",
				       .stage = "plan" };
	size_t size;

	memcpy(previous, head.hash, sizeof(previous));
	size = audit_line_write(l.key, &head, 0, &e, "/bin/\xc3\xa9\xff\xfe\xc3", line);
	ck_assert_int_eq(line[size - 1], '\n');
	line[size - 1] = '\0';
	ck_assert(audit_line_read(line, size - 1, &parsed));
	ck_assert(audit_line_is_true(l.key, previous, line, size - 1));
	ck_assert_int_eq(parsed.seq, 1);
	ck_assert_uint_eq(parsed.uid, 1000);
	ck_assert(!parsed.is_begin);
	ck_assert_str_eq(parsed.mac, head.hash);
	o = json_tokener_parse(line);
	ck_assert_ptr_nonnull(o);
	ck_assert(json_object_object_get_ex(o, "secret", &v));
	ck_assert_str_eq(json_object_get_string(v), e.secret);
	ck_assert(json_object_object_get_ex(o, "exe", &v));
	ck_assert_str_eq(json_object_get_string(v), "/bin/\xc3\xa9???");
	ck_assert(json_object_object_get_ex(o, "execId", &v));
	ck_assert(!json_object_object_get_ex(o, "loopId", &v));
	json_object_put(o);
}
END_TEST

START_TEST(test_longest_line_fits)
{
	struct audit_mark head = { .count = INT64_MAX / 100, .hash = AUDIT_HASH_NONE };
	char line[AUDIT_LINE_MAX], bad[1024];
	struct audit_line parsed;
	const struct audit_entry e = { bad, bad, UINT32_MAX, INT32_MAX, bad, bad,
				       bad, bad, bad,        bad,       bad };
	size_t size;

	memset(bad, 1, sizeof(bad) - 1);
	bad[sizeof(bad) - 1] = '\0';
	size = audit_line_write(l.key, &head, 0, &e, bad, line);
	ck_assert_uint_lt(size, sizeof(line));
	ck_assert(audit_line_read(line, size - 1, &parsed));
}
END_TEST

START_TEST(test_lines_that_are_none)
{
	static const char *const texts[] = { "", "{}", "{\"seq\":", "{\"seq\":1", "\n" };
	struct audit_mark head = { .hash = AUDIT_HASH_NONE };
	char line[AUDIT_LINE_MAX];
	struct audit_line parsed;
	size_t size = audit_line_begin(l.key, &head, 0, line) - 1;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert(!audit_line_read(texts[i], strlen(texts[i]), &parsed));
	ck_assert(audit_line_read(line, size, &parsed));
	ck_assert(parsed.is_begin);
	for (size_t i = 0; i < size; i++) /* never beyond its end: valgrind and ASan look */
		ck_assert(!audit_line_read(line, i, &parsed));
}
END_TEST

START_TEST(test_changed_entry_is_named)
{
	add(4);
	stop_saved();
	edit(1, "{\"seq\":3", "\"result\":\"ok\"", "\"result\":\"no\"");
	start();
	assert_bad(3, AUDIT_FAULT_CHANGED);
	add(2); /* it goes on, and that stays */
	stop_saved();
	start();
	assert_bad(3, AUDIT_FAULT_CHANGED);
}
END_TEST

START_TEST(test_cut_tail_shows)
{
	add(4);
	stop_saved();
	cut(1, 2);
	start();
	ck_assert_int_eq(l.now.head.count, 6); /* no number twice */
	assert_bad(4, AUDIT_FAULT_MISSING);
	add(1);
	stop_saved();
	start();
	assert_bad(4, AUDIT_FAULT_MISSING);
}
END_TEST

START_TEST(test_cut_tail_shows_while_we_write)
{
	add(4);
	cut(1, 1);
	add(1);
	assert_bad(5, AUDIT_FAULT_MISSING);
}
END_TEST

START_TEST(test_torn_line_shows)
{
	char path[128];
	struct stat st;

	add(3);
	stop_saved();
	path_of(1, path, sizeof(path));
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(truncate(path, st.st_size - 5), 0);
	start();
	assert_bad(4, AUDIT_FAULT_DAMAGED);
	add(1);
	assert_bad(4, AUDIT_FAULT_DAMAGED);
}
END_TEST

START_TEST(test_removed_file_shows)
{
	char path[128];

	add(3);
	path_of(1, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	add(1); /* while we write */
	assert_bad(1, AUDIT_FAULT_MISSING);
	stop_saved();
	path_of(5, path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	start(); /* and all of it */
	assert_bad(1, AUDIT_FAULT_MISSING);
}
END_TEST

START_TEST(test_removed_entry_shows)
{
	CLEANUP_STR char *text = NULL;
	char path[128], *a, *b;
	size_t size;
	FILE *f;

	add(5);
	stop_saved();
	path_of(1, path, sizeof(path));
	ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 1 << 20, &text, &size), 0);
	a = strstr(text, "{\"seq\":3,");
	b = strstr(text, "{\"seq\":4,");
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fwrite(text, 1, (size_t)(a - text), f), 0);
	ck_assert_uint_gt(fwrite(b, 1, strlen(b), f), 0);
	ck_assert_int_eq(fclose(f), 0);
	start();
	assert_bad(3, AUDIT_FAULT_MISSING);
}
END_TEST

START_TEST(test_another_key_shows)
{
	add(2);
	stop_saved();
	start_with(8);
	add(2);
	assert_bad(1, AUDIT_FAULT_KEY);
	ck_assert_int_eq(l.now.head.count, 6);
}
END_TEST

START_TEST(test_rotation_keeps_the_chain)
{
	int64_t *files = NULL, oldest;
	size_t n = 0;
	struct stat st;
	char path[128];

	while (l.now.first == 1)
		add(1);
	assert_good();
	oldest = l.now.first;
	ck_assert_int_eq(audit_log_files(&l, &files, &n), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(files[0], oldest);
	for (size_t i = 0; i < n; i++) {
		path_of(files[i], path, sizeof(path));
		ck_assert_int_eq(stat(path, &st), 0);
		ck_assert_int_le(st.st_size, 2000);
		ck_assert_uint_eq(st.st_mode & 07777, 0600);
	}
	path_of(1, path, sizeof(path));
	ck_assert_int_eq(access(path, F_OK), -1);
	stop_saved();
	start();
	assert_good();
	/* one of those that are kept is missed, be it the oldest */
	path_of(files[1], path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	assert_bad(files[1], AUDIT_FAULT_MISSING);
	path_of(files[0], path, sizeof(path));
	ck_assert_int_eq(unlink(path), 0);
	assert_bad(files[0], AUDIT_FAULT_MISSING);
	free(files);
}
END_TEST

START_TEST(test_no_rotation_unless_saved)
{
	int64_t *files = NULL;
	size_t n = 0;

	save_error = -ENOSPC;
	add(20);
	ck_assert_int_eq(audit_log_files(&l, &files, &n), 0);
	ck_assert_uint_eq(n, 1);
	free(files);
	save_error = 0;
	add(1);
	ck_assert_int_eq(audit_log_files(&l, &files, &n), 0);
	ck_assert_uint_eq(n, 2);
	free(files);
	assert_good();
}
END_TEST

START_TEST(test_noted_head)
{
	struct audit_mark noted;
	struct audit_check c;

	add(3);
	noted = l.now.head;
	add(3);
	(void)check_with(&noted, &c);
	ck_assert(!c.contradicts);
	ck_assert_int_eq(c.walk.fault, AUDIT_FAULT_NONE);
	noted.hash[0] = noted.hash[0] == '0' ? '1' : '0';
	(void)check_with(&noted, &c);
	ck_assert(c.contradicts);
}
END_TEST

START_TEST(test_full_disk_refuses)
{
	const struct audit_entry e = { .action = "lease", .result = "ok", .secret = "token" };
	struct rlimit before, limit;

	add(2);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	/* nothing fits, and then a part of it */
	for (rlim_t room = 0; room < 200; room += 100) {
		limit = (struct rlimit){ (rlim_t)l.file_bytes + room, before.rlim_max };
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
		ck_assert_int_lt(audit_log_append(&l, &e, NULL), 0);
		ck_assert_int_eq(l.now.head.count, 3);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_DFL);
	add(1);
	ck_assert_int_eq(l.now.head.count, 4);
	assert_good();
}
END_TEST

START_TEST(test_list)
{
	int64_t first, last;

	for (unsigned i = 0; i < 9; i++) {
		add_of(1000, "token");
		add_of(1001, "token");
	}
	ck_assert_int_eq(l.now.first, 1); /* nothing given up, but some files */
	ck_assert_uint_eq(list(1001, 100, -1, &first, &last), 9);
	ck_assert_uint_eq(list(1001, 4, -1, &first, &last), 4);
	ck_assert_int_eq(last, l.now.head.count);
	ck_assert_int_lt(first, last);
	ck_assert_uint_eq(list(0, 1000, -1, &first, &last), (size_t)l.now.head.count);
	ck_assert_int_eq(first, 1);
	ck_assert_uint_eq(list(0, 1000, 5, &first, &last), (size_t)l.now.head.count - 5);
	ck_assert_int_eq(first, 6);
	ck_assert_uint_eq(list(0, 3, 5, &first, &last), 3);
	ck_assert_int_eq(last, 8);
	ck_assert_uint_eq(list(0, 3, l.now.head.count, &first, &last), 0);
	ck_assert_uint_eq(list(1002, 3, -1, &first, &last), 0);
}
END_TEST

START_TEST(test_list_beside_garbage)
{
	int64_t first, last;
	char path[128], *big = malloc(40000);
	FILE *f;

	add(2);
	path_of(1, path, sizeof(path));
	f = fopen(path, "a");
	ck_assert_ptr_nonnull(f);
	memset(big, 'x', 40000);
	ck_assert_uint_eq(fwrite(big, 1, 40000, f), 40000);
	ck_assert_int_eq(fputs("\n{\"seq\":99\nhalf", f) >= 0, 1);
	ck_assert_int_eq(fclose(f), 0);
	free(big);
	add(2);
	ck_assert_uint_eq(list(1000, 10, -1, &first, &last), 4);
	ck_assert_int_eq(last, l.now.head.count);
	ck_assert_uint_eq(list(1000, 10, 0, &first, &last), 4);
	assert_bad(4, AUDIT_FAULT_DAMAGED);
}
END_TEST

START_TEST(test_shares)
{
	struct audit_shares s = { 0 };
	struct audit_share *a = audit_share_get(&s, 1000, 5000);

	ck_assert_int_eq(a->left, AUDIT_ENTRIES_PER_UID_MAX);
	a->left = 0;
	ck_assert_int_eq(audit_share_get(&s, 1001, 5000)->left, AUDIT_ENTRIES_PER_UID_MAX);
	for (int64_t now = 5000; now < 8000; now += 400) /* no part of a second is lost */
		ck_assert_ptr_eq(audit_share_get(&s, 1000, now), a);
	ck_assert_int_eq(audit_share_get(&s, 1000, 8000)->left, 3);
	a->left = -10;
	ck_assert_int_eq(audit_share_get(&s, 1000, 18000)->left, 0);
	ck_assert_int_eq(audit_share_get(&s, 1000, INT64_MAX)->left, AUDIT_ENTRIES_PER_UID_MAX);
	audit_shares_deinit(&s);
}
END_TEST

/* Nobody gets more by being forgotten. */
START_TEST(test_shares_are_forgotten_when_full)
{
	struct audit_shares s = { 0 };
	int64_t full = 10 * INT64_C(1000);

	audit_share_get(&s, 1000, 0)->left -= 10;
	audit_share_get(&s, 1001, 0)->left -= 11;
	ck_assert_int_eq(audit_share_get(&s, 1002, full)->left, AUDIT_ENTRIES_PER_UID_MAX);
	ck_assert_uint_eq(LIST_FIRST(&s.all)->uid, 1002);
	ck_assert_uint_eq(LIST_NEXT(LIST_FIRST(&s.all), in_all)->uid, 1001);
	ck_assert_ptr_null(LIST_NEXT(LIST_NEXT(LIST_FIRST(&s.all), in_all), in_all));
	ck_assert_int_eq(audit_share_get(&s, 1001, full)->left, AUDIT_ENTRIES_PER_UID_MAX - 1);
	audit_shares_deinit(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("audit-log");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_goes_on_after_restarts);
	tcase_add_test(c, test_goes_on_over_files_that_were_not_saved);
	tcase_add_test(c, test_without_what_is_saved);
	tcase_add_test(c, test_what_is_written);
	tcase_add_test(c, test_longest_line_fits);
	tcase_add_test(c, test_lines_that_are_none);
	tcase_add_test(c, test_changed_entry_is_named);
	tcase_add_test(c, test_cut_tail_shows);
	tcase_add_test(c, test_cut_tail_shows_while_we_write);
	tcase_add_test(c, test_torn_line_shows);
	tcase_add_test(c, test_removed_file_shows);
	tcase_add_test(c, test_removed_entry_shows);
	tcase_add_test(c, test_another_key_shows);
	tcase_add_test(c, test_rotation_keeps_the_chain);
	tcase_add_test(c, test_no_rotation_unless_saved);
	tcase_add_test(c, test_noted_head);
	tcase_add_test(c, test_full_disk_refuses);
	tcase_add_test(c, test_list);
	tcase_add_test(c, test_list_beside_garbage);
	tcase_add_test(c, test_shares);
	tcase_add_test(c, test_shares_are_forgotten_when_full);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
