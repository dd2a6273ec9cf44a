/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Lines on their way to the daemon, each with its descriptors, in order. Does not own the socket.
 */

#include <stdbool.h>
#include <stddef.h>

#define SEND_QUEUE_BYTES_MAX (64u * 1024 * 1024) /* unsent; beyond it: -ENOBUFS */

struct send_line;

struct send_queue {
	struct send_line *head;
	struct send_line **tail;
	size_t bytes;
};

void send_queue_init(struct send_queue *q);
/* Copies TEXT and FDS (duplicated); TEXT has its newline. Sends at once what it can. Returns 0,
 * -ENOBUFS, -ENOMEM, -EMFILE, or what sending ended with (-EPIPE, ...): the queue is of no more use
 * then. */
int send_queue_add(struct send_queue *q, int socket, const char *text, size_t size, const int *fds,
		   size_t n_fds);
/* Sends what it can. Returns 0 (also when the socket is full) or negative errno. */
int send_queue_flush(struct send_queue *q, int socket);
bool send_queue_is_empty(const struct send_queue *q);
void send_queue_deinit(struct send_queue *q);
