/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The daemon's places on the host: state directory and its lock, runtime directory, socket. */

#include <stdbool.h>
#include <sys/types.h>

struct config;

/* Makes both directories with their modes, checks their owner and that every path in the runtime
 * directory stays short enough for a socket. What is wrong is logged. Returns 0 or negative errno.
 */
int place_make(const struct config *config, uid_t uid);

/* Locks the state directory. Returns an fd that holds the lock, -EWOULDBLOCK when another daemon
 * has it, or negative errno; logged. */
int place_lock(const struct config *config);
/* The same for the runtime directory: another daemon, with other state, would take our keepers'
 * sockets away. */
int place_lock_runtime(const struct config *config);

/* The listening RPC socket: one passed by the service manager, else <runtime>/sandboxd.sock,
 * replacing one that a dead daemon left (call with the lock held). *RET_OURS: to be unlinked at the
 * end. Returns an fd or negative errno, logged. */
int place_listen(const struct config *config, uid_t uid, bool *ret_ours);
void place_unlink_socket(const struct config *config);
