/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What json-c does not refuse by itself, checked on the bytes of a line before they are parsed. */

#include <stddef.h>

enum scan_outcome {
	SCAN_OK,
	SCAN_BLANK,          /* nothing but white space */
	SCAN_NOT_STRUCTURED, /* a lone string, number or word */
	SCAN_BAD_CHARACTER,  /* outside strings: single quotes, comments, NaN, control characters */
	SCAN_BAD_STRING,     /* not closed, control characters, NUL in a key */
	SCAN_BAD_UTF8,
	SCAN_TOO_DEEP,
	SCAN_TOO_MANY, /* more values than RPC_VALUES_MAX */
	SCAN_OUTCOME_MAX,
};

/* Facts that the parsed value must agree with. */
struct scan {
	size_t members; /* "key": value pairs, duplicates included */
};

/* Never reads beyond SIZE bytes. This is no parser: it accepts much that is not JSON. */
enum scan_outcome scan_line(const char *line, size_t size, struct scan *ret);
