/* SPDX-License-Identifier: Apache-2.0 */
/* Strict on purpose: strtoll would take " 12", "+12" and "0x1f", and a duration without a unit is a
 * guess. */

#include "util/quantity.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "macro.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* longest first where one begins with another */
static const struct unit size_units[] = {
	{ "KiB", 1LL << 10 }, { "K", 1LL << 10 }, { "MiB", 1LL << 20 }, { "M", 1LL << 20 },
	{ "GiB", 1LL << 30 }, { "G", 1LL << 30 }, { "TiB", 1LL << 40 }, { "T", 1LL << 40 },
};
static const struct unit duration_units[] = {
	{ "ms", 1 },   { "min", 60000 },     { "m", 60000 },
	{ "s", 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
};

/* Digits at *TEXT, which is moved behind them. */
static int take_digits(const char **text, int64_t *ret)
{
	int64_t value = 0;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; (*text)++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, **text - '0', &value))
			return -ERANGE;
	*ret = value;
	return 0;
}

static const struct unit *take_unit(const char **text, const struct unit *units, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(*text, units[i].name, n) != 0)
			continue;
		*text += n;
		return &units[i];
	}
	return NULL;
}

int quantity_count(const char *text, int64_t *ret)
{
	int64_t value;
	int r = take_digits(&text, &value);

	if (r < 0)
		return r;
	if (*text != '\0')
		return -EINVAL;
	*ret = value;
	return 0;
}

int quantity_size(const char *text, int64_t *ret_bytes)
{
	const struct unit *unit;
	int64_t value;
	int r = take_digits(&text, &value);

	if (r < 0)
		return r;
	if (*text != '\0') {
		unit = take_unit(&text, size_units, ARRAY_SIZE(size_units));
		if (!unit || *text != '\0')
			return -EINVAL;
		if (__builtin_mul_overflow(value, unit->factor, &value))
			return -ERANGE;
	}
	*ret_bytes = value;
	return 0;
}

int quantity_duration(const char *text, int64_t *ret_ms)
{
	int64_t sum = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	do {
		const struct unit *unit;
		int64_t value;
		int r = take_digits(&text, &value);

		if (r < 0)
			return r;
		unit = take_unit(&text, duration_units, ARRAY_SIZE(duration_units));
		if (!unit)
			return -EINVAL;
		if (__builtin_mul_overflow(value, unit->factor, &value) ||
		    __builtin_add_overflow(sum, value, &sum))
			return -ERANGE;
	} while (*text != '\0');
	*ret_ms = sum;
	return 0;
}

void quantity_duration_text(int64_t ms, char text[static QUANTITY_TEXT_SIZE])
{
	static const struct unit units[] = {
		{ "h", 3600 * 1000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 }
	};
	size_t length = 0;

	(void)snprintf(text, QUANTITY_TEXT_SIZE, "0s");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (ms < units[i].factor)
			continue;
		length += (size_t)snprintf(text + length, QUANTITY_TEXT_SIZE - length, "%lld%s",
					   (long long)(ms / units[i].factor), units[i].name);
		ms %= units[i].factor;
	}
}

void quantity_size_text(int64_t bytes, char text[static QUANTITY_TEXT_SIZE])
{
	static const char units[][2] = { "", "K", "M", "G", "T" };
	size_t unit = 0;

	while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(text, QUANTITY_TEXT_SIZE, "%lld%s", (long long)bytes, units[unit]);
}

int quantity_cpus(const char *text, int64_t *ret_milli)
{
	int64_t fraction = 0;
	int64_t value;
	int64_t place = 100;
	int r = take_digits(&text, &value);

	if (r < 0)
		return r;
	if (*text == '.') {
		text++;
		if (*text == '\0')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9' && place > 0; text++, place /= 10)
			fraction += (*text - '0') * place;
	}
	if (*text != '\0')
		return -EINVAL;
	if (__builtin_mul_overflow(value, 1000, &value) ||
	    __builtin_add_overflow(value, fraction, &value))
		return -ERANGE;
	*ret_milli = value;
	return 0;
}
