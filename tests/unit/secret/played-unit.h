/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A service manager that executes at once what it is asked for, and says so when it is told to. */

/* What it says of the last one: 0, or negative errno; to nobody when that was forgotten. */
void played_unit_says(int error);
