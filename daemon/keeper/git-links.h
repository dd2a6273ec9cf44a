/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Symbolic links that an agent made where the host's git writes. */

#include <time.h>

/* Removes every symbolic link below DIR (borrowed), a part of a repository, that was made or moved
 * there since SINCE (CLOCK_REALTIME). Blocks for as long as the tree is large: for a worker.
 * Returns how many, or negative errno; then the rest of the tree was still looked at. */
int git_links_remove(int dir, const struct timespec *since);
