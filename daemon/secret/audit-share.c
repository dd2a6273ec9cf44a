/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/audit-share.h"

#include <stdlib.h>

#include "bounds.h"

#define REFILL_MS 1000 /* one entry more */

/* What is full is like new, and forgotten with the next that is made. */
static void drop_full(struct audit_shares *s, int64_t now_ms)
{
	struct audit_share *a, *next;

	for (a = LIST_FIRST(&s->all); a; a = next) {
		next = LIST_NEXT(a, in_all);
		if (a->left + (now_ms - a->at_ms) / REFILL_MS < AUDIT_ENTRIES_PER_UID_MAX)
			continue;
		LIST_REMOVE(a, in_all);
		free(a);
	}
}

static struct audit_share *share_new(struct audit_shares *s, uid_t uid, int64_t now_ms)
{
	struct audit_share *a = malloc(sizeof(*a));

	if (!a)
		return NULL;
	drop_full(s, now_ms);
	*a = (struct audit_share){ .uid = uid, .left = AUDIT_ENTRIES_PER_UID_MAX, .at_ms = now_ms };
	LIST_INSERT_HEAD(&s->all, a, in_all);
	return a;
}

struct audit_share *audit_share_get(struct audit_shares *s, uid_t uid, int64_t now_ms)
{
	struct audit_share *a;
	int64_t more;

	LIST_FOREACH (a, &s->all, in_all)
		if (a->uid == uid)
			break;
	if (!a)
		return share_new(s, uid, now_ms);
	more = (now_ms - a->at_ms) / REFILL_MS;
	a->at_ms += more * REFILL_MS;
	a->left += more;
	if (a->left > AUDIT_ENTRIES_PER_UID_MAX)
		a->left = AUDIT_ENTRIES_PER_UID_MAX;
	return a;
}

void audit_shares_deinit(struct audit_shares *s)
{
	struct audit_share *a;

	while ((a = LIST_FIRST(&s->all))) {
		LIST_REMOVE(a, in_all);
		free(a);
	}
}
