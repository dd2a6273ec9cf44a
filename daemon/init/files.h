/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Writes the files[] of an exec below its working directory, as whoever calls. */

#include "init/payload.h"

/* Each file is replaced as a whole or not at all; missing parents are made 0755; a symbolic link on
 * the way is refused. Returns 0 or negative errno; the ones before the failing one stay. Runs in
 * the vforked child: allocates nothing. */
int files_write(const struct payload *p);
