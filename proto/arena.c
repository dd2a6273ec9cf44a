/* SPDX-License-Identifier: Apache-2.0 */
/* A list of chunks; allocations come from the newest until it is full. What does not fit into a
 * chunk of the usual size gets one of its own. */

#include "arena.h"

#include <stdint.h>
#include <string.h>

#define CHUNK_SIZE 2048

struct arena_chunk {
	struct arena_chunk *next;
	size_t used;
	size_t size;
	_Alignas(max_align_t) unsigned char data[];
};

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
	struct arena_chunk *c;

	if (size < CHUNK_SIZE)
		size = CHUNK_SIZE;
	if (size > SIZE_MAX - sizeof(*c))
		return NULL;
	c = calloc(1, sizeof(*c) + size);
	if (!c)
		return NULL;
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	const size_t alignment = _Alignof(max_align_t);
	struct arena_chunk *c = a->chunks;
	size_t total;
	void *p;

	if (__builtin_mul_overflow(count, size, &total) ||
	    __builtin_add_overflow(total, alignment - 1, &total))
		return NULL;
	total -= total % alignment;
	if (!c || c->size - c->used < total)
		c = add_chunk(a, total);
	if (!c)
		return NULL;
	p = c->data + c->used;
	c->used += total;
	return p;
}

void arena_deinit(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *c = a->chunks;

		a->chunks = c->next;
		explicit_bzero(c->data, c->used);
		free(c);
	}
}
