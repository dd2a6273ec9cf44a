/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A pty from the sandbox's own devpts, so that `tty` inside knows it. */

#include <stdint.h>

/* Opens a pair whose slave belongs to UID. Returns 0 or negative errno; both are the caller's. */
int terminal_open(uint32_t uid, uint16_t rows, uint16_t cols, int *ret_master, int *ret_slave);
