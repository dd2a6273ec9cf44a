/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What no spool of a sandbox must hold of the secrets lent there: which bytes the keeper covers. */

#include <stddef.h>

#include "params.h"

/* Makes the memfd for KEEPER_SPOOL_OPEN of N values (borrowed). Each line of a value is covered,
 * for a terminal ends lines its own way, and each long word that may be a token in it; what is
 * shorter than KEEPER_MASK_MIN bytes is not. *RET is -1 when there is nothing to cover. Returns 0
 * or negative errno. */
int spool_mask_new(const struct bytes *values, size_t n, int *ret);
