/* SPDX-License-Identifier: Apache-2.0 */
/* The values go straight into the memfd: no copy of them is made here. */

#include "sandbox/spool-mask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "keeper-wire.h"
#include "macro.h"

#define TOKEN_MIN 20 /* a word of that length is rather a token than a name */

struct builder {
	int fd;
	size_t size;
};

static int add(struct builder *b, const char *data, size_t size)
{
	uint32_t part;
	struct iovec io[2] = { { &part, sizeof(part) } };
	ssize_t n;

	/* a longer one in pieces: a last one too short for itself is not worth much */
	while (size >= KEEPER_MASK_MIN) {
		part = size < KEEPER_MASK_MAX ? (uint32_t)size : KEEPER_MASK_MAX;
		io[1] = (struct iovec){ (void *)(uintptr_t)data, part };
		b->size += sizeof(part) + part;
		if (b->size > KEEPER_MASKS_SIZE_MAX)
			return -E2BIG;
		n = writev(b->fd, io, 2);
		if (n != (ssize_t)(sizeof(part) + part))
			return n < 0 ? -errno : -ENOSPC;
		data += part;
		size -= part;
	}
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* No "=": what is behind it is a word of its own (KEY=value). */
static bool is_token(char c, bool slash)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == '+' || (slash && c == '/');
}

/* The words of a line that are not all of it. SLASH: those with one in them (base64), else it ends
 * a word (a path). The letter behind a backslash is not of the word behind it ("\nMII…" of a key in
 * JSON). */
static int add_tokens(struct builder *b, const char *line, size_t size, bool slash)
{
	size_t i = 0, begin;
	int r = 0;

	while (r == 0 && i < size) {
		begin = i;
		while (i < size && is_token(line[i], slash))
			i++;
		if (i - begin >= TOKEN_MIN && i - begin < size &&
		    (!slash || memchr(line + begin, '/', i - begin)))
			r = add(b, line + begin, i - begin);
		i += i < size && line[i] == '\\' ? 2 : 1;
	}
	return r;
}

static int add_line(struct builder *b, const char *line, size_t size)
{
	int r;

	while (size > 0 && is_blank(line[0])) {
		line++;
		size--;
	}
	while (size > 0 && is_blank(line[size - 1]))
		size--;
	r = add(b, line, size);
	if (r == 0)
		r = add_tokens(b, line, size, false);
	return r < 0 ? r : add_tokens(b, line, size, true);
}

static int add_value(struct builder *b, const char *data, size_t size)
{
	const char *end;
	size_t length;
	int r = 0;

	while (r == 0 && size > 0) {
		end = memchr(data, '\n', size);
		length = end ? (size_t)(end - data) : size;
		r = add_line(b, data, length);
		length += end ? 1 : 0;
		data += length;
		size -= length;
	}
	return r;
}

int spool_mask_new(const struct bytes *values, size_t n, int *ret)
{
	const int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	CLEANUP_FD int fd = memfd_create("masks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct builder b = { .fd = fd };
	size_t i;
	int r = fd < 0 ? -errno : 0;

	for (i = 0; r == 0 && i < n; i++)
		r = add_value(&b, values[i].data, values[i].size);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, seals) < 0)
		r = -errno;
	if (r == 0)
		*ret = b.size > 0 ? TAKE_FD(fd) : -1;
	return r;
}
