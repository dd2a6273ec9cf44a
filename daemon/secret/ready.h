/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which tools find their secrets now, and what gives those to the others. */

#include <stdbool.h>
#include <sys/types.h>

struct manager;

/* Strings live until the callback returns. */
struct tool_ready {
	const char *tool;
	bool ready;
	const char *secret; /* the first that there is; else the first that would do */
	const char *detail; /* one sentence's worth */
	const char *hint;   /* the commands that mend it; NULL: it is ready */
	bool is_stored;     /* `sandboxctl secret set SECRET` mends it, alone or at last */
};

/* Why PEER cannot lease NAME now, with what mends it; for the caller to free. NULL: he probably can
 * (or no memory). */
char *secret_problem(struct manager *m, uid_t peer, const char *name);

/* Calls FN for each tool whose section says a secret, as PEER would run it. A tool with several is
 * ready with one of them: they stand for accounts of which few have all. Nobody is asked. */
void tools_ready_each(struct manager *m, uid_t peer,
		      void (*fn)(const struct tool_ready *t, void *userdata), void *userdata);
