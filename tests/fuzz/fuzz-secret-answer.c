/* SPDX-License-Identifier: Apache-2.0 */
/* Any line from agent-secrets: a lease has all that it needs, or there is an error and no value. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "secret/agent-secrets-answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The readers write into the line; exactly as big, so that a sanitizer sees one byte more. */
static char *copy_of(const uint8_t *data, size_t size)
{
	char *line = malloc(size > 0 ? size : 1);

	if (!line)
		abort();
	memcpy(line, data, size);
	return line;
}

static void check(int r, const struct error *e)
{
	if (r != 0 && r != -1)
		abort();
	if ((r < 0) != (e->kind != ERROR_NONE) || (r < 0 && !e->message))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_STR char *lease = copy_of(data, size);
	CLEANUP_STR char *revoke = copy_of(data, size), *health = copy_of(data, size);
	CLEANUP_ERROR struct error e = { 0 }, e2 = { 0 }, e3 = { 0 };
	struct agent_secrets_health counts;
	struct provider_grant g = { 0 };
	int r = agent_secrets_read_lease(lease, size, "name", 0, &g, &e);

	check(r, &e);
	if (r == 0 && (!g.value || secret_value_size(g.value) == 0 || !g.remote_id[0] ||
		       g.expires_at_ms <= 0))
		abort();
	if (r < 0 && g.value)
		abort();
	secret_value_unref(g.value);
	check(agent_secrets_read_revoke(revoke, size, "name", &e2), &e2);
	check(agent_secrets_read_health(health, size, &counts, &e3), &e3);
	return 0;
}
