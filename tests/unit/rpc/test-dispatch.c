/* SPDX-License-Identifier: Apache-2.0 */
/* From a line to an answer: bad input, batches, ids, cancel. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "fixture.h"

#define CALL(id, method) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}"
#define CALL_WITH(id, method, params)                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":" params "}"
#define RUN(members) "{\"sandbox\":\"a\",\"command\":[\"true\"]" members "}"

static struct fixture f;
static struct client c;

static void open_all(void)
{
	fixture_open(&f);
	client_open(&c, &f);
}

static void close_all(void)
{
	client_close(&c);
	fixture_close(&f);
}

static const struct {
	const char *line;
	const char *id;
	int code;
	const char *field;
} refused[] = {
	/* not JSON */
	{ "{", "null", -32700, NULL },
	{ "garbage", "null", -32700, NULL },
	{ "{'jsonrpc':'2.0'}", "null", -32700, NULL },
	{ "{\"id\":NaN}", "null", -32700, NULL },
	{ "{\"id\":Infinity}", "null", -32700, NULL },
	{ "{\"id\":1}/* */", "null", -32700, NULL },
	{ CALL("1", "system.ping") " x", "null", -32700, NULL },
	{ CALL("1", "system.ping") CALL("2", "system.ping"), "null", -32700, NULL },
	{ "{\"id\":1,}", "null", -32700, NULL },
	{ "{\"id\":01}", "null", -32700, NULL },
	{ "{\"id\":1,\"id\":2}", "null", -32700, NULL },
	{ "{\"id\":1,\"\\u0069d\":2}", "null", -32700, NULL },
	{ "{\"id\":\"\xff\"}", "null", -32700, NULL },
	{ "{\"id\":\"\xc0\xaf\"}", "null", -32700, NULL },
	{ "{\"id\":\"\xed\xa0\x80\"}", "null", -32700, NULL },
	{ "{\"id\":\"\x01\"}", "null", -32700, NULL },
	{ "{\"i\\u0000d\":1}", "null", -32700, NULL },
	{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "null", -32700,
	  NULL },
	/* not a request */
	{ "7", "null", -32600, NULL },
	{ "\"a\"", "null", -32600, NULL },
	{ "null", "null", -32600, NULL },
	{ "[]", "null", -32600, NULL },
	{ "{}", "null", -32600, "jsonrpc" },
	{ "{\"id\":1}", "1", -32600, "jsonrpc" },
	{ "{\"id\":1,\"jsonrpc\":2.0,\"method\":\"system.ping\"}", "1", -32600, "jsonrpc" },
	{ "{\"id\":1,\"jsonrpc\":\"1.0\",\"method\":\"system.ping\"}", "1", -32600, "jsonrpc" },
	{ "{\"id\":1,\"jsonrpc\":\"2.0\"}", "1", -32600, "method" },
	{ "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":7}", "1", -32600, "method" },
	{ CALL("1", "system.ping\\u0000"), "1", -32600, "method" },
	{ CALL("null", "system.ping"), "null", -32600, "id" },
	{ CALL("1.5", "system.ping"), "null", -32600, "id" },
	{ CALL("{}", "system.ping"), "null", -32600, "id" },
	{ CALL("99999999999999999999", "system.ping"), "null", -32600, "id" },
	{ CALL("-99999999999999999999", "system.ping"), "null", -32600, "id" },
	{ CALL("9223372036854775808", "system.ping"), "null", -32600, "id" },
	{ CALL("18446744073709551615", "system.ping"), "null", -32600, "id" },
	{ CALL_WITH("1", "system.ping", "null"), "1", -32600, "params" },
	/* no such method, or not yet */
	{ CALL("1", "system.pong"), "1", -32601, "method" },
	{ CALL("1", ""), "1", -32601, "method" },
	{ CALL("1", "events.subscribe"), "1", -32005, "method" },
	{ CALL("1", "audit.list"), "1", -32005, "method" },
	{ CALL_WITH("1", "network.set", "[]"), "1", -32005, "method" },
	{ CALL("1", "system.doctor"), "1", -32005, "method" }, /* no handler here */
	/* parameters */
	{ CALL_WITH("1", "system.ping", "[]"), "1", -32602, "params" },
	{ CALL_WITH("1", "system.ping", "7"), "1", -32602, "params" },
	{ CALL_WITH("1", "system.ping", "{\"a\":1}"), "1", -32602, "a" },
	{ CALL("1", "sandbox.get"), "1", -32602, "sandbox" },
	{ CALL_WITH("1", "sandbox.get", "{\"sandbox\":7}"), "1", -32602, "sandbox" },
	{ CALL_WITH("1", "sandbox.get", "{\"sandbox\":null}"), "1", -32602, "sandbox" },
	{ CALL_WITH("1", "sandbox.get", "{\"sandbox\":\"../x\"}"), "1", -32602, "sandbox" },
	{ CALL_WITH("1", "sandbox.get", "{\"sandbox\":\"a\\u0000\"}"), "1", -32602, "sandbox" },
	{ CALL_WITH("1", "sandbox.get", "{\"sandbox\":\"a\",\"x\":1}"), "1", -32602, "x" },
	{ CALL_WITH("1", "exec.run", RUN(",\"timeoutMs\":0")), "1", -32602, "timeoutMs" },
	{ CALL_WITH("1", "exec.run", RUN(",\"timeoutMs\":1.5")), "1", -32602, "timeoutMs" },
	{ CALL_WITH("1", "sandbox.create", "{\"network\":\"gateway\"}"), "1", -32005, "network" },
	{ CALL_WITH("1", "exec.run", RUN(",\"secrets\":[7]")), "1", -32602, "secrets[0]" },
	{ CALL_WITH("1", "exec.run", RUN(",\"fds\":1")), "1", -32602, "fds" },
	{ CALL_WITH("1", "exec.run", RUN(",\"fds\":65")), "1", -32602, "fds" },
	{ CALL_WITH("1", "exec.run", RUN(",\"fds\":-1")), "1", -32602, "fds" },
	{ CALL_WITH("1", "exec.run", RUN(",\"stdin\":{\"fd\":0}")), "1", -32602, "stdin.fd" },
	{ CALL_WITH("1", "sandbox.get", "{\"sandbox\":\"a\",\"fds\":1}"), "1", -32602, "fds" },
};

START_TEST(refuses)
{
	client_send(&c, refused[_i].line);
	client_expect_error(&c, refused[_i].id, refused[_i].code, refused[_i].field);
	/* Whatever came, the connection lives. */
	client_send(&c, CALL("\"after\"", "system.ping"));
	client_expect_result(&c, "\"after\"");
}
END_TEST

START_TEST(answers)
{
	struct json_object *reply;

	reply = client_ask(&c, CALL("7", "system.ping"));
	ck_assert_str_eq(json_object_to_json_string_ext(reply, JSON_C_TO_STRING_PLAIN),
			 "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}");
	json_object_put(reply);
	reply = client_ask(&c, CALL_WITH("\"\\u00e4\\\"\"", "sandbox.get", "{\"sandbox\":\"b\"}"));
	ck_assert_str_eq(json_text(reply, "id"), "\xc3\xa4\"");
	ck_assert_str_eq(json_text(reply, "result.name"), "b");
	json_object_put(reply);
	client_send(&c, CALL("-9223372036854775807", "system.ping") "\r");
	client_expect_result(&c, "-9223372036854775807");
	client_send(&c, CALL("9223372036854775807", "system.ping"));
	client_expect_result(&c, "9223372036854775807");
}
END_TEST

START_TEST(describes_itself)
{
	struct json_object *reply = client_ask(&c, CALL("1", "rpc.discover"));

	ck_assert_str_eq(json_text(reply, "result.info.version"), "1.0");
	ck_assert_ptr_nonnull(json_at(reply, "result.x-notifications"));
	json_object_put(reply);
}
END_TEST

START_TEST(bounds_ids)
{
	char line[512], id[RPC_ID_MAX + 4];

	memset(id, 'i', sizeof(id));
	(void)snprintf(line, sizeof(line), CALL("\"%.*s\"", "system.ping"), RPC_ID_MAX + 1, id);
	client_send(&c, line);
	client_expect_error(&c, "null", -32600, "id");
	(void)snprintf(line, sizeof(line), CALL("\"%.*s\"", "system.ping"), RPC_ID_MAX, id);
	client_send(&c, line);
	json_object_put(client_read(&c));
}
END_TEST

START_TEST(ignores_blank_lines_and_notifications)
{
	client_send(&c, "\n \t\r\n");
	client_send(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"system.ping\"}");
	client_send(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}");
	client_send(&c, "{\"jsonrpc\":\"2.0\",\"method\":\"sandbox.get\",\"params\":"
			"{\"sandbox\":\"a\"}}");
	client_expect_silence(&c);
	ck_assert_uint_eq(f.handled, 1);
}
END_TEST

START_TEST(refuses_an_id_in_flight)
{
	client_send(&c, CALL_WITH("1", "exec.wait", "{\"execId\":\"e\"}"));
	client_send(&c, CALL("1", "system.ping"));
	client_expect_error(&c, "1", -32600, "id");
	client_send(&c, CALL("\"1\"", "system.ping"));
	client_expect_result(&c, "\"1\"");
	fixture_release(&f);
	client_expect_result(&c, "1");
	client_send(&c, CALL("1", "system.ping"));
	client_expect_result(&c, "1");
}
END_TEST

START_TEST(cancels_by_id)
{
	struct client other;

	client_open(&other, &f);
	client_send(&c, CALL_WITH("1", "exec.wait", "{\"execId\":\"e\"}"));
	fixture_run(&f);
#define CANCEL(id) "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.cancel\",\"params\":{\"id\":" id "}}"
	/* Somebody else's, another type, and one that is not there. */
	client_send(&other, CANCEL("1"));
	client_send(&c, CANCEL("\"1\""));
	client_send(&c, CANCEL("2"));
	client_expect_silence(&c);
	ck_assert_uint_eq(f.cancelled, 0);
	client_send(&c, CANCEL("1"));
	client_expect_error(&c, "1", -32009, NULL);
	ck_assert_uint_eq(f.cancelled, 1);
	client_send(&c, CALL_WITH("3", "rpc.cancel", "{\"id\":1}"));
	client_expect_result(&c, "3");
	client_close(&other);
}
END_TEST

/* ---- batches ---- */

static void expect_batch(size_t length)
{
	struct json_object *reply = client_read(&c);

	ck_assert(json_object_is_type(reply, json_type_array));
	ck_assert_uint_eq(json_object_array_length(reply), length);
	json_object_put(reply);
}

START_TEST(answers_a_batch_when_its_last_call_is_done)
{
	client_send(&c,
		    "[" CALL("1", "system.ping") "," CALL_WITH(
			    "2", "exec.wait", "{\"execId\":\"e\"}") ",7,"
								    "{\"jsonrpc\":\"2.0\","
								    "\"method\":\"system.ping\"}]");
	client_expect_silence(&c);
	client_send(&c, CALL("3", "system.ping"));
	client_expect_result(&c, "3");
	fixture_release(&f);
	expect_batch(3);
	ck_assert_uint_eq(server_requests_in_flight(f.server), 0);
}
END_TEST

START_TEST(does_not_answer_a_batch_of_notifications)
{
	client_send(&c, "[{\"jsonrpc\":\"2.0\",\"method\":\"system.ping\"},"
			"{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}]");
	client_expect_silence(&c);
}
END_TEST

static void send_batch(size_t n)
{
	char *line = calloc(1, n * 64 + 16);
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)sprintf(line + at, "%c" CALL("%zu", "system.ping"), i ? ',' : '[', i);
	(void)sprintf(line + at, "]");
	client_send(&c, line);
	free(line);
}

START_TEST(bounds_batches)
{
	send_batch(RPC_BATCH_MAX);
	expect_batch(RPC_BATCH_MAX);
	send_batch(RPC_BATCH_MAX + 1);
	client_expect_error(&c, "null", -32600, NULL);
}
END_TEST

static const struct {
	const char *call;
	int code;
	const char *field;
} refused_in_batch[] = {
	{ CALL_WITH("1", "exec.run", RUN("")), -32602, "detach" },
	{ CALL_WITH("1", "exec.run", RUN(",\"detach\":false")), -32602, "detach" },
	{ CALL_WITH("1", "exec.run", RUN(",\"detach\":true,\"stream\":true")), -32602, "stream" },
	{ CALL_WITH("1", "exec.run", RUN(",\"detach\":true,\"fds\":1")), -32602, "fds" },
	{ CALL_WITH("1", "exec.attach", "{\"execId\":\"e\"}"), -32600, NULL },
	{ CALL("1", "system.ping") "," CALL("1", "system.ping"), -32600, "id" },
};

START_TEST(refuses_in_a_batch)
{
	struct json_object *reply, *last;
	char line[512];

	(void)snprintf(line, sizeof(line), "[%s]", refused_in_batch[_i].call);
	reply = client_ask(&c, line);
	ck_assert(json_object_is_type(reply, json_type_array));
	last = json_object_array_get_idx(reply, json_object_array_length(reply) - 1);
	ck_assert_int_eq(json_object_get_int(json_at(last, "error.code")),
			 refused_in_batch[_i].code);
	if (refused_in_batch[_i].field)
		ck_assert_str_eq(json_text(last, "error.data.field"), refused_in_batch[_i].field);
	json_object_put(reply);
}
END_TEST

START_TEST(lets_detached_commands_into_a_batch)
{
	client_send(&c, "[" CALL_WITH("1", "exec.run", RUN(",\"detach\":true")) "]");
	fixture_run(&f);
	fixture_release(&f);
	expect_batch(1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rpc/dispatch");
	TCase *t = tcase_create("dispatch");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, open_all, close_all);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, refuses, 0, (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(t, answers);
	tcase_add_test(t, describes_itself);
	tcase_add_test(t, bounds_ids);
	tcase_add_test(t, ignores_blank_lines_and_notifications);
	tcase_add_test(t, refuses_an_id_in_flight);
	tcase_add_test(t, cancels_by_id);
	tcase_add_test(t, answers_a_batch_when_its_last_call_is_done);
	tcase_add_test(t, does_not_answer_a_batch_of_notifications);
	tcase_add_test(t, bounds_batches);
	tcase_add_loop_test(t, refuses_in_a_batch, 0,
			    (int)(sizeof(refused_in_batch) / sizeof(refused_in_batch[0])));
	tcase_add_test(t, lets_detached_commands_into_a_batch);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
