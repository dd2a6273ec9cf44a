/* SPDX-License-Identifier: Apache-2.0 */
/* Lines to and from agent-secrets: what is asked, what is believed, and that no error tells a
 * value. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "secret/agent-secrets-answer.h"

#define NOW_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define VALUE "sk-planted-value"
#define GOOD "\"lease_id\":\"l-1\",\"value\":\"" VALUE "\",\"expires_at\":\"2026-01-01T01:00:00Z\""
#define RESULT(members) "{\"jsonrpc\":\"2.0\",\"result\":{" members "},\"id\":1}"

START_TEST(asks)
{
	char *lease = agent_secrets_lease_line("tok/en \"x\"", 3600000);
	char *odd = agent_secrets_lease_line("a", 1500), *minutes;
	char *revoke = agent_secrets_revoke_line("l-1"), *health = agent_secrets_health_line();

	minutes = agent_secrets_lease_line("a", 90 * 60000);
	ck_assert_str_eq(lease, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.lease\","
				"\"params\":{\"secret_name\":\"tok/en \\\"x\\\"\","
				"\"client_id\":\"sandboxd\",\"ttl\":\"1h\"}}\n");
	ck_assert_ptr_nonnull(strstr(odd, "\"ttl\":\"2s\""));
	ck_assert_ptr_nonnull(strstr(minutes, "\"ttl\":\"90m\""));
	ck_assert_str_eq(revoke, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.revoke\","
				 "\"params\":{\"lease_id\":\"l-1\"}}\n");
	ck_assert_str_eq(health, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"secrets.health\","
				 "\"params\":{}}\n");
	free(lease);
	free(odd);
	free(minutes);
	free(revoke);
	free(health);
}
END_TEST

static const struct {
	const char *line;
	const char *value;
	int64_t expires_at_ms;
} good[] = {
	{ RESULT(GOOD), VALUE, NOW_MS + 3600000 },
	/* Go's own times have nine digits and a zone; its strings escape <, > and &. */
	{ RESULT("\"lease_id\":\"a\",\"value\":\"\\u003c\\n\\u00e4\","
		 "\"expires_at\":\"2026-01-01T02:30:00.123456789+02:00\""),
	  "<\n\xc3\xa4", NOW_MS + 30 * 60000 + 123 },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"{\\\"tokens\\\":{\\\"value\\\":1}}\","
		 "\"expires_at\":\"2025-12-31T17:00:01-08:00\",\"more\":[1,{}]"),
	  "{\"tokens\":{\"value\":1}}", NOW_MS + 3601000 },
};

START_TEST(believes)
{
	struct provider_grant g = { 0 };
	char line[512];

	strcpy(line, good[_i].line);
	ck_assert_int_eq(agent_secrets_read_lease(line, strlen(line), "name", NOW_MS, &g, NULL), 0);
	ck_assert_uint_eq(secret_value_size(g.value), strlen(good[_i].value));
	ck_assert_mem_eq(secret_value_data(g.value), good[_i].value, strlen(good[_i].value));
	ck_assert_int_eq(g.expires_at_ms, good[_i].expires_at_ms);
	ck_assert_str_ne(g.remote_id, "");
	ck_assert_ptr_null(strstr(line, VALUE)); /* blotted out */
	secret_value_unref(g.value);
}
END_TEST

static const struct {
	const char *line;
	enum error_kind kind;
	const char *says; /* part of the message */
} bad[] = {
	{ "", ERROR_UNAVAILABLE, "no JSON" },
	{ VALUE, ERROR_UNAVAILABLE, "no JSON" },
	{ "\"" VALUE "\"", ERROR_UNAVAILABLE, "no JSON" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":{" GOOD "},\"id\":1", ERROR_UNAVAILABLE, "no JSON" },
	{ "[" RESULT(GOOD) "]", ERROR_UNAVAILABLE, "no JSON-RPC" },
	{ "{\"result\":{" GOOD "},\"id\":1}", ERROR_UNAVAILABLE, "no JSON-RPC" },
	{ "{\"jsonrpc\":2.0,\"result\":{" GOOD "},\"id\":1}", ERROR_UNAVAILABLE, "no JSON-RPC" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":{" GOOD "},\"id\":2}", ERROR_UNAVAILABLE, "id is" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":{" GOOD "},\"id\":\"1\"}", ERROR_UNAVAILABLE, "id is" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":{" GOOD "}}", ERROR_UNAVAILABLE, "id is" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1}", ERROR_UNAVAILABLE, "not one of" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":{" GOOD "},\"error\":{\"code\":1,\"message\":\"m\"},"
	  "\"id\":1}",
	  ERROR_UNAVAILABLE, "not one of" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":\"" VALUE "\",\"id\":1}", ERROR_UNAVAILABLE,
	  "result is no object" },
	{ "{\"jsonrpc\":\"2.0\",\"result\":null,\"id\":1}", ERROR_UNAVAILABLE, "not one of" },
	/* value */
	{ RESULT("\"lease_id\":\"a\",\"expires_at\":\"2026-01-01T01:00:00Z\""), ERROR_UNAVAILABLE,
	  "value is no string" },
	{ RESULT("\"lease_id\":\"a\",\"value\":7,\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "value is no string" },
	{ RESULT("\"lease_id\":\"a\",\"value\":null,\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "value is no string" },
	{ RESULT("\"lease_id\":\"a\",\"value\":{\"value\":\"" VALUE
		 "\"},\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "value is no string" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "value is empty" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\\ud800\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "value is no text" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\xff\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "value is no text" },
	{ RESULT(GOOD ",\"value\":\"" VALUE "\""), ERROR_UNAVAILABLE, "more than one value" },
	{ RESULT("\"lease_id\":\"a\",\"\\u0076alue\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "strange way" },
	/* the rest */
	{ RESULT("\"value\":\"" VALUE "\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "lease_id" },
	{ RESULT("\"lease_id\":1,\"value\":\"" VALUE "\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "lease_id" },
	{ RESULT("\"lease_id\":\"\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "lease_id" },
	{ RESULT("\"lease_id\":\"a\\nb\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T01:00:00Z\""),
	  ERROR_UNAVAILABLE, "lease_id" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE "\""), ERROR_UNAVAILABLE, "expires_at" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE "\",\"expires_at\":1767229200"),
	  ERROR_UNAVAILABLE, "expires_at" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE "\",\"expires_at\":\"in an hour\""),
	  ERROR_UNAVAILABLE, "expires_at" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T01:00:00\""),
	  ERROR_UNAVAILABLE, "expires_at" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T01:00:00.Z\""),
	  ERROR_UNAVAILABLE, "expires_at" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T01:00:00+99:00\""),
	  ERROR_UNAVAILABLE, "expires_at" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"0001-01-01T00:00:00Z\""),
	  ERROR_UNAVAILABLE, "expired" },
	{ RESULT("\"lease_id\":\"a\",\"value\":\"" VALUE
		 "\",\"expires_at\":\"2026-01-01T00:00:00Z\""),
	  ERROR_UNAVAILABLE, "expired" },
	/* errors */
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000,\"message\":\"" VALUE "\"},\"id\":1}",
	  ERROR_NOT_FOUND, "no such secret: name" },
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32603,\"message\":\"" VALUE
	  "\",\"data\":{\"value\":\"" VALUE "\"}},\"id\":1}",
	  ERROR_UNAVAILABLE, "error -32603" },
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"message\":\"" VALUE "\"},\"id\":1}", ERROR_UNAVAILABLE,
	  "no code" },
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1},\"id\":1}", ERROR_UNAVAILABLE, "no code" },
	{ "{\"jsonrpc\":\"2.0\",\"error\":\"" VALUE "\",\"id\":1}", ERROR_UNAVAILABLE, "no code" },
};

static void check_error(const struct error *e, enum error_kind kind, const char *says)
{
	ck_assert_int_eq((int)e->kind, (int)kind);
	ck_assert_msg(strstr(e->message, says) != NULL, "%s: no %s", e->message, says);
	ck_assert_ptr_nonnull(e->hint);
	ck_assert_ptr_null(strstr(e->message, VALUE));
	ck_assert_ptr_null(strstr(e->hint, VALUE));
}

START_TEST(refuses)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_grant g = { 0 };
	char line[512];

	strcpy(line, bad[_i].line);
	ck_assert_int_eq(agent_secrets_read_lease(line, strlen(line), "name", NOW_MS, &g, &e), -1);
	check_error(&e, bad[_i].kind, bad[_i].says);
	ck_assert_ptr_null(g.value);
}
END_TEST

static const struct {
	const char *line;
	const char *says; /* NULL: it is good */
} revokes[] = {
	{ RESULT("\"success\":true,\"message\":\"m\""), NULL },
	{ RESULT("\"success\":false,\"message\":\"m\""), "could not revoke" },
	{ RESULT("\"success\":\"true\""), "success is" },
	{ RESULT("\"message\":\"m\""), "success is" },
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32001,\"message\":\"m\"},\"id\":1}",
	  "error -32001" },
	{ "x", "no JSON" },
};

START_TEST(revoking)
{
	CLEANUP_ERROR struct error e = { 0 };
	char line[256];
	int r;

	strcpy(line, revokes[_i].line);
	r = agent_secrets_read_revoke(line, strlen(line), "name", &e);
	ck_assert_int_eq(r, revokes[_i].says ? -1 : 0);
	if (revokes[_i].says)
		check_error(&e, ERROR_UNAVAILABLE, revokes[_i].says);
}
END_TEST

static const struct {
	const char *line;
	bool good;
} healths[] = {
	{ RESULT("\"total_secrets\":3,\"active_leases\":2,\"expiring_soon\":0,\"warnings\":null"),
	  true },
	{ RESULT("\"total_secrets\":3"), false },
	{ RESULT("\"total_secrets\":\"3\",\"active_leases\":2"), false },
	{ RESULT("\"total_secrets\":3,\"active_leases\":2.5"), false },
	{ "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"m\"},\"id\":1}", false },
};

START_TEST(health)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct agent_secrets_health h = { 0 };
	char line[256];
	int r;

	strcpy(line, healths[_i].line);
	r = agent_secrets_read_health(line, strlen(line), &h, &e);
	ck_assert_int_eq(r, healths[_i].good ? 0 : -1);
	if (healths[_i].good)
		ck_assert(h.secrets == 3 && h.leases == 2);
	else
		ck_assert_int_eq((int)e.kind, ERROR_UNAVAILABLE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("agent-secrets");
	TCase *t = tcase_create("agent-secrets");
	SRunner *r;
	int failed;

	tcase_add_test(t, asks);
	tcase_add_loop_test(t, believes, 0, ARRAY_SIZE(good));
	tcase_add_loop_test(t, refuses, 0, ARRAY_SIZE(bad));
	tcase_add_loop_test(t, revoking, 0, ARRAY_SIZE(revokes));
	tcase_add_loop_test(t, health, 0, ARRAY_SIZE(healths));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
