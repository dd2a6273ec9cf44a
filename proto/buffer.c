/* SPDX-License-Identifier: Apache-2.0 */
/* Doubles when full, after moving what is left to the front. */

#include "buffer.h"

#include <stdint.h>
#include <string.h>

#define CAPACITY_MIN 512
#define CAPACITY_KEPT                                                                              \
	16384 /* by an empty buffer: a thousand idle connections cost nothing much                 \
	       */

static void wipe(const struct buffer *b, size_t from, size_t size)
{
	if (b->wipes && size > 0)
		explicit_bzero(b->data + from, size);
}

/* realloc() leaves a copy behind. */
static char *grow(const struct buffer *b, size_t capacity)
{
	char *data = b->wipes ? malloc(capacity) : realloc(b->data, capacity);

	if (data && b->wipes && b->data) {
		memcpy(data, b->data, b->end);
		wipe(b, 0, b->end);
		free(b->data);
	}
	return data;
}

static int reserve(struct buffer *b, size_t size)
{
	size_t capacity = b->capacity > 0 ? b->capacity : CAPACITY_MIN;
	size_t used = buffer_size(b);
	char *data;

	if (b->capacity - b->end >= size)
		return 0;
	if (b->start > 0) {
		memmove(b->data, b->data + b->start, used);
		wipe(b, used, b->start);
		b->start = 0;
		b->end = used;
	}
	if (size > SIZE_MAX / 2 - used)
		return -ENOMEM;
	while (capacity < used + size)
		capacity *= 2;
	if (capacity == b->capacity)
		return 0;
	data = grow(b, capacity);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

int buffer_add(struct buffer *b, const void *data, size_t size)
{
	int r;

	if (size == 0)
		return 0;
	r = reserve(b, size);
	if (r < 0)
		return r;
	memcpy(b->data + b->end, data, size);
	b->end += size;
	return 0;
}

int buffer_add_text(struct buffer *b, const char *text)
{
	return buffer_add(b, text, strlen(text));
}

void buffer_consume(struct buffer *b, size_t size)
{
	wipe(b, b->start, size);
	b->start += size;
	if (b->start < b->end)
		return;
	b->start = b->end = 0;
	if (b->capacity > CAPACITY_KEPT)
		buffer_deinit(b);
}

void buffer_cut(struct buffer *b, size_t size)
{
	wipe(b, b->start + size, buffer_size(b) - size);
	b->end = b->start + size;
}

void buffer_deinit(struct buffer *b)
{
	wipe(b, b->start, buffer_size(b));
	free(b->data);
	*b = (struct buffer){ .wipes = b->wipes };
}
