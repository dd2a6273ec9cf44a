/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "util/sha256.h"

/* FIPS 180-4 and its examples, and lengths around the block's edge (from sha256sum). */
static const struct {
	const char *unit;
	size_t times;
	const char *digest;
} vectors[] = {
	{ "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
	{ "a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
	{ "a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
	{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

START_TEST(matches_the_standard)
{
	char text[SHA256_TEXT_SIZE];
	struct sha256 s;

	sha256_init(&s);
	for (size_t i = 0; i < vectors[_i].times; i++)
		sha256_add(&s, vectors[_i].unit, strlen(vectors[_i].unit));
	sha256_end_text(&s, text);
	ck_assert_str_eq(text, vectors[_i].digest);
}
END_TEST

START_TEST(neighbours_do_not_run_into_each_other)
{
	char first[SHA256_TEXT_SIZE], second[SHA256_TEXT_SIZE];
	struct sha256 s;

	sha256_init(&s);
	sha256_add_text(&s, "ab");
	sha256_add_text(&s, "c");
	sha256_end_text(&s, first);
	sha256_init(&s);
	sha256_add_text(&s, "a");
	sha256_add_text(&s, "bc");
	sha256_end_text(&s, second);
	ck_assert_str_ne(first, second);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sha256");
	TCase *cases = tcase_create("sha256");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(cases, matches_the_standard, 0, ARRAY_SIZE(vectors));
	tcase_add_test(cases, neighbours_do_not_run_into_each_other);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
