/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* util/time.h with a clock that a test moves on. */

#include <stdint.h>

extern int64_t clock_set_ms;   /* by somebody's hand: the time of day alone */
extern int64_t clock_slept_ms; /* by a sleep of the machine: the time since its start, too */
