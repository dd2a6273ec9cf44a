/* SPDX-License-Identifier: Apache-2.0 */
/* Counted as it comes: each exec remembers how much of the sum is its own, so no file is looked at.
 * Bytes are those between a stream's start and end; a file system's own rounding is not seen. */

#include "sandbox/exec-budget.h"

#include "sandbox/exec-internal.h"

#define DEFAULT_MAX (4ull << 30)

uint64_t exec_budget_default(uint64_t total)
{
	return total / 10 < DEFAULT_MAX ? total / 10 : DEFAULT_MAX;
}

void exec_budget_init(struct exec_budget *b, uint64_t max_bytes)
{
	*b = (struct exec_budget){ .max_bytes = max_bytes };
	TAILQ_INIT(&b->ended);
}

static void set_bytes(struct exec_budget *b, struct exec *e, uint64_t bytes)
{
	b->bytes += bytes - e->spool_bytes; /* modulo 2^64: the sum is right */
	e->spool_bytes = bytes;
}

void exec_budget_count(struct exec_budget *b, struct exec *e)
{
	uint64_t bytes = 0;
	size_t i;

	if (!e->home || e->facts.spool_dropped)
		return;
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		bytes += e->facts.stream[i].end - e->facts.stream[i].start;
	set_bytes(b, e, bytes);
}

void exec_budget_ended(struct exec_budget *b, struct exec *e)
{
	struct exec *before = TAILQ_LAST(&b->ended, exec_budget_list);

	if (e->in_budget || e->spool_bytes == 0)
		return;
	/* rows are loaded in order of creation, which is nearly that of their ends */
	while (before && before->facts.result.completed_at_ms > e->facts.result.completed_at_ms)
		before = TAILQ_PREV(before, exec_budget_list, in_ended);
	if (before)
		TAILQ_INSERT_AFTER(&b->ended, before, e, in_ended);
	else
		TAILQ_INSERT_HEAD(&b->ended, e, in_ended);
	e->in_budget = true;
}

void exec_budget_forget(struct exec_budget *b, struct exec *e)
{
	set_bytes(b, e, 0);
	if (e->in_budget)
		TAILQ_REMOVE(&b->ended, e, in_ended);
	e->in_budget = false;
}

bool exec_budget_is_over(const struct exec_budget *b)
{
	return b->max_bytes > 0 && b->bytes > b->max_bytes;
}

struct exec *exec_budget_next(const struct exec_budget *b)
{
	struct exec *e;

	TAILQ_FOREACH (e, &b->ended, in_ended)
		if (LIST_EMPTY(&e->followers))
			return e;
	return NULL;
}
