/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Writing that neither signals nor short counts cut off. libc only: keeper and init link it. */

#include <stddef.h>

/* Writes all of DATA to a blocking descriptor. Returns 0 or negative errno; then some of it may be
 * written. */
int io_write_all(int fd, const void *data, size_t size);
