/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The text of migrations/NNN.sql in order, made into a table by embed.py. */

#include <stddef.h>

/* [N] brings a database from version N to N + 1; NULL ends it. */
extern const char *const store_migrations[];
