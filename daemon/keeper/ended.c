/* SPDX-License-Identifier: Apache-2.0 */
#include "ended.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void drop_oldest(struct ended_list *l)
{
	struct ended **at = &l->first;

	while ((*at)->next)
		at = &(*at)->next;
	free(*at);
	*at = NULL;
	l->count--;
}

void ended_note(struct ended_list *l, const char *id, const struct keeper_ended *how)
{
	struct ended *e = calloc(1, sizeof(*e));

	if (!e)
		return;
	if (l->count == ENDED_MAX)
		drop_oldest(l);
	e->exit_code = how->exit_code;
	e->signal = how->signal;
	e->counters = how->counters;
	(void)snprintf(e->id, sizeof(e->id), "%s", id);
	e->next = l->first;
	l->first = e;
	l->count++;
}

bool ended_take(struct ended_list *l, const char *id, struct ended *ret)
{
	struct ended **at = &l->first, *e;

	for (; *at && strcmp((*at)->id, id) != 0; at = &(*at)->next)
		;
	e = *at;
	if (!e)
		return false;
	*at = e->next;
	l->count--;
	*ret = *e;
	ret->next = NULL;
	free(e);
	return true;
}

void ended_deinit(struct ended_list *l)
{
	while (l->first)
		drop_oldest(l);
}
