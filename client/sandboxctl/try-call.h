/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A call to a daemon that may not be there, or hang: none is started for it, and it ends in time.
 */

#include <stddef.h>

struct ctl;
struct json_object;

/* PARAMS is JSON text. The result, a new reference; or NULL with WHY as part of a sentence (NULL:
 * nobody asks). */
struct json_object *try_call(struct ctl *ctl, const char *method, const char *params,
			     int patience_ms, char *why, size_t why_size);
