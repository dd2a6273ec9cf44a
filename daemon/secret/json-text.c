/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/json-text.h"

#include <string.h>

#include "text.h"

/* ---- members ---- */

static char *skip_blanks(char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

/* P is behind the opening quote. The closing one; NULL: there is none. */
static char *string_end(char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '"')
			return p;
		if (*p == '\\')
			p++;
	}
	return NULL;
}

bool json_text_each(char *text, size_t size, json_member_seen *fn, void *userdata)
{
	char *p = text, *after, *close, *const end = text + size;
	struct json_member m = { 0 };

	while (p < end) {
		char c = *p++;

		if (c == '{' || c == '[')
			m.depth++;
		else if ((c == '}' || c == ']') && m.depth > 0)
			m.depth--;
		if (c != '"')
			continue;
		m.key = p;
		close = string_end(p, end);
		if (!close)
			return false;
		m.key_size = (size_t)(close - p);
		p = close + 1;
		after = skip_blanks(p, end);
		if (after == end || *after != ':')
			continue; /* a string in a list, or a lone one */
		p = skip_blanks(after + 1, end);
		m.string = NULL;
		m.string_size = 0;
		if (p < end && *p == '"') {
			m.string = p + 1;
			close = string_end(m.string, end);
			if (!close)
				return false;
			m.string_size = (size_t)(close - m.string);
			p = close + 1;
		}
		if (!fn(&m, userdata))
			return true;
	}
	return true;
}

bool json_member_is(const struct json_member *m, const char *key)
{
	return m->key_size == strlen(key) && memcmp(m->key, key, m->key_size) == 0;
}

/* ---- strings ---- */

struct decoder {
	const char *p;
	const char *end;
	uint8_t *out; /* NULL: only counted */
	size_t size;
};

static void put(struct decoder *d, unsigned byte)
{
	if (d->out)
		d->out[d->size] = (uint8_t)byte;
	d->size++;
}

static void put_character(struct decoder *d, unsigned c)
{
	if (c < 0x80) {
		put(d, c);
		return;
	}
	if (c < 0x800) {
		put(d, 0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			put(d, 0xe0 | c >> 12);
		} else {
			put(d, 0xf0 | c >> 18);
			put(d, 0x80 | (c >> 12 & 0x3f));
		}
		put(d, 0x80 | (c >> 6 & 0x3f));
	}
	put(d, 0x80 | (c & 0x3f));
}

/* The four digits of \uXXXX; -1: they are none. */
static int hex4(struct decoder *d)
{
	int i, value = 0;

	if (d->end - d->p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		char c = *d->p++;

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if (c >= 'a' && c <= 'f')
			value |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value |= c - 'A' + 10;
		else
			return -1;
	}
	return value;
}

/* P is behind "\u". A character beyond 16 bits is two of them. */
static bool decode_unicode(struct decoder *d)
{
	int low, c = hex4(d);

	if (c < 0 || (c >= 0xdc00 && c < 0xe000))
		return false;
	if (c >= 0xd800 && c < 0xdc00) {
		if (d->end - d->p < 2 || d->p[0] != '\\' || d->p[1] != 'u')
			return false;
		d->p += 2;
		low = hex4(d);
		if (low < 0xdc00 || low >= 0xe000)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_character(d, (unsigned)c);
	return true;
}

/* P is behind the backslash. */
static bool decode_escape(struct decoder *d)
{
	static const char letters[] = "\"\\/bfnrt", stands_for[] = "\"\\/\b\f\n\r\t";
	const char *found;
	char c;

	if (d->p == d->end)
		return false;
	c = *d->p++;
	if (c == 'u')
		return decode_unicode(d);
	found = c ? strchr(letters, c) : NULL;
	if (!found)
		return false;
	put(d, (uint8_t)stands_for[found - letters]);
	return true;
}

ssize_t json_text_decode(const char *string, size_t size, uint8_t *out)
{
	struct decoder d = { .p = string, .end = string + size, .out = out };

	if (utf8_valid_length(string, size) != size)
		return -1;
	while (d.p < d.end) {
		uint8_t c = (uint8_t)*d.p++;

		if (c < 0x20)
			return -1;
		if (c != '\\')
			put(&d, c);
		else if (!decode_escape(&d))
			return -1;
	}
	return (ssize_t)d.size;
}
