/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <assert.h>
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds.h"
#include "init-wire.h"
#include "macro.h"
#include "sandbox/exec-payload.h"

static char *const env[] = { (char[]){ "A=1" }, (char[]){ "B=" }, NULL };

static struct wire_message *message(void)
{
	struct wire_message *m = malloc(sizeof(*m));

	assert(m);
	return m;
}

START_TEST(small_is_inline)
{
	static const char *const argv[] = { "sh", "-c", "", NULL };
	static const struct file_params file = { .path = "a/b",
						 .data = { "x\0y", 3 },
						 .mode = 0640 };
	struct exec_payload p = {
		.work_dir = "/w", .command = { argv, 3 }, .env = env, .files = { &file, 1 }
	};
	static const char expected[] = "/w\0sh\0-c\0\0A=1\0B=";
	struct wire_message *m = message();
	const struct init_exec *e = (const void *)m->data;
	struct init_file head;
	const uint8_t *at;

	ck_assert_int_eq(exec_payload_build(m, &p), 0);
	ck_assert_uint_eq(m->n_fds, 0);
	ck_assert_uint_eq(e->argc, 3);
	ck_assert_uint_eq(e->envc, 2);
	ck_assert_uint_eq(e->filec, 1);
	ck_assert_uint_eq(e->payload_offset, sizeof(*e));
	ck_assert_uint_eq(e->payload_offset + e->payload_size, m->size);
	at = m->data + e->payload_offset;
	ck_assert_mem_eq(at, expected, sizeof(expected));
	memcpy(&head, at + sizeof(expected), sizeof(head));
	ck_assert_uint_eq(head.mode, 0640);
	ck_assert_uint_eq(head.path_size, 4);
	ck_assert_uint_eq(head.data_size, 3);
	ck_assert_mem_eq(at + sizeof(expected) + sizeof(head), "a/b\0x\0y", 7);
	free(m);
}
END_TEST

START_TEST(big_is_a_sealed_memfd)
{
	const size_t size = 300 * 1024;
	char *big = malloc(size + 1);
	const char *argv[] = { "x", big, NULL };
	struct exec_payload p = { .work_dir = "/", .command = { argv, 2 }, .env = env };
	struct wire_message *m = message();
	const struct init_exec *e = (const void *)m->data;
	struct stat st;

	memset(big, 'a', size);
	big[size] = '\0';
	ck_assert(exec_payload_fits(&p));
	ck_assert_int_eq(exec_payload_build(m, &p), 0);
	ck_assert_uint_eq(m->n_fds, 1);
	ck_assert_uint_eq(m->size, sizeof(*e));
	ck_assert_uint_eq(e->flags, INIT_EXEC_PAYLOAD_FD);
	ck_assert_uint_eq(e->payload_offset, 0);
	ck_assert_int_eq(fstat(m->fds[0], &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, e->payload_size);
	ck_assert_int_eq(fcntl(m->fds[0], F_GET_SEALS),
			 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	wire_message_done(m);
	free(m);
	free(big);
}
END_TEST

START_TEST(too_big_is_seen)
{
	char *big = calloc(1, EXEC_ARGS_BYTES_MAX + 1);
	const char *argv[] = { big, NULL };
	struct exec_payload p = { .work_dir = "/", .command = { argv, 1 }, .env = env };

	memset(big, 'a', EXEC_ARGS_BYTES_MAX - 1 - 4 - 3);
	ck_assert(exec_payload_fits(&p));
	big[EXEC_ARGS_BYTES_MAX - 1 - 4 - 3] = 'a';
	ck_assert(!exec_payload_fits(&p));
	free(big);
}
END_TEST

static const struct {
	const char *path;
	bool good;
} paths[] = {
	{ "a", true },      { "a/b.c", true }, { "..a/b..", true }, { ".hidden", true },
	{ "", false },      { "/a", false },   { "a//b", false },   { "a/", false },
	{ "..", false },    { "../a", false }, { "a/..", false },   { "a/../b", false },
	{ "a/./b", false }, { ".", false },
};

START_TEST(file_paths)
{
	struct file_params file[2] = { { .path = "good", .mode = 0600 },
				       { .path = paths[_i].path, .mode = 0600 } };
	struct files_params files = { file, 2 };
	CLEANUP_ERROR struct error e = { 0 };

	if (paths[_i].good) {
		ck_assert_int_eq(exec_payload_check_files(&files, &e), 0);
		return;
	}
	ck_assert_int_eq(exec_payload_check_files(&files, &e), -1);
	ck_assert_int_eq(e.kind, ERROR_INVALID_PARAMS);
	ck_assert_str_eq(e.field, "files[1].path");
}
END_TEST

static const struct {
	const char *text;
	int64_t uid; /* -1: refused */
	uint32_t gid;
} users[] = {
	{ NULL, 1000, 1000 },
	{ "agent", 1000, 1000 },
	{ "root", 0, 0 },
	{ "1000", 1000, 1000 },
	{ "33", 33, 33 },
	{ "33:0", 33, 0 },
	{ "65534:65534", 65534, 65534 },
	{ "65535", -1, 0 },
	{ "1:65535", -1, 0 },
	{ "4294967296", -1, 0 },
	{ "99999999999999999999", -1, 0 },
	{ "", -1, 0 },
	{ "1:", -1, 0 },
	{ ":1", -1, 0 },
	{ "1:2:3", -1, 0 },
	{ "-1", -1, 0 },
	{ " 1", -1, 0 },
	{ "nobody", -1, 0 },
};

START_TEST(user_names)
{
	CLEANUP_ERROR struct error e = { 0 };
	uint32_t uid, gid;
	int r = exec_parse_user(users[_i].text, &uid, &gid, &e);

	if (users[_i].uid < 0) {
		ck_assert_int_eq(r, -1);
		ck_assert_str_eq(e.field, "user");
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(uid, users[_i].uid);
	ck_assert_uint_eq(gid, users[_i].gid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("exec-payload");
	TCase *t = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(t, small_is_inline);
	tcase_add_test(t, big_is_a_sealed_memfd);
	tcase_add_test(t, too_big_is_seen);
	tcase_add_loop_test(t, file_paths, 0, (int)ARRAY_SIZE(paths));
	tcase_add_loop_test(t, user_names, 0, (int)ARRAY_SIZE(users));
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
