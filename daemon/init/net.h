/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The little that init does with the sandbox's network: its own loopback and listeners on it. */

#include "init-wire.h"

/* Brings lo up unless it is. Failures are left to show when somebody uses it. */
void net_loopback_up(void);

/* Opens a listening socket as asked. Returns it, -EINVAL for another address than 127.0.0.0/8, or
 * negative errno. */
int net_listen(const struct init_listen *l);
