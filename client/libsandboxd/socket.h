/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the daemon's socket is, and connecting to it. The search itself is public: client.h. */

#include <stddef.h>

/* Connects to the first candidate at which a daemon answers; its path goes to BUFFER. Returns the
 * socket (CLOEXEC) or negative errno. */
int socket_connect(const char *given, char *buffer, size_t size);
