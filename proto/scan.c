/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the line. It knows strings and brackets, nothing of grammar: json-c is the only
 * parser on the path. Duplicate keys are found without decoding a key: the line has as many members
 * as it has colons outside strings, and json-c keeps one of each name, so the caller counts what
 * was parsed and compares. */

#include "scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bounds.h"
#include "text.h"

struct scanner {
	const char *p;
	const char *end;
	size_t depth;
	size_t values;
	size_t containers;
	size_t members;
	bool nul_escaped; /* in the string before */
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* P is behind the opening quote; moves it behind the closing one. */
static enum scan_outcome scan_string(struct scanner *s)
{
	const char *start = s->p;

	s->nul_escaped = false;
	for (; s->p < s->end; s->p++) {
		uint8_t c = (uint8_t)*s->p;

		if (c == '"')
			break;
		if (c < 0x20)
			return SCAN_BAD_STRING;
		if (c != '\\')
			continue;
		if (s->end - s->p >= 6 && memcmp(s->p + 1, "u0000", 5) == 0)
			s->nul_escaped = true;
		s->p++; /* whatever is escaped, a quote among others */
	}
	if (s->p >= s->end)
		return SCAN_BAD_STRING;
	if (utf8_valid_length(start, (size_t)(s->p - start)) != (size_t)(s->p - start))
		return SCAN_BAD_UTF8;
	s->p++;
	return SCAN_OK;
}

static size_t skip_digits(struct scanner *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - start);
}

static bool skip_one_of(struct scanner *s, const char *set)
{
	if (s->p == s->end || *s->p == '\0' || !strchr(set, *s->p))
		return false;
	s->p++;
	return true;
}

/* P is at the first character. json-c takes "-01", "00" and "1." for numbers. */
static enum scan_outcome scan_number(struct scanner *s)
{
	const char *first;
	size_t digits;

	(void)skip_one_of(s, "-");
	first = s->p;
	digits = skip_digits(s);
	if (digits == 0 || (digits > 1 && *first == '0'))
		return SCAN_BAD_CHARACTER;
	if (skip_one_of(s, ".") && skip_digits(s) == 0)
		return SCAN_BAD_CHARACTER;
	if (!skip_one_of(s, "eE"))
		return SCAN_OK;
	(void)skip_one_of(s, "+-");
	return skip_digits(s) > 0 ? SCAN_OK : SCAN_BAD_CHARACTER;
}

/* C is behind us. */
static enum scan_outcome scan_structure(struct scanner *s, char c)
{
	switch (c) {
	case '{':
	case '[':
		s->containers++;
		return ++s->depth > RPC_NESTING_MAX ? SCAN_TOO_DEEP : SCAN_OK;
	case '}':
	case ']':
		if (s->depth > 0)
			s->depth--;
		return SCAN_OK;
	case ':':
		/* json-c would cut the key at the NUL. */
		s->members++;
		return s->nul_escaped ? SCAN_BAD_STRING : SCAN_OK;
	case ',':
		s->values++;
		return SCAN_OK;
	default:
		/* true, false, null: json-c knows them. */
		return c != '\0' && strchr("trufalsen", c) ? SCAN_OK : SCAN_BAD_CHARACTER;
	}
}

static enum scan_outcome scan_body(struct scanner *s)
{
	while (s->p < s->end) {
		char c = *s->p;
		enum scan_outcome outcome = SCAN_OK;

		if (c == '-' || (c >= '0' && c <= '9')) {
			outcome = scan_number(s);
		} else {
			s->p++;
			if (c == '"')
				outcome = scan_string(s);
			else if (!is_space(c))
				outcome = scan_structure(s, c);
		}
		if (outcome != SCAN_OK)
			return outcome;
		if (s->values > RPC_VALUES_MAX || s->containers > RPC_CONTAINERS_MAX)
			return SCAN_TOO_MANY;
	}
	return SCAN_OK;
}

enum scan_outcome scan_line(const char *line, size_t size, struct scan *ret)
{
	struct scanner s = { .p = line, .end = line + size };
	enum scan_outcome outcome;
	char first;

	while (s.p < s.end && is_space(*s.p))
		s.p++;
	if (s.p == s.end)
		return SCAN_BLANK;
	first = *s.p;
	outcome = scan_body(&s);
	if (outcome == SCAN_OK && first != '{' && first != '[')
		return SCAN_NOT_STRUCTURED;
	ret->members = s.members;
	return outcome;
}
