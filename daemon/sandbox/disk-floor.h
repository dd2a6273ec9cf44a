/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [limits] min_free: below it nothing new is made; what runs goes on. */

#include "error.h"

struct manager;

/* Whether the state directory's file system has room for something new. Returns 0, or -1 with
 * *RETERR (limit_reached), which may be NULL. Cheap enough to be asked each time. */
int disk_floor_check(const struct manager *m, struct error *reterr);
