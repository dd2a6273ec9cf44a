/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A database blob while its row is written. */

#include <stddef.h>
#include <stdlib.h>

#include "macro.h"
#include "params.h"

/* DATA is owned; NULL when empty. */
struct blob {
	char *data;
	size_t size;
};

static inline void blob_deinit(struct blob *b)
{
	free(b->data);
}
#define CLEANUP_BLOB CLEANUP(blob_deinit)

/* Borrowed from B. */
static inline struct bytes blob_bytes(const struct blob *b)
{
	return (struct bytes){ b->data, b->size };
}
