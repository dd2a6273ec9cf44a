/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Another configuration for a daemon that runs. */

#include <stdbool.h>
#include <stddef.h>

struct config;
struct manager;

/* Why M cannot use CONFIG, although nothing in it is wrong: a runtime that a sandbox was made with
 * is gone, or of another type. Returns true with a sentence in TEXT. */
bool reload_conflicts(struct manager *m, const struct config *config, char *text, size_t size);

/* What is different between the configurations and counts only from the next start on: the names of
 * its keys, separated by commas, into TEXT; empty: nothing. */
void reload_list_fixed(const struct config *old, const struct config *new, char *text, size_t size);

/* M uses CONFIG from now on: for what is made next, for pools, for the limit of stored output.
 * Sandboxes, loops and execs keep what they were made with. M only borrows it: the caller keeps a
 * reference as long, and drops that of the old one afterwards. */
void reload_apply(struct manager *m, const struct config *config);
