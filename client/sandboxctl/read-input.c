/* SPDX-License-Identifier: Apache-2.0 */
#include "read-input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "message.h"

#define CHUNK 65536

int read_input(char **ret, size_t *ret_size, const char *what)
{
	CLEANUP_STR char *text = NULL;
	size_t size = 0;
	ssize_t n;

	do {
		char *longer = realloc(text, size + CHUNK);

		if (!longer) {
			message_error(NULL, "out of memory");
			return -1;
		}
		text = longer;
		n = read(STDIN_FILENO, text + size, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			message_error(NULL, "reading %s: %s", what, strerror(errno));
			return -1;
		}
		size += (size_t)n;
		if (size > RPC_LINE_MAX) {
			message_error("put it into a file of the workspace", "%s is too big", what);
			return -1;
		}
	} while (n != 0);
	*ret = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}
