/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The provider agent-secrets: what it needs besides provider.h. */

struct manager;

/* Forgets every revocation that has no answer yet; they were told. */
void provider_agent_secrets_stop(struct manager *m);
