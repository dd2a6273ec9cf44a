/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The other end of a client under test: a socketpair and no thread. What the client is to receive
 * is written before it calls; what it sent is read afterwards. */

#include <stddef.h>

struct sandboxd_client;

struct fake_server {
	int fd;
	struct sandboxd_client *client;
};

void fake_server_init(struct fake_server *s);
void fake_server_deinit(struct fake_server *s);

/* Sends TEXT as it is. */
void fake_server_say(struct fake_server *s, const char *text);
/* The next line that the client sent, without its newline, and the descriptors that came with it
 * (at most 64, *RET_N_FDS of them). Freed with free(). NULL: end of file. */
char *fake_server_hear(struct fake_server *s, int *fds, size_t *ret_n_fds);
void fake_server_close(struct fake_server *s);
