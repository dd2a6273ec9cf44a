/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers and concatenation, nothing else. */

#include "init/text.h"

#include <string.h>

void text_add(struct text *t, const char *more)
{
	size_t room = t->size - t->length - 1;
	size_t length = strlen(more);

	if (length > room)
		length = room;
	memcpy(t->buffer + t->length, more, length);
	t->length += length;
	t->buffer[t->length] = '\0';
}

void text_add_number(struct text *t, uint64_t number)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	text_add(t, digits + at);
}

uint64_t text_number(const char *text, const char **ret_end)
{
	uint64_t number = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		if (number <= UINT64_MAX / 10 - 1)
			number = number * 10 + (uint64_t)(*text - '0');
	if (ret_end)
		*ret_end = text;
	return number;
}
