/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Clocks in milliseconds. */

#include <stddef.h>
#include <stdint.h>

int64_t time_realtime_ms(void);
int64_t time_monotonic_ms(void);
int64_t time_boottime_ms(void); /* as monotonic, but goes on while the machine sleeps */

/* RFC 3339 UTC with milliseconds, "2026-11-23T14:05:09.123Z". */
#define TIME_TEXT_SIZE 32
void time_format(int64_t realtime_ms, char text[static TIME_TEXT_SIZE]);
