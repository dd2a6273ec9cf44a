/* SPDX-License-Identifier: Apache-2.0 */
/* libsodium's guarded memory holds the bytes: locked, left out of core files, between pages that
 * cannot be touched, zeroed when it is freed. A child that goes on without exec
 * (child_fork(), dispose.c) does not inherit them. */

#include "secret/value.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_SIZE 4000 /* one page of them, with what libsodium puts there */
#define SPARES_MAX 4

struct secret_value {
	unsigned refs;
	size_t size;
	size_t room;
	uint8_t *data;
	struct secret_value *next; /* spare */
};

/* To lock and guard memory costs ten times as much as what is done with it: that of small values,
 * zeroed, is used again. */
static struct secret_value *spares;
static unsigned n_spares;

bool secret_name_is_good(const char *name)
{
	static const char allowed[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.-";
	size_t length = strlen(name);

	return length > 0 && length <= SECRET_NAME_MAX && name[0] != '.' &&
	       strspn(name, allowed) == length;
}

/* Advice that a kernel may not take. */
static void keep_from_children(uint8_t *data, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)data & ~(page - 1);
	uintptr_t end = ((uintptr_t)data + size + page - 1) & ~(page - 1);

	(void)madvise((void *)start, end - start, MADV_DONTFORK);
}

static struct secret_value *value_new(size_t room)
{
	struct secret_value *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->data = sodium_malloc(room);
	if (!v->data) {
		free(v);
		return NULL;
	}
	memset(v->data, 0, room);
	keep_from_children(v->data, room);
	v->room = room;
	return v;
}

int secret_value_new(size_t size, struct secret_value **ret, uint8_t **ret_data)
{
	struct secret_value *v = spares;

	if (size > SECRET_VALUE_MAX || sodium_init() < 0)
		return -ENOMEM;
	if (size < SMALL_SIZE && v) {
		spares = v->next;
		n_spares--;
	} else {
		v = value_new(size < SMALL_SIZE ? SMALL_SIZE : size + 1);
		if (!v)
			return -ENOMEM;
	}
	v->refs = 1;
	v->size = size;
	*ret = v;
	*ret_data = v->data;
	return 0;
}

struct secret_value *secret_value_ref(struct secret_value *v)
{
	v->refs++;
	return v;
}

struct secret_value *secret_value_unref(struct secret_value *v)
{
	if (!v || --v->refs > 0)
		return NULL;
	if (v->room == SMALL_SIZE && n_spares < SPARES_MAX) {
		sodium_memzero(v->data, v->size + 1);
		v->next = spares;
		spares = v;
		n_spares++;
	} else {
		sodium_free(v->data);
		free(v);
	}
	return NULL;
}

const uint8_t *secret_value_data(const struct secret_value *v)
{
	return v->data;
}

size_t secret_value_size(const struct secret_value *v)
{
	return v->size;
}
