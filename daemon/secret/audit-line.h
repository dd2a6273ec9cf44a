/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One line of the audit log: JSON whose last field, "mac", is the HMAC of the line before it in the
 * chain and of all that stands in front. Fields are always in the same order, so that a line is
 * read without a JSON parser. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define AUDIT_KEY_BYTES 32
#define AUDIT_LINE_MAX 12288 /* bytes with the newline; ours are some 300 */
#define AUDIT_HASH_SIZE 65   /* hexadecimal and NUL */
#define AUDIT_KEY_ID_SIZE 17
#define AUDIT_HASH_NONE "0000000000000000000000000000000000000000000000000000000000000000"

struct audit_entry;

/* The chain up to and with entry COUNT. */
struct audit_mark {
	int64_t count;
	char hash[AUDIT_HASH_SIZE];
};

/* Makes sure that the library can be used. 0, or -EIO. */
int audit_line_init(void);

/* Which key it is, without saying the key. */
void audit_key_id(const uint8_t key[AUDIT_KEY_BYTES], char ret[static AUDIT_KEY_ID_SIZE]);

/* Write the line of the entry behind *HEAD, with its newline, and move *HEAD to it. Return its
 * size. The first line of a file is a begin: it says under which key the file is, and repeats the
 * hash that it goes on from. */
size_t audit_line_write(const uint8_t key[AUDIT_KEY_BYTES], struct audit_mark *head, int64_t at_ms,
			const struct audit_entry *e, const char *exe,
			char line[static AUDIT_LINE_MAX]);
size_t audit_line_begin(const uint8_t key[AUDIT_KEY_BYTES], struct audit_mark *head, int64_t at_ms,
			char line[static AUDIT_LINE_MAX]);

/* What the ends of a line say; not whether it is true. */
struct audit_line {
	int64_t seq;
	uid_t uid;
	char mac[AUDIT_HASH_SIZE];
	bool is_begin; /* then these two are set: */
	char key_id[AUDIT_KEY_ID_SIZE];
	char previous[AUDIT_HASH_SIZE];
};
/* SIZE is without the newline. False: it is none of ours. */
bool audit_line_read(const char *line, size_t size, struct audit_line *ret);
/* Whether LINE stands behind a line whose hash was PREVIOUS. */
bool audit_line_is_true(const uint8_t key[AUDIT_KEY_BYTES],
			const char previous[static AUDIT_HASH_SIZE], const char *line, size_t size);
