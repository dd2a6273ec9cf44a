/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Received bytes, cut into lines. No descriptor inside. */

#include <stddef.h>

/* A reply can hold three streams of 1 MiB, each byte escaped to six. */
#define LINE_READER_MAX (64u * 1024 * 1024)

struct line_reader {
	char *data;
	size_t allocated;
	size_t start;   /* of the first line that was not taken */
	size_t scanned; /* no newline before this */
	size_t end;
};

/* Room for at least WANT bytes at *RET_SPACE; returns how many there are, or -ENOMEM, -EMSGSIZE
 * (the line is beyond LINE_READER_MAX). Moves lines that were returned before. */
long line_reader_space(struct line_reader *l, size_t want, char **ret_space);
/* SIZE bytes were written there. */
void line_reader_filled(struct line_reader *l, size_t size);
/* The next complete line without its newline, NUL-terminated, or NULL. Lives until the next
 * line_reader_space(). */
char *line_reader_next(struct line_reader *l, size_t *ret_size);
void line_reader_deinit(struct line_reader *l);
