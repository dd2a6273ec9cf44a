/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, base64, the arena and the buffer: bytes without a protocol. */
#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "buffer.h"
#include "macro.h"
#include "text.h"

static const struct {
	const char *bytes;
	size_t size;
	size_t valid;
	bool partial;
} utf8[] = {
	{ "", 0, 0, false },
	{ "abc", 3, 3, false },
	{ "a\0b", 3, 3, false },
	{ "\xc3\xa4", 2, 2, false },
	{ "\xe2\x82\xac", 3, 3, false },
	{ "\xf0\x9f\x98\x80", 4, 4, false },
	{ "\xf4\x8f\xbf\xbf", 4, 4, false },
	/* cut off */
	{ "a\xc3", 2, 1, true },
	{ "\xe2\x82", 2, 0, true },
	{ "\xf0\x9f\x98", 3, 0, true },
	{ "\xf0", 1, 0, true },
	/* never right, whatever follows */
	{ "\x80", 1, 0, false },
	{ "\xc0\x80", 2, 0, false },
	{ "\xc1", 1, 0, false },
	{ "\xe0\x80", 2, 0, false },
	{ "\xe0\x9f\xbf", 3, 0, false },
	{ "\xed\xa0", 2, 0, false },
	{ "\xed\xa0\x80", 3, 0, false },
	{ "\xf0\x8f\xbf\xbf", 4, 0, false },
	{ "\xf4\x90\x80\x80", 4, 0, false },
	{ "\xf5", 1, 0, false },
	{ "\xff", 1, 0, false },
	{ "a\xe2\x28\xa1", 4, 1, false },
	{ "\xe2\x82\x28", 3, 0, false },
	{ "\xf0\x9f\x98z", 4, 0, false },
};

START_TEST(knows_utf8)
{
	const char *bytes = utf8[_i].bytes;
	size_t valid = utf8_valid_length(bytes, utf8[_i].size);

	ck_assert_uint_eq(valid, utf8[_i].valid);
	ck_assert_int_eq(utf8_is_partial(bytes + valid, utf8[_i].size - valid), utf8[_i].partial);
}
END_TEST

START_TEST(goes_through_base64_and_back)
{
	uint8_t data[256], back[256];
	char text[400];
	size_t size = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t n = 0; n <= sizeof(data); n++) {
		size_t length = base64_encoded_size(n);

		base64_encode(data, n, text);
		ck_assert_uint_le(n, base64_decoded_size(length));
		ck_assert_int_eq(base64_decode(text, length, back, &size), 0);
		ck_assert_uint_eq(size, n);
		ck_assert_mem_eq(back, data, n);
	}
	base64_encode("foobar", 6, text);
	ck_assert_mem_eq(text, "Zm9vYmFy", 8);
	base64_encode("fooba", 5, text);
	ck_assert_mem_eq(text, "Zm9vYmE=", 8);
}
END_TEST

START_TEST(refuses_what_is_not_base64)
{
	static const char *const bad[] = { "A",    "AA",   "AAA",  "A===", "====", "=AAA",
					   "AA=A", "AB==", "AAB=", "AA A", "AA-_", "AAA=AAAA" };
	uint8_t out[16];
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(base64_decode(bad[i], strlen(bad[i]), out, &size) == -EINVAL, "%s",
			      bad[i]);
}
END_TEST

START_TEST(chunks_end_between_characters)
{
	static const struct {
		const char *data;
		size_t whole;
	} cases[] = {
		{ "", 0 },
		{ "abc", 3 },
		{ "a\xc3\xa4", 3 },
		{ "a\xc3", 1 },
		{ "a\xe2\x82", 1 },
		{ "a\xf0\x9f\x98", 1 },
		{ "\xf0\x9f\x98\x80", 4 },
		{ "a\xff", 2 },
		{ "a\x80\x80\x80\x80", 5 }, /* never a character: as good as whole */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_uint_eq(utf8_complete_prefix(cases[i].data, strlen(cases[i].data)),
				  cases[i].whole);
}
END_TEST

START_TEST(arena_gives_zeroed_aligned_memory)
{
	CLEANUP_ARENA struct arena a = { 0 };

	for (size_t size = 1; size < 10000; size += 37) {
		unsigned char *p = arena_alloc(&a, 1, size);
		unsigned bits = 0;

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++) /* an assertion each would take seconds */
			bits |= p[i];
		ck_assert_uint_eq(bits, 0);
		memset(p, 0xff, size);
	}
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX / 2, 3));
	ck_assert_ptr_null(arena_alloc(&a, 1, SIZE_MAX));
}
END_TEST

START_TEST(buffer_keeps_the_order)
{
	CLEANUP_BUFFER struct buffer b = { 0 };
	unsigned in = 0, out = 0;

	for (int i = 0; i < 5000; i++) {
		for (int k = 0; k < i % 17; k++, in++)
			ck_assert_int_eq(buffer_add(&b, &in, sizeof(in)), 0);
		for (int k = 0; k < i % 13 && buffer_size(&b) > 0; k++, out++) {
			ck_assert_mem_eq(buffer_data(&b), &out, sizeof(out));
			buffer_consume(&b, sizeof(out));
		}
	}
	buffer_cut(&b, 4);
	ck_assert_uint_eq(buffer_size(&b), 4);
	buffer_consume(&b, 4);
	ck_assert_uint_eq(b.capacity, 0); /* it had grown big */
	ck_assert_int_eq(buffer_add(&b, "", SIZE_MAX / 2 + 1), -ENOMEM);
	ck_assert_int_eq(buffer_add(&b, NULL, 0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proto/text");
	TCase *t = tcase_create("text");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, knows_utf8, 0, (int)ARRAY_SIZE(utf8));
	tcase_add_test(t, goes_through_base64_and_back);
	tcase_add_test(t, refuses_what_is_not_base64);
	tcase_add_test(t, chunks_end_between_characters);
	tcase_add_test(t, arena_gives_zeroed_aligned_memory);
	tcase_add_test(t, buffer_keeps_the_order);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
