/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "codec.h"
#include "macro.h"
#include "scan.h"

static const struct {
	const char *line;
	int outcome; /* 1 parsed, 0 blank, -1 refused */
} lines[] = {
	{ "{}", 1 },
	{ "[1]", 1 },
	{ " { \"a\" : [ true , false , null ] } \r", 1 },
	{ "[-0,0,1,-1,10,1.5,-0.5,1e5,1E+5,1.0e-5]", 1 },
	{ "{\"a\":{\"b\":1},\"c\":{\"b\":1}}", 1 },
	{ "[\"a:b,{}[]\\\"\",\"'\"]", 1 },
	{ "[\"\\u0000\"]", 1 },
	{ "{\"a:b\":1}", 1 },
	{ "", 0 },
	{ " \t\r", 0 },
	{ "{", -1 },
	{ "[", -1 },
	{ "}", -1 },
	{ "]", -1 },
	{ "[}", -1 },
	{ "[1]]", -1 },
	{ "[1][2]", -1 },
	{ "[1]1", -1 },
	{ "[1,]", -1 },
	{ "[,1]", -1 },
	{ "[1 2]", -1 },
	{ "[\"a\":1]", -1 },
	{ "{\"a\"}", -1 },
	{ "{\"a\":}", -1 },
	{ "{\"a\":1,}", -1 },
	{ "{1:1}", -1 },
	{ "{a:1}", -1 },
	{ "['a']", -1 },
	{ "[01]", -1 },
	{ "[-01]", -1 },
	{ "[00]", -1 },
	{ "[+1]", -1 },
	{ "[.5]", -1 },
	{ "[1.]", -1 },
	{ "[1.e5]", -1 },
	{ "[1e]", -1 },
	{ "[1e+]", -1 },
	{ "[-]", -1 },
	{ "[--1]", -1 },
	{ "[1-2]", -1 },
	{ "[0x10]", -1 },
	{ "[NaN]", -1 },
	{ "[nan]", -1 },
	{ "[Infinity]", -1 },
	{ "[-Infinity]", -1 },
	{ "[True]", -1 },
	{ "[tru]", -1 },
	{ "[truefalse]", -1 },
	{ "[nul]", -1 },
	{ "[1] // a", -1 },
	{ "/**/[1]", -1 },
	{ "[\"a]", -1 },
	{ "[\"\\\"]", -1 },
	{ "[\"\\", -1 },
	{ "[\"\\x\"]", -1 },
	{ "[\"\\u12\"]", -1 },
	{ "[\"\t\"]", -1 },
	{ "[\"\xff\"]", -1 },
	{ "[\"\xc3\"]", -1 },
	{ "[\"\xc3\"\xa4]", -1 },
	{ "[1\xa0]", -1 },
	{ "{\"a\":1,\"a\":1}", -1 },
	{ "{\"a\":1,\"\\u0061\":1}", -1 },
	{ "[{\"b\":{\"a\":1,\"a\":1}}]", -1 },
	{ "{\"a\\u0000\":1}", -1 },
	{ "7", -1 },
	{ "\"a\"", -1 },
};

START_TEST(parses_what_is_json_and_nothing_else)
{
	CLEANUP(codec_freep) struct codec *c = NULL;
	CLEANUP_ERROR struct error e = { 0 };
	struct json_object *json = NULL;
	const char *line = lines[_i].line;
	size_t size = strlen(line);
	char *exact =
		malloc(size > 0 ? size : 1); /* no NUL behind it: a sanitizer sees reads beyond */
	int r;

	memcpy(exact, line, size);
	ck_assert_int_eq(codec_new(&c), 0);
	r = codec_parse(c, exact, size, &json, &e);
	ck_assert_msg(r == lines[_i].outcome, "%d: %s", r, line);
	ck_assert_int_eq(r < 0, e.kind != ERROR_NONE);
	json_object_put(json);
	/* A refused line leaves nothing behind in the parser. */
	json = NULL;
	ck_assert_int_eq(codec_parse(c, "[1]", 3, &json, NULL), 1);
	json_object_put(json);
	free(exact);
}
END_TEST

START_TEST(bounds_the_depth)
{
	CLEANUP(codec_freep) struct codec *c = NULL;
	char line[2 * RPC_NESTING_MAX + 3];

	ck_assert_int_eq(codec_new(&c), 0);
	for (size_t depth = RPC_NESTING_MAX - 1; depth <= RPC_NESTING_MAX + 1; depth++) {
		struct json_object *json = NULL;
		int expected = depth <= RPC_NESTING_MAX ? 1 : -1;

		memset(line, '[', depth);
		line[depth] = '1';
		memset(line + depth + 1, ']', depth);
		ck_assert_int_eq(codec_parse(c, line, 2 * depth + 1, &json, NULL), expected);
		json_object_put(json);
	}
}
END_TEST

START_TEST(bounds_the_values)
{
	size_t size = 2 * (size_t)RPC_VALUES_MAX + 10;
	CLEANUP_STR char *line = malloc(size);
	struct scan scan;

	for (size_t i = 0; i < size; i++)
		line[i] = i % 2 ? ',' : '1';
	line[0] = '[';
	ck_assert_int_eq(scan_line(line, size, &scan), SCAN_TOO_MANY);
	ck_assert_int_eq(scan_line(line, size / 2, &scan), SCAN_OK);
}
END_TEST

static void expect_written(struct buffer *b, const char *text)
{
	ck_assert_uint_eq(buffer_size(b), strlen(text));
	ck_assert_mem_eq(buffer_data(b), text, strlen(text));
	buffer_consume(b, buffer_size(b));
}

START_TEST(writes_messages)
{
	struct error e = { .kind = ERROR_DENIED,
			   .message = (char[]){ "bad \xff path" },
			   .field = (char[]){ "a.b" },
			   .resource = (char[]){ "r" },
			   .hint = (char[]){ "h" } };
	struct json_object *id = json_object_new_string("\"/");
	CLEANUP_BUFFER struct buffer b = { 0 };

	ck_assert_int_eq(codec_add_result(&b, id, NULL), 0);
	expect_written(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"\\\"/\",\"result\":{}}");
	ck_assert_int_eq(codec_add_result(&b, NULL, id), 0);
	expect_written(&b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":\"\\\"/\"}");
	ck_assert_int_eq(codec_add_notification(&b, "progress", NULL), 0);
	expect_written(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{}}");
	ck_assert_int_eq(codec_add_error(&b, NULL, &e), 0);
	expect_written(&b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32006,"
			   "\"message\":\"bad ? path\",\"data\":{\"kind\":\"denied\","
			   "\"field\":\"a.b\",\"resource\":\"r\",\"hint\":\"h\"}}}");
	ck_assert_int_eq(codec_add_error(&b, id, &(struct error){ .kind = ERROR_TIMEOUT }), 0);
	expect_written(&b, "{\"jsonrpc\":\"2.0\",\"id\":\"\\\"/\",\"error\":{\"code\":-32008,"
			   "\"message\":\"timeout\",\"data\":{\"kind\":\"timeout\"}}}");
	json_object_put(id);
}
END_TEST

/* As json-c and codec_text() would have it. */
START_TEST(writes_secrets)
{
	static const char *const values[] = { "", "plain", "\"\\\n\x01\x7f/", "h\xc3\xa4\n",
					      ("\xff, which takes more than one piece of base64: "
					       "48 bytes fit into each of them") };
	const char *value = values[_i];
	struct json_object *result = json_object_new_object(), *text, *got = NULL, *parsed;
	CLEANUP_BUFFER struct buffer b = { 0 };

	json_object_object_add(result, "a", json_object_new_int(1));
	ck_assert_int_eq(codec_add_secret_result(&b, NULL, result, "v", value, strlen(value)), 0);
	ck_assert(b.wipes);
	ck_assert_int_eq(buffer_add(&b, "", 1), 0);
	parsed = json_tokener_parse(buffer_data(&b));
	ck_assert_ptr_nonnull(parsed);
	ck_assert(json_object_object_get_ex(parsed, "result", &got));
	text = codec_text(value, strlen(value));
	json_object_object_add(result, "v", text);
	ck_assert_msg(json_object_equal(got, result), "%s", buffer_data(&b));
	json_object_put(parsed);
	json_object_put(result);
}
END_TEST

START_TEST(writes_bytes_as_text_or_base64)
{
	struct json_object *plain = codec_text("h\xc3\xa4", 3), *binary = codec_text("\xff", 1);
	struct json_object *nul = codec_text("a\0b", 3), *empty = codec_text(NULL, 0);

	ck_assert_str_eq(json_object_get_string(plain), "h\xc3\xa4");
	ck_assert_str_eq(json_object_to_json_string_ext(binary, JSON_C_TO_STRING_PLAIN),
			 "{\"base64\":\"\\/w==\"}");
	ck_assert(json_object_is_type(nul, json_type_object));
	ck_assert_str_eq(json_object_get_string(empty), "");
	json_object_put(plain);
	json_object_put(binary);
	json_object_put(nul);
	json_object_put(empty);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proto/codec");
	TCase *t = tcase_create("codec");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, parses_what_is_json_and_nothing_else, 0, (int)ARRAY_SIZE(lines));
	tcase_add_test(t, bounds_the_depth);
	tcase_add_test(t, bounds_the_values);
	tcase_add_test(t, writes_messages);
	tcase_add_test(t, writes_bytes_as_text_or_base64);
	tcase_add_loop_test(t, writes_secrets, 0, 5);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
