/* SPDX-License-Identifier: Apache-2.0 */
/* Pure functions on bytes. UTF-8 follows table 3-7 of the Unicode standard: the first byte says the
 * length and what the second may be. */

#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct lead {
	unsigned length; /* 0: not a first byte */
	uint8_t low;     /* bounds of the second byte */
	uint8_t high;
};

static struct lead lead_of(uint8_t c)
{
	if (c < 0x80)
		return (struct lead){ 1, 0, 0 };
	if (c < 0xc2)
		return (struct lead){ 0, 0, 0 };
	if (c < 0xe0)
		return (struct lead){ 2, 0x80, 0xbf };
	if (c < 0xf0)
		return (struct lead){ 3, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf };
	if (c < 0xf5)
		return (struct lead){ 4, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf };
	return (struct lead){ 0, 0, 0 };
}

/* How many of the first bytes at P can belong to one character; *RET_LENGTH is how many it needs.
 */
static size_t match_character(const uint8_t *p, size_t size, unsigned *ret_length)
{
	struct lead lead = lead_of(p[0]);
	size_t n = 1;

	*ret_length = lead.length;
	if (lead.length < 2)
		return lead.length;
	if (size < 2 || p[1] < lead.low || p[1] > lead.high)
		return 1;
	for (n = 2; n < lead.length && n < size; n++)
		if ((p[n] & 0xc0) != 0x80)
			break;
	return n;
}

size_t utf8_valid_length(const void *data, size_t size)
{
	const uint8_t *p = data;
	size_t at = 0;

	while (at < size) {
		unsigned length;

		if (p[at] < 0x80) {
			at++;
			continue;
		}
		if (match_character(p + at, size - at, &length) < length || length == 0)
			break;
		at += length;
	}
	return at;
}

bool utf8_is_partial(const void *rest, size_t size)
{
	unsigned length;

	return size > 0 && size < 4 && match_character(rest, size, &length) == size &&
	       length > size;
}

size_t utf8_complete_prefix(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	size_t back;

	/* only the last three bytes can be the start of a character that is not whole */
	for (back = 1; back <= 3 && back <= size; back++) {
		if ((bytes[size - back] & 0xc0) == 0x80)
			continue;
		return utf8_is_partial(bytes + size - back, back) ? size - back : size;
	}
	return size;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_size(size_t size)
{
	return (size + 2) / 3 * 4;
}

void base64_encode(const void *data, size_t size, char *out)
{
	const uint8_t *p = data;

	for (; size >= 3; size -= 3, p += 3) {
		*out++ = alphabet[p[0] >> 2];
		*out++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
		*out++ = alphabet[p[2] & 63];
	}
	if (size == 0)
		return;
	*out++ = alphabet[p[0] >> 2];
	*out++ = alphabet[(p[0] & 3) << 4 | (size == 2 ? p[1] >> 4 : 0)];
	*out++ = size == 2 ? alphabet[(p[1] & 15) << 2] : '=';
	*out = '=';
}

size_t base64_decoded_size(size_t size)
{
	return size / 4 * 3;
}

/* The six bits of a character, or 64. By arithmetic, as the alphabet has three runs. */
static unsigned value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : 64;
}

int base64_decode(const char *text, size_t size, void *out, size_t *ret_size)
{
	uint8_t *to = out;
	size_t padding = 0, whole = 0;

	if (size % 4 != 0)
		return -EINVAL;
	if (size > 0 && text[size - 1] == '=')
		padding = text[size - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < size; i += 4) {
		uint32_t bits = 0;
		size_t kept = i + 4 == size ? 4 - padding : 4;

		for (size_t k = 0; k < 4; k++) {
			unsigned v = k < kept ? value_of(text[i + k]) : 0;

			if (v == 64)
				return -EINVAL;
			bits = bits << 6 | v;
		}
		/* Bits that padding throws away must be zero: one text for one value. */
		if ((kept == 3 && (bits & 0xff)) || (kept == 2 && (bits & 0xffff)))
			return -EINVAL;
		for (size_t k = 0; k + 1 < kept; k++)
			to[whole++] = (uint8_t)(bits >> (16 - 8 * k));
	}
	*ret_size = whole;
	return 0;
}
