/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A child for a provider. What it writes to standard output is gathered as a secret; standard error
 * is thrown away, for nobody knows what is in it. It is over when it has ended, not when its output
 * has: whoever it leaves behind does not keep us waiting. After PROVIDER_TIMEOUT_MS it is killed.
 */

#include <stdbool.h>

#include "secret/gather.h"
#include "util/child.h"

struct manager;
struct run;

struct run_end {
	struct gather *gather; /* what it wrote */
	bool late;             /* it was killed; the rest does not count */
	int trouble;           /* of reading: negative errno */
	bool exited;           /* STATUS is its exit status, else a signal */
	int status;
};

/* The run is gone when this returns. Never called from inside run_start(). */
typedef void run_ended(const struct run_end *end, void *userdata);

struct run_config {
	struct manager *m;
	const char *const *argv; /* a program, argv[0] is its path; or, with NULL, */
	child_main *copy;        /* what a copy of this process does */
	void *argument;          /* of that */
	int input;               /* its standard input, borrowed; -1: /dev/null */
	run_ended *ended;
	void *userdata;
};

/* Returns 0 or negative errno; -ENOBUFS: PROVIDER_COMMANDS_MAX run already. */
int run_start(const struct run_config *config, struct run **ret);
/* Kills it, and nothing is called. NULL is fine. */
void run_cancel(struct run *r);
