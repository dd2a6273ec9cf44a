/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Repositories that an agent made inside a workspace are put out of the reach of the host's git. */

#include <stdbool.h>
#include <time.h>

#define QUARANTINE_SUFFIX ".quarantined"

/* Looks below DIR, which is PATH for the owner, for entries named `.git`; at DIR's own only with
 * OWN, when there was none before. One that was made since SINCE (CLOCK_REALTIME), or whose
 * steering files, or those of what it names, were changed since then, is renamed to
 * `.git.quarantined`, `.git.quarantined.1`, … beside itself. Blocks for as long as the tree is
 * large: for a worker. Returns how many were renamed, or negative errno; then the rest of the tree
 * was still looked at. */
int quarantine_nested_git(int dir, const char *path, bool own, const struct timespec *since);
