/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whether agent-secrets answers. */

#include "error.h"
#include "secret/agent-secrets-answer.h"

/* Asks the one at PATH and waits, at most PROVIDER_TIMEOUT_MS: not for the daemon's own process.
 * Returns 0, or -1 with *RETERR. */
int agent_secrets_ask_health(const char *path, struct agent_secrets_health *ret,
			     struct error *reterr);
