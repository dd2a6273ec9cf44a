/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of init. */

#include <check.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "init/payload.h"
#include "init/text.h"
#include "init/tree.h"

static struct init_exec request(uint32_t argc, uint32_t envc, uint32_t filec)
{
	return (struct init_exec){ .argc = argc,
				   .envc = envc,
				   .filec = filec,
				   .payload_offset = sizeof(struct init_exec) };
}

START_TEST(strings)
{
	char data[] = "/work\0sh\0-c\0\0A=1\0PATH=/bin";
	const struct init_exec e = request(3, 2, 0);
	struct payload p;
	size_t size;

	ck_assert_int_eq(payload_parse(&p, &e, data, sizeof(data)), 0);
	ck_assert_str_eq(p.workdir, "/work");
	ck_assert_str_eq(p.argv[0], "sh");
	ck_assert_str_eq(p.argv[1], "-c");
	ck_assert_str_eq(p.argv[2], "");
	ck_assert_ptr_null(p.argv[3]);
	ck_assert_str_eq(p.envp[0], "A=1");
	ck_assert_ptr_null(p.envp[2]);
	ck_assert_str_eq(payload_getenv(&p, "PATH"), "/bin");
	ck_assert_ptr_null(payload_getenv(&p, "PAT"));
	payload_deinit(&p);
	for (size = 0; size < sizeof(data); size++) /* cut off anywhere */
		ck_assert_int_eq(payload_parse(&p, &e, data, size), -EBADMSG);
	ck_assert_int_eq(payload_parse(&p, &e, (char[]){ "/work\0sh\0-c\0\0A=1\0P=\0more" }, 26),
			 -EBADMSG); /* and nothing may be behind it */
}
END_TEST

static size_t put_file(char *at, const char *path, uint32_t path_size, uint64_t size)
{
	struct init_file f = { 0644, path_size, size };

	memcpy(at, &f, sizeof(f));
	memcpy(at + sizeof(f), path, strlen(path) + 1);
	memset(at + sizeof(f) + strlen(path) + 1, 'd', 3);
	return sizeof(f) + strlen(path) + 1 + 3;
}

static int parse_file(const char *path, uint32_t path_size, uint64_t size)
{
	const struct init_exec e = request(1, 0, 1);
	char data[256] = "/\0a";
	struct payload p;
	int r;

	r = payload_parse(&p, &e, data, 4 + put_file(data + 4, path, path_size, size));
	if (r == 0) {
		ck_assert_str_eq(p.files[0].path, path);
		ck_assert_uint_eq(p.files[0].size, 3);
		ck_assert_int_eq(memcmp(p.files[0].data, "ddd", 3), 0);
		payload_deinit(&p);
	}
	return r;
}

START_TEST(files)
{
	ck_assert_int_eq(parse_file("a/b", 4, 3), 0);
	ck_assert_int_eq(parse_file("a/b", 3, 3), -EBADMSG);
	ck_assert_int_eq(parse_file("a/b", 5, 3), -EBADMSG);
	ck_assert_int_eq(parse_file("a/b", 4, 2), -EBADMSG);
	ck_assert_int_eq(parse_file("a/b", 4, 4), -EBADMSG);
	ck_assert_int_eq(parse_file("a/b", 4, UINT64_MAX), -EBADMSG);
	ck_assert_int_eq(parse_file("../b", 5, 3), -EBADMSG);
}
END_TEST

START_TEST(paths)
{
	static const char *const good[] = { "a", "a/b", ".a", "..a", "a../b", "..." };
	static const char *const bad[] = { "",   "/",    "/a",   "a/",    "a//b",  ".",
					   "..", "../a", "a/..", "a/./b", "a/../b" };
	static char longest[SEARCH_PATH_MAX + 1];
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(payload_path_ok(good[i]), "%s", good[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!payload_path_ok(bad[i]), "%s", bad[i]);
	memset(longest, 'a', SEARCH_PATH_MAX);
	ck_assert(!payload_path_ok(longest));
}
END_TEST

START_TEST(search)
{
	static char longest[SEARCH_PATH_MAX + 8];
	char out[SEARCH_PATH_MAX];
	const char *rest = "/bin::rel:";

	ck_assert(payload_search_next(&rest, "x", out));
	ck_assert_str_eq(out, "/bin/x");
	ck_assert(payload_search_next(&rest, "x", out));
	ck_assert_str_eq(out, "x");
	ck_assert(payload_search_next(&rest, "x", out));
	ck_assert_str_eq(out, "rel/x");
	ck_assert(payload_search_next(&rest, "x", out));
	ck_assert_str_eq(out, "x");
	ck_assert(!payload_search_next(&rest, "x", out));
	memset(longest, 'a', SEARCH_PATH_MAX);
	memcpy(longest + SEARCH_PATH_MAX, ":/b", 4);
	rest = longest;
	ck_assert(payload_search_next(&rest, "x", out));
	ck_assert_str_eq(out, "/b/x");
	ck_assert(!payload_search_next(&rest, "x", out));
}
END_TEST

START_TEST(requests)
{
	const size_t size = sizeof(struct init_exec) + 10;
	struct init_exec e = request(1, 0, 0);

	e.payload_size = 10;
	ck_assert(payload_request_ok(&e, size, 0));
	ck_assert(!payload_request_ok(&e, size - 1, 0));
	ck_assert(!payload_request_ok(&e, size, 1));
	e.flags = INIT_EXEC_HAS_STDOUT;
	ck_assert(payload_request_ok(&e, size, 1));
	e.flags = INIT_EXEC_HAS_MOUNTS | INIT_EXEC_HAS_NETWORK;
	ck_assert(payload_request_ok(&e, size, 2));
	ck_assert(!payload_request_ok(&e, size, 0)); /* else it would run without its view */
	ck_assert(!payload_request_ok(&e, size, 1));
	e.flags = 1u << 31;
	ck_assert(!payload_request_ok(&e, size, 0));
	e.flags = INIT_EXEC_PAYLOAD_FD;
	ck_assert(!payload_request_ok(&e, size, 1)); /* both ways at once */
	e.payload_offset = 0;
	ck_assert(payload_request_ok(&e, sizeof(e), 1));
	e.payload_size = PAYLOAD_MAX + 1;
	ck_assert(!payload_request_ok(&e, sizeof(e), 1));
	e = request(0, 0, 0);
	ck_assert(!payload_request_ok(&e, size, 0));
	e = request(ARGV_MAX + 1, 0, 0);
	ck_assert(!payload_request_ok(&e, size, 0));
	e = request(1, 0, 0);
	e.payload_offset = UINT64_MAX;
	e.payload_size = 2;
	ck_assert(!payload_request_ok(&e, size, 0));
	e.payload_offset = sizeof(e);
	e.payload_size = UINT64_MAX;
	ck_assert(!payload_request_ok(&e, size, 0));
}
END_TEST

START_TEST(children)
{
	_Alignas(8) char buffer[SCAN_SIZE];
	struct scan s = { .buffer = buffer };
	int p[2];

	ck_assert_int_eq(pipe(p), 0);
	s.fd = p[0];
	scan_rewind(&s);
	ck_assert_int_eq(write(p[1], "12 345 9", 8), 8);
	ck_assert_int_eq(scan_text(&s), 12);
	ck_assert_int_eq(scan_text(&s), 345);
	ck_assert_int_eq(write(p[1], "87 ", 3), 3); /* a number in two pieces */
	(void)close(p[1]);
	ck_assert_int_eq(scan_text(&s), 987);
	ck_assert_int_eq(scan_text(&s), 0);
	(void)close(p[0]);
}
END_TEST

START_TEST(texts)
{
	char buffer[8];
	struct text t = { buffer, sizeof(buffer), 0 };
	const char *end;

	text_add_number(&t, 0);
	text_add(&t, "/");
	text_add_number(&t, 1234567890);
	ck_assert_str_eq(buffer, "0/12345");
	ck_assert_uint_eq(text_number("42/x", &end), 42);
	ck_assert_str_eq(end, "/x");
	ck_assert_uint_eq(text_number("x", NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("init-parsers");
	TCase *c = tcase_create("parsers");
	SRunner *runner;
	int failed;

	tcase_add_test(c, strings);
	tcase_add_test(c, files);
	tcase_add_test(c, paths);
	tcase_add_test(c, search);
	tcase_add_test(c, requests);
	tcase_add_test(c, children);
	tcase_add_test(c, texts);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
