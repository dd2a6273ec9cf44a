/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A secret's value in memory: locked (where RLIMIT_MEMLOCK allows), left out of core files, zeroed
 * before it is given back. Shared by counting, so that it is in memory once. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bounds.h" /* SECRET_NAME_MAX, SECRET_VALUE_MAX */
#include "macro.h"

struct secret_value;

/* Whether NAME can be a secret's: [A-Za-z0-9_.-], no leading dot, SECRET_NAME_MAX at most. */
bool secret_name_is_good(const char *name);

/* SIZE bytes (at most SECRET_VALUE_MAX), zeroed, for the caller to fill by *RET_DATA; a NUL follows
 * them. Returns 0 or -ENOMEM. */
int secret_value_new(size_t size, struct secret_value **ret, uint8_t **ret_data);
struct secret_value *secret_value_ref(struct secret_value *v);
struct secret_value *secret_value_unref(struct secret_value *v); /* NULL is fine; returns NULL */
const uint8_t *secret_value_data(const struct secret_value *v);
size_t secret_value_size(const struct secret_value *v);
DEFINE_CLEANUP(struct secret_value *, secret_value_unref);
