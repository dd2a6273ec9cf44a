/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a provider sends, read into a secret's memory piece by piece. */

#include <stddef.h>
#include <stdint.h>

#include "secret/value.h"

struct gather { /* zeroed = empty */
	struct secret_value *value;
	uint8_t *data; /* in VALUE; a NUL follows what is used */
	size_t used;
	size_t room;
};

/* Reads what FD (which does not block) has. Returns 1 at its end, 0 when nothing more is there now,
 * -EFBIG beyond SECRET_VALUE_MAX bytes in all, or another negative errno. */
int gather_read(struct gather *g, int fd);
/* The first SIZE bytes as a value of their own. Returns 0 or -ENOMEM. */
int gather_take(const struct gather *g, size_t size, struct secret_value **ret);
/* Zeroes and frees it; it is empty then. */
void gather_clear(struct gather *g);
