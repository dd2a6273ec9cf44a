/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A call whose secrets are still being leased. */

#include "error.h"

struct exec_secrets;
struct journal_call;
struct manager;
struct request;

/* Goes on with R, which has its secrets now (taken). Returns 0 when R was or will be answered, or
 * -1 with *RETERR. CALL: its key; NULL: it has none. */
typedef int exec_lease_go(struct request *r, struct manager *m, const struct journal_call *call,
			  struct exec_secrets *secrets, struct error *reterr);

/* Returns 1 when SECRETS (NULL: none) are all there, and nothing was taken; 0: they and R are
 * taken, and GO is called when they are, or R is failed; -1 with *RETERR: SECRETS are freed. */
int exec_lease_wait(struct request *r, struct manager *m, const struct journal_call *call,
		    struct exec_secrets *secrets, exec_lease_go *go, struct error *reterr);
