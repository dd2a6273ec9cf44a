/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/receipt.h"

#include <stdio.h>
#include <string.h>

#define NUMBERS 7
#define NUMBER_SIZE 24

const char *receipt_outcome_to_string(enum receipt_outcome o)
{
	static const char *const names[RECEIPT_OUTCOME_MAX] = {
		[RECEIPT_COMPLETED] = "completed",
		[RECEIPT_FAILED] = "failed",
		[RECEIPT_CANCELLED] = "cancelled",
		[RECEIPT_EXPIRED] = "expired",
	};

	return names[o];
}

void receipt_deinit(struct receipt *r)
{
	string_list_deinit(&r->sandboxes);
	*r = (struct receipt){ 0 };
}

int receipt_pack(const struct receipt *r, char **ret, size_t *ret_size)
{
	const uint64_t numbers[NUMBERS] = { r->outcome,      (uint64_t)r->at_ms,
					    r->execs,        r->processes_killed,
					    r->output_bytes, r->cpu_ms,
					    r->lock };
	CLEANUP_STRINGS struct string_list l = { 0 };
	char text[NUMBER_SIZE];
	size_t i;
	int e = 0;

	for (i = 0; e == 0 && i < NUMBERS; i++) {
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)numbers[i]);
		e = string_list_add(&l, text);
	}
	for (i = 0; e == 0 && i < r->sandboxes.count; i++)
		e = string_list_add(&l, r->sandboxes.items[i]);
	return e < 0 ? e : strings_pack((const char *const *)l.items, l.count, ret, ret_size);
}

int receipt_unpack(struct bytes block, struct receipt *ret)
{
	CLEANUP_STRINGS struct string_list l = { 0 };
	uint64_t n[NUMBERS];
	char *end;
	size_t i;
	int e = strings_unpack(block.data, block.size, &l);

	if (e < 0)
		return e;
	if (l.count < NUMBERS)
		return -EBADMSG;
	for (i = 0; i < NUMBERS; i++) {
		n[i] = strtoull(l.items[i], &end, 10);
		if (end == l.items[i] || *end != '\0')
			return -EBADMSG;
	}
	if (n[0] >= RECEIPT_OUTCOME_MAX || n[6] > RECEIPT_LOCK_STAYS)
		return -EBADMSG;
	*ret = (struct receipt){ .outcome = (enum receipt_outcome)n[0],
				 .at_ms = (int64_t)n[1],
				 .execs = n[2],
				 .processes_killed = n[3],
				 .output_bytes = n[4],
				 .cpu_ms = n[5],
				 .lock = (enum receipt_lock)n[6] };
	for (; e == 0 && i < l.count; i++)
		e = string_list_add(&ret->sandboxes, l.items[i]);
	if (e < 0)
		receipt_deinit(ret);
	return e;
}
