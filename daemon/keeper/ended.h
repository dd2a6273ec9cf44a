/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How sandboxes ended whose init ended by itself, for a daemon that was not there, or died before
 * it had written down what it heard. */

#include <stdbool.h>
#include <stddef.h>

#include "bounds.h"
#include "keeper-wire.h"

#define ENDED_MAX 4096 /* the oldest are forgotten */

struct ended {
	struct ended *next;
	int exit_code; /* as in struct keeper_ended */
	int signal;
	struct keeper_counters counters;
	char id[NAME_LENGTH_MAX + 1];
};

/* Zeroed, it is empty. */
struct ended_list {
	struct ended *first; /* the newest */
	size_t count;
};

/* Notes it; without memory it is not noted. */
void ended_note(struct ended_list *l, const char *id, const struct keeper_ended *how);
/* Takes what is known of ID out of the list: true, and *RET, or false. */
bool ended_take(struct ended_list *l, const char *id, struct ended *ret);
void ended_deinit(struct ended_list *l);
