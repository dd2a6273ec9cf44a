/* SPDX-License-Identifier: Apache-2.0 */
/* Members found in JSON text, and what strings stand for. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "secret/json-text.h"

/* "depth key=string," for each. */
static bool note(const struct json_member *m, void *userdata)
{
	char *to = userdata;

	(void)sprintf(to + strlen(to), "%u %.*s=%.*s,", m->depth, (int)m->key_size, m->key,
		      m->string ? (int)m->string_size : 1, m->string ? m->string : "?");
	return true;
}

static const struct {
	const char *text;
	const char *want;
	bool whole;
} texts[] = {
	{ "", "", true },
	{ "{}", "", true },
	{ "{\"a\":\"b\"}", "1 a=b,", true },
	{ " { \"a\" : \"b\" , \"c\" : 7 } ", "1 a=b,1 c=?,", true },
	{ "{\"a\":{\"b\":[\"c\",{\"d\":\"e\"}]},\"f\":\"\"}", "1 a=?,2 b=?,4 d=e,1 f=,", true },
	{ "{\"a\\\"b\":\"c\\\\\"}", "1 a\\\"b=c\\\\,", true },
	{ "{\"a\":\"{\\\"b\\\":1}\"}", "1 a={\\\"b\\\":1},", true }, /* text in a string */
	{ "[\"a\",\"b\"]", "", true },
	{ "token", "", true },
	{ "}]{\"a\":\"b\"", "1 a=b,", true },
	{ "{\"a\":\"b", "", false },
	{ "{\"a", "", false },
	{ "{\"a\":\"b\\\"", "", false },
};

START_TEST(members)
{
	char text[128], got[256] = "";

	strcpy(text, texts[_i].text);
	ck_assert(json_text_each(text, strlen(text), note, got) == texts[_i].whole);
	ck_assert_str_eq(got, texts[_i].want);
}
END_TEST

static const struct {
	const char *text;
	ssize_t size; /* -1: malformed */
	const char *want;
} strings[] = {
	{ "", 0, "" },
	{ "abc", 3, "abc" },
	{ "\\\"\\\\\\/\\b\\f\\n\\r\\t", 8, "\"\\/\b\f\n\r\t" },
	{ "\\u0041\\u00e4\\u20ac", 6, "A\xc3\xa4\xe2\x82\xac" },
	{ "\\ud83d\\uDE00!", 5, "\xf0\x9f\x98\x80!" },
	{ "\xc3\xa4", 2, "\xc3\xa4" },
	{ "\\u003ctoken\\u003e", 7, "<token>" },
	{ "a\\u0000b", 3, "a\0b" },
	{ "\\ud83d", -1, NULL },
	{ "\\ud83dx", -1, NULL },
	{ "\\ud83d\\u0041", -1, NULL },
	{ "\\ude00", -1, NULL },
	{ "\\u12", -1, NULL },
	{ "\\u12g4", -1, NULL },
	{ "\\x", -1, NULL },
	{ "\\", -1, NULL },
	{ "a\nb", -1, NULL },
	{ "\xff", -1, NULL },
	{ "\xed\xa0\x80", -1, NULL },
};

START_TEST(decoding)
{
	size_t size = strlen(strings[_i].text);
	uint8_t *out = malloc(size + 1); /* as big as said, so that a sanitizer sees more */

	ck_assert_int_eq(json_text_decode(strings[_i].text, size, NULL), strings[_i].size);
	ck_assert_int_eq(json_text_decode(strings[_i].text, size, out), strings[_i].size);
	if (strings[_i].size > 0)
		ck_assert_mem_eq(out, strings[_i].want, (size_t)strings[_i].size);
	free(out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("json-text");
	TCase *t = tcase_create("json-text");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, members, 0, ARRAY_SIZE(texts));
	tcase_add_loop_test(t, decoding, 0, ARRAY_SIZE(strings));
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
