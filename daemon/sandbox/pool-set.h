/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a client asks of a pool, and what is asked of it at the daemon's start. */

#include <sys/types.h>

#include "sandbox/pool.h"

/* pool.set: checks, stores, and lets the pool (made if there is none) adapt. Returns 0 with *RET,
 * or -1 with *RETERR. */
int pool_set(struct manager *m, uid_t peer, const struct pool_set_params *p, struct pool_facts *ret,
	     struct error *reterr);
/* Who does not get a spare of any pool, although there are some: a sentence, or NULL. */
const char *pool_note(const struct manager *m);
/* OWNER's template of this name is gone: so is what was set for it. */
void pool_template_gone(struct manager *m, uid_t owner, const char *template_name);
/* When all tables are there: makes the pools that were set, and those that are configured for the
 * daemon's own user. */
void pool_start(struct manager *m);
