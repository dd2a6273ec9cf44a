/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tests of an init that has its filter: each runs twice, with the binary that is shipped and with
 * the library. */

#include <check.h>

#include "harness.h"

extern struct harness h; /* of the test that runs */

struct harness_exec as_agent(const char *const *argv);
double seconds(void); /* of CLOCK_MONOTONIC */

/* ADD fills a case with the tests; ALONE (NULL: none) has those that start an init themselves.
 * Returns what main() is to return. */
int filtered_run(const char *suite, void (*add)(TCase *c), TCase *alone);
