/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Our own terminal. */

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
	struct termios saved;
	bool raw; /* to be restored */
};

/* Puts stdin into raw mode if it is a terminal, so that every key goes to the command. */
void terminal_make_raw(struct terminal *t);
/* Puts it back; harmless if it was never made raw. */
void terminal_restore(struct terminal *t);

/* Of stdout, else stdin, else 24 x 80. */
void terminal_size(uint16_t *ret_rows, uint16_t *ret_cols);
