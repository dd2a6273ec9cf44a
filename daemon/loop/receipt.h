/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What became of a loop: counted while it is destroyed, kept for a while (docs/rpc.md, Receipt). */

#include <stdint.h>

#include "params.h"
#include "util/strings.h"

enum receipt_outcome {
	RECEIPT_COMPLETED,
	RECEIPT_FAILED,
	RECEIPT_CANCELLED, /* swept some time after loop.cancel */
	RECEIPT_EXPIRED,   /* by its ttlMs */
	RECEIPT_OUTCOME_MAX,
};
const char *receipt_outcome_to_string(enum receipt_outcome o);

enum receipt_lock { RECEIPT_LOCK_NONE, RECEIPT_LOCK_GONE, RECEIPT_LOCK_STAYS };

struct receipt {
	enum receipt_outcome outcome;
	int64_t at_ms; /* CLOCK_REALTIME; 0: not destroyed */
	struct string_list sandboxes;
	uint64_t execs;
	uint64_t processes_killed;
	uint64_t output_bytes;
	uint64_t cpu_ms;
	enum receipt_lock lock; /* of the worktree */
};

void receipt_deinit(struct receipt *r);

/* As a database blob, freed by the caller, and back. Numbers first, then the sandboxes. Return 0
 * or negative errno; -EBADMSG: not a receipt of ours. */
int receipt_pack(const struct receipt *r, char **ret, size_t *ret_size);
int receipt_unpack(struct bytes block, struct receipt *ret);
