/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/checks.h"
#include "util/child.h"
#include "util/fd.h"
#include "util/id.h"
#include "util/log.h"
#include "util/path.h"
#include "util/strings.h"
#include "util/table.h"
#include "util/time.h"
#include "util/unit.h"

static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/test-util-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, dir), 0);
}

/* ---- table ---- */

static bool count(void *value, void *userdata)
{
	size_t *n = userdata;

	(void)value;
	return ++*n < 500;
}

START_TEST(table_finds_what_was_added)
{
	struct table t = { 0 };
	static int values[2000];
	char key[16], own[] = "own";
	size_t i, n = 0;

	for (i = 0; i < 2000; i++) {
		(void)snprintf(key, sizeof(key), "k%zu", i * 7919 % 2000);
		ck_assert_int_eq(table_add(&t, key, &values[i * 7919 % 2000]), 0);
	}
	ck_assert_int_eq(table_add(&t, "k5", &values[0]), -EEXIST);
	ck_assert_int_eq(table_add_own(&t, "k5", &values[0]), -EEXIST);
	ck_assert_int_eq(table_add_own(&t, own, &values[0]), 0);
	ck_assert_uint_eq(t.count, 2001);
	ck_assert_ptr_eq(table_find(&t, "own"), &values[0]);
	ck_assert_ptr_eq(table_remove(&t, "own"), &values[0]);
	ck_assert_ptr_eq(table_find(&t, "k1234"), &values[1234]);
	ck_assert_ptr_null(table_find(&t, "k2000"));
	table_each(&t, count, &n);
	ck_assert_uint_eq(n, 500);
	ck_assert_ptr_eq(table_remove(&t, "k77"), &values[77]);
	ck_assert_ptr_null(table_remove(&t, "k77"));
	ck_assert_ptr_null(table_find(&t, "k77"));
	table_deinit(&t);
	ck_assert_ptr_null(table_find(&t, "k1"));
}
END_TEST

/* ---- strings ---- */

START_TEST(environments_replace_by_key)
{
	CLEANUP_STRINGS struct string_list l = { 0 };

	ck_assert_int_eq(string_list_set_env(&l, "PATH", "/bin"), 0);
	ck_assert_int_eq(string_list_set_env(&l, "PATHX", "1"), 0);
	ck_assert_int_eq(string_list_set_env(&l, "PATH", "/usr/bin"), 0);
	ck_assert_uint_eq(l.count, 2);
	ck_assert_str_eq(l.items[0], "PATH=/usr/bin");
	ck_assert_str_eq(l.items[1], "PATHX=1");
	ck_assert_ptr_null(l.items[2]);
}
END_TEST

START_TEST(packed_strings_come_back)
{
	static const char *const in[] = { "a", "", "long text with spaces", "é" };
	CLEANUP_STRINGS struct string_list out = { 0 };
	char *block;
	size_t size, i;

	ck_assert_int_eq(strings_pack(in, 4, &block, &size), 0);
	ck_assert_int_eq(strings_unpack(block, size, &out), 0);
	ck_assert_uint_eq(out.count, 4);
	for (i = 0; i < 4; i++)
		ck_assert_str_eq(out.items[i], in[i]);
	ck_assert_int_eq(strings_unpack(block, size - 1, &out), -EBADMSG);
	free(block);
	ck_assert_int_eq(strings_unpack(NULL, 0, &out), 0);
}
END_TEST

/* ---- ids, time ---- */

START_TEST(ids_are_letters_and_digits_and_differ)
{
	struct table t = { 0 };
	char id[ID_SIZE], short_id[SHORT_ID_SIZE];
	int i;

	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(id_make(id), 0);
		ck_assert_uint_eq(strlen(id), ID_SIZE - 1);
		ck_assert_uint_eq(strspn(id, "abcdefghijklmnopqrstuvwxyz234567"), ID_SIZE - 1);
		ck_assert(id[0] >= 'a' && id[0] <= 'z');
		ck_assert_int_eq(table_add(&t, id, id), 0);
	}
	ck_assert_int_eq(id_make_short(short_id), 0);
	ck_assert_uint_eq(strlen(short_id), SHORT_ID_SIZE - 1);
	table_deinit(&t);
}
END_TEST

START_TEST(times_are_rfc3339_with_milliseconds)
{
	char text[TIME_TEXT_SIZE];

	time_format(1795442709123, text);
	ck_assert_str_eq(text, "2026-11-23T14:05:09.123Z");
	time_format(0, text);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
	time_format(INT64_MAX, text);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
}
END_TEST

/* ---- paths ---- */

START_TEST(clean_paths)
{
	static const char *const good[] = { "/", "/a", "/a/b", "/.a", "/..a", "/a../b" };
	static const char *const bad[] = { "",   "a",   "/a/",     "//",  "/a//b",
					   "/.", "/..", "/a/../b", "/a/." };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(path_is_clean(good[i]), "%s", good[i]);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!path_is_clean(bad[i]), "%s", bad[i]);
	ck_assert(path_is_below("/a/b", "/a"));
	ck_assert(path_is_below("/a", "/a"));
	ck_assert(path_is_below("/a", "/"));
	ck_assert(!path_is_below("/ab", "/a"));
}
END_TEST

START_TEST(private_directories_are_checked)
{
	char path[128], link[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/d", dir);
	(void)snprintf(link, sizeof(link), "%s/l", dir);
	ck_assert_int_eq(path_make_private(path, 0711, getuid()), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0711);
	ck_assert_int_eq(chmod(path, 0777), 0);
	ck_assert_int_eq(path_make_private(path, 0700, getuid()), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(path_make_private(path, 0700, getuid() + 1), -EPERM);
	ck_assert_int_eq(symlink(path, link), 0);
	ck_assert_int_lt(path_make_private(link, 0700, getuid()), 0);
}
END_TEST

START_TEST(removing_a_tree_does_not_follow_links)
{
	char path[160], outside[128];

	(void)snprintf(outside, sizeof(outside), "%s/outside", dir);
	ck_assert_int_eq(mkdir(outside, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/tree/a/b", dir);
	ck_assert_int_eq(path_make(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/tree/a/link", dir);
	ck_assert_int_eq(symlink(outside, path), 0);
	(void)snprintf(path, sizeof(path), "%s/outside/file", dir);
	ck_assert_int_ge(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
	(void)snprintf(path, sizeof(path), "%s/tree", dir);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path), 0);
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(path_remove_tree(AT_FDCWD, path), 0);
	(void)snprintf(path, sizeof(path), "%s/outside/file", dir);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

/* ---- descriptors ---- */

static int outcome(int fd)
{
	return fd < 0 ? fd : (close(fd), 0);
}

/* _i 1: in a process whose filter answers ENOSYS for openat2(). */
static void open_all(void)
{
	CLEANUP_FD int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[128];

	ck_assert_int_ge(top, 0);
	ck_assert_int_eq(mkdirat(top, "a", 0700), 0);
	ck_assert_int_eq(mkdirat(top, "a/b", 0700), 0);
	ck_assert_int_eq(symlinkat("a", top, "link"), 0);
	ck_assert_int_eq(symlinkat("b", top, "a/last"), 0);
	close(openat(top, "a/b/file", O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/b/file", O_RDONLY)), 0);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a//b/./file", O_PATH)), 0);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/b/", O_PATH | O_DIRECTORY)), 0);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/b/file", O_PATH | O_DIRECTORY)), -ENOTDIR);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/b/file/x", O_PATH)), -ENOTDIR);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/none", O_PATH)), -ENOENT);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "", O_PATH)), -ENOENT);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "link/b/file", O_RDONLY)), -ELOOP);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/last", O_PATH)), -ELOOP);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/last", O_RDONLY)), -ELOOP);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "a/last", O_PATH | O_NOFOLLOW)), 0);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "../etc", O_PATH)), -EXDEV);
	ck_assert_int_eq(outcome(fd_open_beneath(top, "/etc", O_PATH)), -EXDEV);
	(void)snprintf(path, sizeof(path), "%s/a/b/../b/file", dir);
	ck_assert_int_eq(outcome(fd_open_no_links(AT_FDCWD, path, O_RDONLY)), 0);
	(void)snprintf(path, sizeof(path), "%s/link/b", dir);
	ck_assert_int_eq(outcome(fd_open_no_links(top, path, O_PATH)), -ELOOP);
	ck_assert_int_eq(outcome(fd_open_no_links(AT_FDCWD, "/proc/self/exe", O_RDONLY)), -ELOOP);
}

START_TEST(no_link_is_followed_with_and_without_openat2)
{
	scmp_filter_ctx filter;

	if (_i == 1) { /* Check has made a process for this test */
		filter = seccomp_init(SCMP_ACT_ALLOW);
		ck_assert_ptr_nonnull(filter);
		ck_assert_int_eq(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2),
						  0),
				 0);
		ck_assert_int_eq(seccomp_load(filter), 0);
		seccomp_release(filter);
	}
	open_all();
}
END_TEST

START_TEST(listening_replaces_a_stale_socket)
{
	char path[128], text[200];
	struct stat st;
	int fd, peer;

	(void)snprintf(path, sizeof(path), "%s/s", dir);
	fd = fd_listen_unix(path, SOCK_SEQPACKET, 0660, 4);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0660);
	(void)close(fd);
	ck_assert_int_eq(fd_connect_unix(path, SOCK_SEQPACKET), -ECONNREFUSED);
	fd = fd_listen_unix(path, SOCK_SEQPACKET, 0600, 4);
	ck_assert_int_ge(fd, 0);
	peer = fd_connect_unix(path, SOCK_SEQPACKET);
	ck_assert_int_ge(peer, 0);
	(void)close(peer);
	(void)close(fd);
	memset(text, 'x', sizeof(text));
	text[0] = '/';
	text[100] = '\0';
	ck_assert_int_eq(fd_listen_unix(text, SOCK_STREAM, 0600, 4), -ENAMETOOLONG);
}
END_TEST

START_TEST(files_are_read_up_to_a_limit)
{
	char path[128];
	char *text = NULL;
	size_t size;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/f", dir);
	ck_assert_int_eq(fd_write_file(AT_FDCWD, path, "x"), -ENOENT);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(fd_write_file(AT_FDCWD, path, "hello"), 0);
	ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 4, &text, &size), -EFBIG);
	ck_assert_int_eq(fd_read_file(AT_FDCWD, path, 5, &text, &size), 0);
	ck_assert_str_eq(text, "hello");
	ck_assert_uint_eq(size, 5);
	free(text);
}
END_TEST

/* ---- children ---- */

struct outcome {
	struct event_base *base;
	bool called;
	bool exited;
	int status;
};

static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct outcome *o = userdata;

	(void)c;
	o->called = true;
	o->exited = exited;
	o->status = status;
	(void)event_base_loopbreak(o->base);
}

static struct child *start(struct outcome *o, const char *script, const int *fds, size_t n)
{
	const char *const argv[] = { "/bin/sh", "-c", script, NULL };
	const struct child_config config = { .base = o->base,
					     .argv = argv,
					     .fds = fds,
					     .n_fds = n,
					     .ended = on_ended,
					     .userdata = o };
	struct child *c = NULL;

	ck_assert_int_eq(child_start(&c, &config), 0);
	return c;
}

START_TEST(children_tell_how_they_ended)
{
	struct outcome o = { .base = event_base_new() };
	int pipes[2];
	char text[8];
	struct child *c;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	{
		/* crossed numbers: 0 gets the pipe, 1 too, 2 is /dev/null */
		const int fds[] = { pipes[0], pipes[1], -1 };

		c = start(&o, "echo hi; exit 7", fds, 3);
	}
	ck_assert_int_eq(event_base_dispatch(o.base), 0);
	ck_assert(o.called && o.exited);
	ck_assert_int_eq(o.status, 7);
	ck_assert_int_eq(child_kill(c, SIGTERM), -ESRCH);
	ck_assert_int_eq(read(pipes[0], text, sizeof(text)), 3);
	c = child_free(c);
	o.called = false;
	c = start(&o, "exec sleep 100", NULL, 0);
	ck_assert_int_eq(child_kill(c, SIGKILL), 0);
	ck_assert_int_eq(event_base_dispatch(o.base), 0);
	ck_assert(o.called && !o.exited);
	ck_assert_int_eq(o.status, SIGKILL);
	c = child_free(c);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	event_base_free(o.base);
}
END_TEST

START_TEST(a_freed_child_is_killed_and_reaped)
{
	struct outcome o = { .base = event_base_new() };
	struct child *c = start(&o, "exec sleep 100", NULL, 0);
	pid_t pid = child_pid(c);

	c = child_free(c);
	ck_assert_ptr_null(c);
	ck_assert_int_ge(event_base_dispatch(o.base), 0); /* ends when no event is left */
	ck_assert(!o.called);
	ck_assert_int_eq(kill(pid, 0), -1);
	event_base_free(o.base);
}
END_TEST

/* Ours to reap here, which child_watch() leaves to us. */
START_TEST(a_foreign_process_is_only_watched)
{
	struct outcome o = { .base = event_base_new(), .status = -1 };
	const struct child_config config = { .base = o.base, .ended = on_ended, .userdata = &o };
	pid_t pid = fork();
	struct child *c = NULL;

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(child_watch(&c, &config, pid, pidfd_open(pid, 0)), 0);
	ck_assert_int_eq(child_pid(c), pid);
	c = child_free(c);
	ck_assert_int_eq(kill(pid, 0), 0);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0); /* it lives */
	ck_assert_int_eq(child_watch(&c, &config, pid, pidfd_open(pid, 0)), 0);
	ck_assert_int_eq(child_kill(c, SIGKILL), 0);
	ck_assert_int_eq(event_base_dispatch(o.base), 0);
	ck_assert(o.called && !o.exited);
	ck_assert_int_eq(o.status, 0);
	ck_assert_int_eq(child_kill(c, SIGKILL), -ESRCH);
	c = child_free(c);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	event_base_free(o.base);
}
END_TEST

START_TEST(only_what_systemd_executed_is_its_service)
{
	char other[16];

	(void)unsetenv("SYSTEMD_EXEC_PID");
	ck_assert_int_eq(unit_manager_of_self(geteuid() == 0), UNIT_MANAGER_NONE);
	/* inherited from a shell that is in a service */
	(void)snprintf(other, sizeof(other), "%d", getppid());
	ck_assert_int_eq(setenv("SYSTEMD_EXEC_PID", other, 1), 0);
	ck_assert_int_eq(unit_manager_of_self(geteuid() == 0), UNIT_MANAGER_NONE);
	(void)unsetenv("SYSTEMD_EXEC_PID");
}
END_TEST

START_TEST(a_missing_program_is_an_error)
{
	const char *const argv[] = { "/nonexistent", NULL };
	struct event_base *base = event_base_new();
	const struct child_config config = { .base = base, .argv = argv };
	struct child *c;

	ck_assert_int_eq(child_start(&c, &config), -ENOENT);
	event_base_free(base);
}
END_TEST

/* ---- log, checks ---- */

START_TEST(lines_are_escaped_and_rate_limited)
{
	int pipes[2], saved = dup(STDERR_FILENO), allowed = 0, i;
	char text[256];
	ssize_t n;

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_ge(dup2(pipes[1], STDERR_FILENO), 0);
	log_warning("a\nb\x1b[31m");
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	n = read(pipes[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_str_eq(text, "warning: a\\x0ab\\x1b[31m\n");
	for (i = 0; i < 1000; i++)
		allowed += log_ratelimit();
	ck_assert_int_le(allowed, 30);
	ck_assert_int_ge(allowed, 1);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	(void)close(saved);
}
END_TEST

START_TEST(lines_of_a_file_say_when)
{
	int file = fileno(tmpfile()), saved = dup(STDERR_FILENO);
	const struct log_fields fields = { .sandbox = "box" };
	char text[256] = "";

	ck_assert_int_ge(dup2(file, STDERR_FILENO), 0);
	log_message(LOG_LEVEL_WARNING, &fields, "odd");
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	ck_assert_int_gt(pread(file, text, sizeof(text) - 1, 0), 25);
	ck_assert_int_eq(text[23], 'Z'); /* 2026-11-23T14:05:09.123Z */
	ck_assert_str_eq(text + 24, " warning: sandbox box: odd\n");
	(void)close(file);
	(void)close(saved);
}
END_TEST

START_TEST(a_full_stderr_does_not_block)
{
	int pipes[2], saved = dup(STDERR_FILENO), i;

	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_ge(dup2(pipes[1], STDERR_FILENO), 0);
	for (i = 0; i < 10000; i++)
		log_warning("a line that nobody reads");
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	(void)close(saved);
}
END_TEST

START_TEST(checks_say_something_about_everything)
{
	const struct checks_scope scope = { .uid = getuid(),
					    .state_dir = dir,
					    .runtime_dir = "/nonexistent/dir",
					    .crun = "/nonexistent/crun" };
	struct check checks[CHECKS_MAX];
	size_t i, n = checks_run(&scope, checks);

	ck_assert_uint_ge(n, 10);
	for (i = 0; i < n; i++) {
		ck_assert_ptr_nonnull(checks[i].name);
		ck_assert_uint_gt(strlen(checks[i].detail), 0);
		ck_assert((checks[i].ok || checks[i].skipped) == (checks[i].hint == NULL));
		ck_assert(!checks[i].ok || !checks[i].skipped);
		if (strcmp(checks[i].name, "crun") == 0) {
			ck_assert(!checks[i].ok);
			ck_assert_str_eq(checks[i].fix[0], "apt-get");
			ck_assert_str_eq(checks[i].fix[3], "crun");
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("util");
	TCase *plain = tcase_create("plain");
	TCase *files = tcase_create("files");
	SRunner *runner;
	int failed;

	tcase_add_test(plain, table_finds_what_was_added);
	tcase_add_test(plain, environments_replace_by_key);
	tcase_add_test(plain, packed_strings_come_back);
	tcase_add_test(plain, ids_are_letters_and_digits_and_differ);
	tcase_add_test(plain, times_are_rfc3339_with_milliseconds);
	tcase_add_test(plain, clean_paths);
	tcase_add_test(plain, children_tell_how_they_ended);
	tcase_add_test(plain, a_freed_child_is_killed_and_reaped);
	tcase_add_test(plain, a_foreign_process_is_only_watched);
	tcase_add_test(plain, only_what_systemd_executed_is_its_service);
	tcase_add_test(plain, a_missing_program_is_an_error);
	tcase_add_test(plain, lines_are_escaped_and_rate_limited);
	tcase_add_test(plain, lines_of_a_file_say_when);
	tcase_add_test(plain, a_full_stderr_does_not_block);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_set_timeout(files, 30);
	tcase_add_test(files, private_directories_are_checked);
	tcase_add_test(files, removing_a_tree_does_not_follow_links);
	tcase_add_loop_test(files, no_link_is_followed_with_and_without_openat2, 0, 2);
	tcase_add_test(files, listening_replaces_a_stale_socket);
	tcase_add_test(files, files_are_read_up_to_a_limit);
	tcase_add_test(files, checks_say_something_about_everything);
	suite_add_tcase(suite, plain);
	suite_add_tcase(suite, files);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
