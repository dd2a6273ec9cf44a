/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The daemon as a service of systemd's: the system's for root, else the user's. All of it is done
 * by systemctl; where systemd does not run there is no such service. */

#include <stdbool.h>

/* The service manager runs, and has our units. */
bool service_exists(void);
bool service_is_active(void);  /* the daemon runs, or its socket listens */
bool service_is_waiting(void); /* the socket listens, the daemon does not run */

/* systemctl tells what is wrong. Returns 0 or -1. */
int service_listen(void); /* the socket alone: the daemon comes with the first client */
int service_start(void);
int service_stop(void);
