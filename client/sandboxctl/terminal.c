/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

void terminal_make_raw(struct terminal *t)
{
	struct termios raw;

	t->raw = false;
	if (tcgetattr(STDIN_FILENO, &t->saved) < 0)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	t->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void terminal_restore(struct terminal *t)
{
	if (t->raw)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved); /* it may be gone by now */
	t->raw = false;
}

void terminal_size(uint16_t *ret_rows, uint16_t *ret_cols)
{
	struct winsize size;

	if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 &&
	     ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0) ||
	    size.ws_row == 0 || size.ws_col == 0) {
		*ret_rows = 24;
		*ret_cols = 80;
		return;
	}
	*ret_rows = size.ws_row;
	*ret_cols = size.ws_col;
}
