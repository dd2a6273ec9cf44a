/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What agent-secrets says and is told: lines of JSON-RPC 2.0. Every member of an answer is checked
 * before it is believed. */

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "secret/provider.h"

#define AGENT_SECRETS_CLIENT "sandboxd" /* who we are in its list of leases */

/* Lines with their newline, freed by the caller; NULL: no memory. */
char *agent_secrets_lease_line(const char *remote_name, int64_t ttl_ms);
char *agent_secrets_revoke_line(const char *lease_id);
char *agent_secrets_health_line(void);

/* Each reads the answer to one of these: LINE without its newline. Returns 0, or -1 with *RETERR,
 * which holds nothing of the answer but an error's number. NAME is the secret's, for the error. */

/* The value is blotted out in LINE, so that nobody copies it. NOW_MS is CLOCK_REALTIME. */
int agent_secrets_read_lease(char *line, size_t size, const char *name, int64_t now_ms,
			     struct provider_grant *ret, struct error *reterr);
int agent_secrets_read_revoke(char *line, size_t size, const char *name, struct error *reterr);

struct agent_secrets_health {
	int64_t secrets;
	int64_t leases;
};
int agent_secrets_read_health(char *line, size_t size, struct agent_secrets_health *ret,
			      struct error *reterr);
