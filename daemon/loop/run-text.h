/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Texts of a LoopRunResult: what a person reads, and what the next stage's prompt is made of. */

#include <stddef.h>
#include <stdint.h>

struct exec_result;

/* The last CHARACTERS characters of DATA as UTF-8 without NUL, freed by the caller: what is no
 * UTF-8 (the rest of a character that was cut off in front of DATA, too) becomes U+FFFD each. NULL:
 * no memory. */
char *run_text_tail(const void *data, size_t size, uint64_t characters);

/* "timed out after 1200 s", "exited with status 3": what follows a name. Freed by the caller.
 * TIMEOUT_MS is what it had. NULL: no memory. */
char *run_text_ending(const struct exec_result *r, int64_t timeout_ms);
