/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Owned copies of struct pairs (an environment, labels), and their way into a database blob. */

#include <stdbool.h>
#include <stddef.h>

#include "params.h"

/* *TO is half made after -ENOMEM: pairs_deinit() it. */
int pairs_copy(struct pairs *to, const struct pairs *from);
/* Only for what pairs_copy() or pairs_unpack() made. */
void pairs_deinit(struct pairs *p);
/* Order does not matter. */
bool pairs_equal(const struct pairs *a, const struct pairs *b);
/* Whether P has every pair of WANTED. */
bool pairs_include(const struct pairs *p, const struct pairs *wanted);

/* Key and value in turns, each with its NUL, in one block that the caller frees; and back. Return
 * 0 or negative errno. */
int pairs_pack(const struct pairs *p, char **ret, size_t *ret_size);
int pairs_unpack(struct bytes block, struct pairs *ret);
