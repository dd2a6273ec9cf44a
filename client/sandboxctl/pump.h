/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The daemon takes pipes, sockets, ptys and the harmless devices, but no regular files and nothing
 * else: for those the command gets a pipe, and a pump moves the bytes. */

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

struct pump {
	int from; /* -1: done */
	int to;
	bool owns_from; /* which end is our pipe's */
	char *buffer;
	size_t start;
	size_t end;
};

/* Whether the daemon accepts FD as it is. */
bool pump_is_passable(int fd);

/* Makes a pipe for FD (borrowed): *RET_PASS is its other end, to be passed and closed. Returns 0 or
 * negative errno. */
int pump_from_command(struct pump *p, int fd, int *ret_pass);
int pump_to_command(struct pump *p, int fd, int *ret_pass);

/* What to poll for; false when the pump is done. */
bool pump_want(const struct pump *p, struct pollfd *poll);
/* Moves what can be moved, after poll said so. A broken destination ends it. */
void pump_move(struct pump *p);
/* The command has ended: moves what is in the pipe and ends, although somebody may still hold it
 * open. Nothing more to read for pumps to the command. */
void pump_drain(struct pump *p);
void pump_deinit(struct pump *p);
