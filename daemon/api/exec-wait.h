/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A call that runs a command in a sandbox which is just being taken over. */

#include <stdbool.h>

#include "sandbox/sandbox.h"

struct request;

/* True: R, about which nothing was done yet, waits until S is taken over. Then AGAIN is called with
 * R, or R was failed because its client does not want it any more. False (S may be NULL): there is
 * nothing to wait for. */
bool exec_wait_for_sandbox(struct request *r, struct sandbox *s, sandbox_done *again);
/* AGAIN begins with this: R is its own. */
void exec_wait_ended(struct request *r);
