/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes that come in at the back and leave at the front. Whoever fills one caps it. */

#include <stdbool.h>
#include <stddef.h>

#include "macro.h"

struct buffer { /* zeroed = empty */
	char *data;
	size_t start; /* first byte not consumed */
	size_t end;
	size_t capacity;
	bool wipes; /* what leaves is overwritten, too; stays when the buffer is emptied */
};

static inline size_t buffer_size(const struct buffer *b)
{
	return b->end - b->start;
}

static inline const char *buffer_data(const struct buffer *b)
{
	return b->data + b->start;
}

/* Returns 0 or -ENOMEM; then nothing was added. */
int buffer_add(struct buffer *b, const void *data, size_t size);
int buffer_add_text(struct buffer *b, const char *text);
/* Forgets SIZE bytes at the front; an empty buffer that has grown big gives its memory back. */
void buffer_consume(struct buffer *b, size_t size);
/* Forgets what was added after the buffer had SIZE bytes. */
void buffer_cut(struct buffer *b, size_t size);
void buffer_deinit(struct buffer *b);
#define CLEANUP_BUFFER CLEANUP(buffer_deinit)
