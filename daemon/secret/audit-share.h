/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How much each user may have written into the audit log, of which only so much is kept: what
 * others did is not to go because one does the same thing again and again. */

#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct audit_share {
	uid_t uid;
	int64_t left;  /* entries; below 0 for what had to be written all the same */
	int64_t at_ms; /* CLOCK_BOOTTIME, when that was right */
	LIST_ENTRY(audit_share) in_all;
};

/* Zeroed is empty. */
struct audit_shares {
	LIST_HEAD(, audit_share) all;
};

/* UID's, as it is NOW_MS; made if there is none. NULL: no memory. The shares' own. */
struct audit_share *audit_share_get(struct audit_shares *s, uid_t uid, int64_t now_ms);
void audit_shares_deinit(struct audit_shares *s);
