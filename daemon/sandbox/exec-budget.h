/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the spools of all execs take together, and whose goes when that is too much. For
 * exec-table.c. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct exec;

struct exec_budget {
	uint64_t max_bytes; /* 0: no limit */
	uint64_t bytes;     /* of all, running ones, too */
	TAILQ_HEAD(exec_budget_list, exec)
	ended; /* who has a spool, the one that ended first first
		*/
};

/* What is kept where nobody said: a tenth of a file system of TOTAL bytes, at most 4 GiB. */
uint64_t exec_budget_default(uint64_t total);

void exec_budget_init(struct exec_budget *b, uint64_t max_bytes);
/* What E wrote has changed. */
void exec_budget_count(struct exec_budget *b, struct exec *e);
/* E has ended, and its completed_at_ms is known: it can be chosen. */
void exec_budget_ended(struct exec_budget *b, struct exec *e);
/* E has no spool any more, or is itself no more. */
void exec_budget_forget(struct exec_budget *b, struct exec *e);
bool exec_budget_is_over(const struct exec_budget *b);
/* Whose spool is to go next: the first to end of those that nobody is reading; NULL: nobody's. */
struct exec *exec_budget_next(const struct exec_budget *b);
