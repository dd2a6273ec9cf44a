/* SPDX-License-Identifier: Apache-2.0 */
/* The values lie one behind the other in one locked mapping that no child of ours has (a worker is
 * a fork) and no core file; a table by their first bytes finds them, so that many of them cost
 * hardly more than one. The longest that fits counts, and one that may still become longer is
 * waited for. */

#include "mask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dumpable.h"
#include "keeper-wire.h"
#include "macro.h"

#define BUCKETS 4096u /* a power of two */
#define HASHED 3u     /* bytes that choose one */
#define PIECE 4096u   /* at least so much is mapped */
#define SPARES_MAX 6u /* pieces: two commands with two streams each */

struct value {
	const uint8_t *data;
	uint32_t size;
	uint32_t next; /* in its bucket; 0: none, else index + 1 */
};

struct masks {
	uint8_t *map;
	size_t map_size;
	struct value *values;
	size_t count;
	bool first[256];    /* a value begins with this byte, also of the added ones */
	struct masks *next; /* owned; added later ones first */
	uint32_t buckets[BUCKETS];
};

_Static_assert(KEEPER_MASK_MAX <= PIECE, "what a stream holds is a piece");

/* Zeroed: each command with secrets needs some, and to map and lock it costs more than its use. */
static uint8_t *spares[SPARES_MAX];
static unsigned n_spares;

static size_t mapped_size(size_t size)
{
	return size <= PIECE ? PIECE : size;
}

uint8_t *masks_memory(size_t size)
{
	void *map;

	if (size <= PIECE && n_spares > 0)
		return spares[--n_spares];
	size = mapped_size(size);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	(void)mlock(map, size);
	(void)madvise(map, size, MADV_DONTDUMP); /* neither can fail here */
	(void)madvise(map, size, MADV_DONTFORK);
	return map;
}

void masks_memory_free(uint8_t *memory, size_t size)
{
	if (!memory)
		return;
	explicit_bzero(memory, size);
	if (size <= PIECE && n_spares < SPARES_MAX)
		spares[n_spares++] = memory;
	else
		(void)munmap(memory, mapped_size(size)); /* cannot fail: we mapped it */
}

static uint32_t bucket_of(const uint8_t *at)
{
	uint32_t hash = (at[0] * 2654435761u) ^ (at[1] * 40503u) ^ (at[2] * 2246822519u);

	return (hash ^ hash >> 15) & (BUCKETS - 1);
}

/* Whether it can change under us: then what we read may not be what we check. */
static int check_file(int fd, size_t *ret_size)
{
	const int needed = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & needed) != needed || fstat(fd, &st) < 0 || st.st_size <= 0 ||
	    st.st_size > KEEPER_MASKS_SIZE_MAX)
		return -EBADMSG;
	*ret_size = (size_t)st.st_size;
	return 0;
}

static int read_all(int fd, uint8_t *to, size_t size)
{
	size_t done = 0;
	ssize_t n;

	while (done < size) {
		n = pread(fd, to + done, size - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

/* The value at *OFFSET; false: that is none. */
static bool next_value(const struct masks *m, size_t *offset, struct value *ret)
{
	uint32_t size;

	if (m->map_size - *offset < sizeof(size))
		return false;
	memcpy(&size, m->map + *offset, sizeof(size));
	*offset += sizeof(size);
	if (size < KEEPER_MASK_MIN || size > KEEPER_MASK_MAX || size > m->map_size - *offset)
		return false;
	*ret = (struct value){ .data = m->map + *offset, .size = size };
	*offset += size;
	return true;
}

static int enter_values(struct masks *m)
{
	size_t offset = 0, i;
	struct value v;
	uint32_t *bucket;

	while (offset < m->map_size) {
		if (!next_value(m, &offset, &v))
			return -EBADMSG;
		m->count++;
	}
	m->values = calloc(m->count, sizeof(*m->values));
	if (!m->values)
		return -ENOMEM;
	for (i = 0, offset = 0; i < m->count; i++) {
		(void)next_value(m, &offset, &v); /* as before */
		bucket = &m->buckets[bucket_of(v.data)];
		v.next = *bucket;
		*bucket = (uint32_t)i + 1;
		m->first[v.data[0]] = true;
		m->values[i] = v;
	}
	return 0;
}

int masks_new(int fd, struct masks **ret)
{
	struct masks *m;
	size_t size;
	int r = check_file(fd, &size);

	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->map = masks_memory(size);
	if (!m->map) {
		free(m);
		return -ENOMEM;
	}
	m->map_size = size;
	dumpable_forbid();
	r = read_all(fd, m->map, size);
	if (r == 0)
		r = enter_values(m);
	if (r < 0) {
		masks_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void masks_free(struct masks *m)
{
	struct masks *next;

	for (; m; m = next) {
		next = m->next;
		masks_memory_free(m->map, m->map_size);
		free(m->values);
		free(m);
		dumpable_allow();
	}
}

static bool is_same(const struct masks *a, const struct masks *b)
{
	return a->map_size == b->map_size && memcmp(a->map, b->map, a->map_size) == 0;
}

/* The one of those added to M that says the same as OTHER, taken out; NULL: there is none. */
static struct masks *take_same(struct masks *m, const struct masks *other)
{
	struct masks **at, *found;

	for (at = &m->next; *at && !is_same(*at, other); at = &(*at)->next)
		;
	found = *at;
	if (found) {
		*at = found->next;
		found->next = NULL;
	}
	return found;
}

void masks_add(struct masks *m, struct masks *more)
{
	struct masks **at = &m->next, *same;
	size_t i;

	if (is_same(m, more)) {
		masks_free(more);
		return;
	}
	same = take_same(m, more);
	if (same) {
		masks_free(more);
		more = same;
	}
	for (i = 0; i < sizeof(m->first); i++)
		m->first[i] = m->first[i] || more->first[i];
	more->next = m->next;
	m->next = more;
	for (i = 0; i < MASKS_ADDED_MAX && *at; i++)
		at = &(*at)->next;
	masks_free(*at);
	*at = NULL;
}

/* ---- looking ---- */

struct found {
	size_t size;  /* of the longest that is there; 0: none */
	bool partial; /* a longer one may be, when more has come */
};

static void compare(const struct value *v, const uint8_t *at, size_t left, struct found *f)
{
	if (v->size > left)
		f->partial = f->partial || memcmp(v->data, at, left) == 0;
	else if (v->size > f->size && memcmp(v->data, at, v->size) == 0)
		f->size = v->size;
}

static void look(const struct masks *m, const uint8_t *at, size_t left, struct found *f)
{
	uint32_t i;

	if (left < HASHED) {
		for (i = 0; i < m->count && !f->partial; i++)
			compare(&m->values[i], at, left, f);
		return;
	}
	for (i = m->buckets[bucket_of(at)]; i > 0; i = m->values[i - 1].next)
		compare(&m->values[i - 1], at, left, f);
}

static struct found find(const struct masks *m, const uint8_t *at, size_t left)
{
	struct found f = { 0, false };

	for (; m; m = m->next)
		look(m, at, left, &f);
	return f;
}

size_t masks_apply(const struct masks *m, uint8_t *data, size_t size, bool ended)
{
	struct found f;
	size_t i = 0;

	while (i < size) {
		if (!m->first[data[i]]) {
			i++;
			continue;
		}
		f = find(m, data + i, size - i);
		if (f.partial && !ended)
			break;
		memset(data + i, '*', f.size);
		i += f.size > 0 ? f.size : 1;
	}
	return i;
}
