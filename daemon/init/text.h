/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Builds short texts without stdio, which would double init's size. */

#include <stddef.h>
#include <stdint.h>

/* A buffer that is always terminated; what does not fit is cut off. LENGTH starts as 0. */
struct text {
	char *buffer;
	size_t size;
	size_t length;
};

void text_add(struct text *t, const char *more);
void text_add_number(struct text *t, uint64_t number);

/* The number that TEXT begins with, 0 when none; *RET_END (may be NULL) is behind it. Caps. */
uint64_t text_number(const char *text, const char **ret_end);
