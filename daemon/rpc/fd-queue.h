/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Descriptors that arrived on a connection and were not claimed by a request yet, and which kinds
 * of them a client may hand over at all (docs/protocol.md, File descriptors). */

#include <stddef.h>

#include "bounds.h"

struct msghdr;

struct fd_queue {
	int fds[RPC_FDS_MAX];
	size_t count;
};

/* Takes every descriptor that M brought. Returns 0, or -EMFILE when there are more than RPC_FDS_MAX
 * waiting or the kernel dropped some; then those that came are closed. */
int fd_queue_receive(struct fd_queue *q, struct msghdr *m);
/* Moves N from the head to FDS. Returns 0, or -ENOENT when there are fewer; then none is taken. */
int fd_queue_take(struct fd_queue *q, int *fds, size_t n);
void fd_queue_close(struct fd_queue *q);

/* NULL when FD may be used, else why not ("is a directory …"). */
const char *fd_kind_refused(int fd);
