/* SPDX-License-Identifier: Apache-2.0 */
/* A value cannot grow, so a bigger one takes over what the smaller one had, which is zeroed. */

#include "secret/gather.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ROOM_FIRST 4095 /* and a NUL: a page */

static int grow(struct gather *g)
{
	size_t room = g->room ? g->room * 2 + 1 : ROOM_FIRST;
	struct secret_value *value;
	uint8_t *data;
	int r;

	if (g->room == SECRET_VALUE_MAX)
		return -EFBIG;
	if (room > SECRET_VALUE_MAX)
		room = SECRET_VALUE_MAX;
	r = secret_value_new(room, &value, &data);
	if (r < 0)
		return r;
	if (g->used > 0)
		memcpy(data, g->data, g->used);
	secret_value_unref(g->value);
	g->value = value;
	g->data = data;
	g->room = room;
	return 0;
}

/* That it ends exactly at the limit is only known when there is nothing to read behind it. */
static int read_beyond(int fd)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n == 0 ? 1 : -EFBIG;
}

int gather_read(struct gather *g, int fd)
{
	ssize_t n;
	int r;

	for (;;) {
		if (g->used == g->room) {
			if (g->room == SECRET_VALUE_MAX)
				return read_beyond(fd);
			r = grow(g);
			if (r < 0)
				return r;
		}
		n = read(fd, g->data + g->used, g->room - g->used);
		if (n == 0)
			return 1;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		g->used += (size_t)n;
	}
}

int gather_take(const struct gather *g, size_t size, struct secret_value **ret)
{
	uint8_t *data;
	int r = secret_value_new(size, ret, &data);

	if (r == 0 && size > 0)
		memcpy(data, g->data, size);
	return r;
}

void gather_clear(struct gather *g)
{
	secret_value_unref(g->value);
	*g = (struct gather){ 0 };
}
