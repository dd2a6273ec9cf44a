/* SPDX-License-Identifier: Apache-2.0 */
/* How many sandboxes everybody has, for the quota: counted as they come and go, since a create may
 * not look at all of them. There are few who have any. */

#include <assert.h>
#include <stdlib.h>

#include "sandbox/sandbox-internal.h"

static struct sandbox_peer *find(const struct sandbox_table *t, uid_t uid)
{
	struct sandbox_peer *p;

	for (p = t->peers; p && p->uid != uid; p = p->next)
		;
	return p;
}

int sandbox_count(struct sandbox *s)
{
	struct sandbox_table *t = s->manager->sandboxes;
	struct sandbox_peer *p;

	if (s->counted || s->hidden)
		return 0;
	p = find(t, s->facts.peer);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->uid = s->facts.peer;
		p->next = t->peers;
		t->peers = p;
	}
	p->count++;
	s->counted = p;
	return 0;
}

void sandbox_uncount(struct sandbox *s)
{
	struct sandbox_peer *p = s->counted, **at;

	s->counted = NULL;
	if (!p || --p->count > 0)
		return;
	for (at = &s->manager->sandboxes->peers; *at != p; at = &(*at)->next)
		assert(*at);
	*at = p->next;
	free(p);
}

size_t sandbox_count_of(const struct manager *m, uid_t peer)
{
	const struct sandbox_peer *p = find(m->sandboxes, peer);

	return p ? p->count : 0;
}
