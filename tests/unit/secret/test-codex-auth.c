/* SPDX-License-Identifier: Apache-2.0 */
/* Codex' auth.json: what is a login, what a sandbox gets of it, what a refresh makes of it. */
#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secret/codex-auth.h"

#define NOW_MS INT64_C(1800000000123)
#define NOW_TEXT "2027-01-15T08:00:00.123Z"

static struct secret_value *value(const char *text)
{
	struct secret_value *v;
	uint8_t *data;

	ck_assert_int_eq(secret_value_new(strlen(text), &v, &data), 0);
	memcpy(data, text, strlen(text));
	return v;
}

static const char *text_of(const struct secret_value *v)
{
	return (const char *)secret_value_data(v);
}

static int read_text(const char *text, struct codex_auth **ret)
{
	struct secret_value *v = value(text);
	int r = codex_auth_read(v, ret);

	(void)secret_value_unref(v);
	return r;
}

static struct codex_auth *login(const char *text)
{
	struct codex_auth *a = NULL;

	ck_assert_int_eq(read_text(text, &a), 0);
	return a;
}

/* A login whose access token has these claims. Borrowed until the next call. */
static const char *with_claims(const char *claims)
{
	static char text[1024];
	char payload[512];

	sodium_bin2base64(payload, sizeof(payload), (const uint8_t *)claims, strlen(claims),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	(void)snprintf(text, sizeof(text),
		       "{\"OPENAI_API_KEY\":null,\"tokens\":{\"id_token\":\"id\",\"access_token\":"
		       "\"head.%s.sign\",\"refresh_token\":\"planted-refresh\",\"account_id\":"
		       "\"acc/1\"},\"last_refresh\":\"2026-01-01T00:00:00Z\",\"more\":[1,2.50]}",
		       payload);
	return text;
}

START_TEST(others)
{
	static const char *const texts[] = {
		"",
		"a token",
		"{}",
		"{\"tokens\":{\"access_token\":\"a\"}}",
		"{\"refresh_token\":\"not where Codex has it\"}",
		"{\"tokens\":{\"refresh_token\":\"\"}}",
		"{\"tokens\":{\"refresh_token\":7}}",
		"{\"tokens\":[{\"refresh_token\":\"r\"}]}",
		"[\"refresh_token\"]",
		"a text on \"refresh_token\"",
	};
	struct codex_auth *a = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_msg(read_text(texts[i], &a) == CODEX_AUTH_OTHER, "%s", texts[i]);
}
END_TEST

START_TEST(broken)
{
	static const char twice[] =
		"{\"tokens\":{\"access_token\":\"a\",\"refresh_token\":\"r\",\"refresh_token\":"
		"\"s\"}}";
	static const char *const texts[] = {
		"{\"tokens\":{\"refresh_token\":\"r",
		" {\"refresh_token\": \"",
		"{\"tokens\":{\"refresh_token\":\"r\"}}",
		"{\"tokens\":{\"access_token\":null,\"refresh_token\":\"r\"}}",
		twice,
		"{\"tokens\":{\"access_token\":\"a\",\"refresh_token\":\"r\"},\"tok\\u0065ns\":{}}",
	};
	struct codex_auth *a = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++)
		ck_assert_msg(read_text(texts[i], &a) == CODEX_AUTH_BROKEN, "%s", texts[i]);
}
END_TEST

static void check_times(const char *claims, int64_t issued_ms, int64_t expires_ms)
{
	struct codex_auth *a = login(with_claims(claims));
	struct codex_times t = codex_auth_times(a);

	ck_assert_msg(t.issued_ms == issued_ms && t.expires_ms == expires_ms, "%s: %lld %lld",
		      claims, (long long)t.issued_ms, (long long)t.expires_ms);
	codex_auth_free(a);
}

START_TEST(times)
{
	struct codex_auth *a;

	check_times("{\"exp\":1800000000,\"iat\":1799999000}", INT64_C(1799999000000),
		    INT64_C(1800000000000));
	check_times("{\"exp\":1800000000}", 0, INT64_C(1800000000000));
	check_times("{\"exp\":\"soon\"}", 0, CODEX_NO_EXPIRY);
	check_times("{\"exp\" :\n-5 }", 0, 0);
	check_times("{\"exp\":1.5}", 0, CODEX_NO_EXPIRY);
	check_times("{\"a\":{\"exp\":5}}", 0, CODEX_NO_EXPIRY);
	check_times("{\"exp\":9223372036854775807}", 0, CODEX_NO_EXPIRY);
	check_times("no claims", 0, CODEX_NO_EXPIRY);
	check_times("", 0, CODEX_NO_EXPIRY);

	a = login("{\"tokens\":{\"access_token\":\"opaque\",\"refresh_token\":\"r\"}}");
	ck_assert(codex_auth_times(a).expires_ms == CODEX_NO_EXPIRY);
	codex_auth_free(a);
	a = login("{\"tokens\":{\"access_token\":\"\",\"refresh_token\":\"r\"}}");
	ck_assert_int_eq(codex_auth_times(a).expires_ms, 0);
	codex_auth_free(a);
}
END_TEST

/* All is as it was, but for the refresh token, and the time. */
START_TEST(copy)
{
	char expected[1024];
	const char *text = with_claims("{\"exp\":1800000000}");
	struct codex_auth *a = login(text);
	struct secret_value *v;

	ck_assert_int_eq(codex_auth_copy(a, NOW_MS, &v), 0);
	(void)snprintf(expected, sizeof(expected), "%.*s\"\"%s",
		       (int)(strstr(text, "\"planted") - text), text,
		       strstr(text, ",\"account_id"));
	memcpy(strstr(expected, "2026-01-01"), NOW_TEXT "\",\"more\":[1,2.50]}",
	       sizeof(NOW_TEXT "\",\"more\":[1,2.50]}"));
	ck_assert_str_eq(text_of(v), expected);
	ck_assert_uint_eq(secret_value_size(v), strlen(expected));
	ck_assert_int_eq(codex_auth_read(v, &(struct codex_auth *){ NULL }), CODEX_AUTH_OTHER);
	(void)secret_value_unref(v);
	codex_auth_free(a);
}
END_TEST

START_TEST(request)
{
	struct codex_auth *a = login("{\"tokens\":{\"access_token\":\"\",\"refresh_token\":"
				     "\"r\\\"\\u00e4\"}}");
	struct secret_value *v;

	ck_assert_int_eq(codex_auth_request(a, "app_1", &v), 0);
	ck_assert_str_eq(text_of(v), "{\"client_id\":\"app_1\",\"grant_type\":\"refresh_token\","
				     "\"refresh_token\":\"r\\\"\\u00e4\",\"scope\":\"openid "
				     "profile email\"}");
	ck_assert_int_eq(codex_auth_request(a, "app\"", &v), -EINVAL);
	(void)secret_value_unref(v);
	codex_auth_free(a);
}
END_TEST

START_TEST(apply)
{
	struct codex_auth *a = login(with_claims("{}")), *b;
	struct secret_value *answer = value("{\"access_token\":\"A2\",\"refresh_token\":\"R2\","
					    "\"token_type\":\"Bearer\"}");
	uint8_t before[CODEX_LOGIN_ID_BYTES], after[CODEX_LOGIN_ID_BYTES];
	struct secret_value *v;

	codex_auth_id(a, before);
	ck_assert_int_eq(codex_auth_apply(a, answer, NOW_MS, &v), 0);
	ck_assert_str_eq(text_of(v),
			 "{\"OPENAI_API_KEY\":null,\"tokens\":{\"id_token\":\"id\","
			 "\"access_token\":\"A2\",\"refresh_token\":\"R2\",\"account_id\":"
			 "\"acc/1\"},\"last_refresh\":\"" NOW_TEXT "\",\"more\":[1,2.50]}");
	ck_assert_int_eq(codex_auth_read(v, &b), 0);
	codex_auth_id(b, after);
	ck_assert_mem_ne(before, after, sizeof(before));
	codex_auth_free(b);
	(void)secret_value_unref(v);
	(void)secret_value_unref(answer);
	codex_auth_free(a);
}
END_TEST

START_TEST(no_answer)
{
	static const char *const texts[] = { "",
					     "[]",
					     "{}",
					     "{\"access_token\":\"\"}",
					     "{\"access_token\":5}",
					     "{\"refresh_token\":\"R2\"}",
					     "<html>" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct codex_auth *a = login(with_claims("{}"));
		struct secret_value *answer = value(texts[i]), *v = NULL;

		ck_assert_int_eq(codex_auth_apply(a, answer, NOW_MS, &v), CODEX_AUTH_BROKEN);
		(void)secret_value_unref(answer);
		codex_auth_free(a);
	}
}
END_TEST

static void check_error(const char *text, const char *expected)
{
	struct secret_value *v = value(text);
	char code[CODEX_ERROR_SIZE];

	codex_answer_error(v, code);
	ck_assert_str_eq(code, expected);
	(void)secret_value_unref(v);
}

/* Foreign text: no more of it than the shape of a code lets through. */
START_TEST(errors)
{
	check_error("{\"error\":{\"code\":\"refresh_token_reused\"}}", "refresh_token_reused");
	check_error("{\"error\":\"invalid_grant\",\"error_description\":\"x\"}", "invalid_grant");
	check_error("{\"error\":{\"code\":\"two words\"}}", "");
	check_error("{\"error\":{\"code\":5}}", "");
	check_error("{\"error\":[]}", "");
	check_error("{\"error\":"
		    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
		    "");
	check_error("no JSON", "");
	check_error("", "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codex-auth");
	TCase *t = tcase_create("codex-auth");
	SRunner *r;
	int failed;

	if (sodium_init() < 0)
		return 99;
	tcase_add_test(t, others);
	tcase_add_test(t, broken);
	tcase_add_test(t, times);
	tcase_add_test(t, copy);
	tcase_add_test(t, request);
	tcase_add_test(t, apply);
	tcase_add_test(t, no_answer);
	tcase_add_test(t, errors);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
