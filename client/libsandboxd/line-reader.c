/* SPDX-License-Identifier: Apache-2.0 */
/* One growing buffer. Bytes before start were handed out; they are dropped when room is needed, so
 * that a burst of small lines costs no moving. scanned keeps a long line from being searched again
 * from its beginning with every read. */

#include "line-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void compact(struct line_reader *l)
{
	if (l->start == 0)
		return;
	memmove(l->data, l->data + l->start, l->end - l->start);
	l->end -= l->start;
	l->scanned -= l->start;
	l->start = 0;
}

long line_reader_space(struct line_reader *l, size_t want, char **ret_space)
{
	size_t size = l->allocated ? l->allocated : 4096;
	char *data;

	if (l->start == l->end || l->allocated - l->end < want)
		compact(l);
	if (l->end > LINE_READER_MAX)
		return -EMSGSIZE;
	while (size - l->end < want)
		size *= 2;
	if (size != l->allocated) {
		data = realloc(l->data, size);
		if (!data)
			return -ENOMEM;
		l->data = data;
		l->allocated = size;
	}
	*ret_space = l->data + l->end;
	return (long)(l->allocated - l->end);
}

void line_reader_filled(struct line_reader *l, size_t size)
{
	l->end += size;
}

char *line_reader_next(struct line_reader *l, size_t *ret_size)
{
	char *line = l->data + l->start;
	char *newline;

	if (l->scanned == l->end)
		return NULL;
	newline = memchr(l->data + l->scanned, '\n', l->end - l->scanned);
	if (!newline) {
		l->scanned = l->end;
		return NULL;
	}
	*newline = '\0';
	*ret_size = (size_t)(newline - line);
	l->start = l->scanned = (size_t)(newline + 1 - l->data);
	return line;
}

void line_reader_deinit(struct line_reader *l)
{
	free(l->data);
	memset(l, 0, sizeof *l);
}
