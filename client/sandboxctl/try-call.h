/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A call to a daemon that may hang: it ends in time. */

#include <stddef.h>

struct ctl;
struct json_object;

/* On CTL's connection, which is closed when there is no answer. PARAMS is JSON text or NULL. The
 * result, a new reference; or NULL with WHY as part of a sentence (NULL: nobody asks). */
struct json_object *try_call(struct ctl *ctl, const char *method, const char *params,
			     int patience_ms, char *why, size_t why_size);
