/* SPDX-License-Identifier: Apache-2.0 */
/* The slave is opened through the master (TIOCGPTPEER): no path that the sandbox could have
 * replaced. Its group is what the mount says (tty); only the owner changes, as grantpt() does. */

#include "init/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "macro.h"

#ifndef TIOCGPTPEER /* musl has its own termios headers */
#define TIOCGPTPEER 0x5441
#endif

int terminal_open(uint32_t uid, uint16_t rows, uint16_t cols, int *ret_master, int *ret_slave)
{
	const struct winsize size = { .ws_row = rows, .ws_col = cols };
	CLEANUP_FD int master = -1;
	CLEANUP_FD int slave = -1;
	int unlock = 0;

	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 && errno == EACCES) /* a host's has mode 0: there this one is meant */
		master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || fchown(slave, uid, (gid_t)-1) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0)
		return -errno;
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}
