/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Closing descriptors that a stranger passed. */

/* Closes FD without ever waiting for it; -1 is fine. Returns -1. */
int dispose_fd(int fd);
/* Closes a connected Unix socket, and disposes of what its peer sent and nobody received. */
int dispose_connection(int fd);
