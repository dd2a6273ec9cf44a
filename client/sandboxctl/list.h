/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whole lists: the daemon answers in pages. */

#include "ctl.h"

/* What to ask: METHOD with PARAM (may be NULL) = VALUE, where the items are under KEY. */
struct list_query {
	const char *method;
	const char *key;
	const char *param;
	const char *value;
	const struct options *options; /* and these; NULL: none */
};

/* The params of one page, behind AFTER (NULL: the first). A new reference. */
struct json_object *list_params(const struct list_query *q, const char *after);

/* All items: a new reference, or NULL after telling why not. */
struct json_object *list_fetch(struct ctl *ctl, const struct list_query *q);
