/* SPDX-License-Identifier: Apache-2.0 */
/* PID 1 of a sandbox. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "init/dial.h"
#include "init/server.h"
#include "init/text.h"

static struct server server;

/* init [--dial SOCKET SECCOMP]; without, three descriptors are inherited (init-wire.h). */
int main(int argc, char **argv)
{
	const struct dial dial = { argc == 4 ? argv[2] : NULL, argc == 4 ? argv[3] : NULL };
	char message[256];
	struct text t = { message, sizeof(message), 0 };
	const char *what = NULL;
	int r = server_init(&server, dial.socket ? &dial : NULL, &what);

	if (r == 0) {
		server_run(&server);
		return 0;
	}
	text_add(&t, "sandbox-init: ");
	text_add(&t, what);
	text_add(&t, ": ");
	text_add(&t, strerror(-r));
	text_add(&t, "\n");
	(void)!write(STDERR_FILENO, message, t.length); /* nobody else to tell */
	return 1;
}
