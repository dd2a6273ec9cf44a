/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an exec leaves behind when its leader ends: counting it, and ending it for sure. */

#include "init/jobs.h"
#include "init/tree.h"

/* The kills under way. They share one walk over /proc, done a slice at a time. */
struct killer {
	bool active;
	bool walking;       /* a sweep was interrupted and goes on */
	bool frozen;        /* everybody in the sandbox is stopped, by us */
	bool held;          /* or by another, who will let them go on */
	bool progress;      /* the sweep found something new */
	int idle;           /* sweeps without progress, since one with */
	int64_t since_ms;   /* of the kill, or of the last thaw */
	uint8_t seen[4096]; /* by process number, modulo: so that nobody is counted twice */
};

/* How many processes of JOB, whose leader has been reaped, live. In the usual case, when all
 * children of init are leaders, this is one read. Exact when 0; else at least so many (counting
 * ends after a while). */
uint32_t leftovers_alive(struct tree *t, struct jobs *j, const struct job *job);

/* Sends SIGNAL to all processes of JOB that one walk over /proc finds. */
void leftovers_signal(struct tree *t, const struct job *job, int signal);

/* Begins to kill all of JOB. */
void leftovers_kill(struct killer *k, struct job *job);

/* Someone else is about to stop everybody, or (HELD false) lets them go on: meanwhile a kill stops
 * and continues nobody. */
void leftovers_hold(struct killer *k, bool held);

/* Goes on with it: looks at no more than BUDGET processes. Marks jobs as gone. Returns after how
 * many milliseconds to call again, -1 when nothing is left to do. */
int leftovers_step(struct killer *k, struct tree *t, struct jobs *j, unsigned budget);
