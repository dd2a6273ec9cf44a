/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who may speak to the daemon. */

#include <stdbool.h>
#include <sys/types.h>

/* For struct server_config.admit; USERDATA is the struct manager. Refuses other users at a user's
 * daemon, and everybody who lives in another user namespace, as every sandbox does: the agent is
 * the owner's own uid, so the uid says nothing. Who cannot be looked at is refused. */
bool peer_admit(uid_t uid, pid_t pid, void *userdata);
