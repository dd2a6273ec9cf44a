/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a service manager is told (sd_notify): ready, what runs, that we are alive, reloading,
 * stopping. Without one nothing happens. */

struct manager;
struct service;

/* Looks at NOTIFY_SOCKET and WATCHDOG_USEC. M's base must exist. Returns 0 or negative errno. */
int service_new(struct service **ret, struct manager *m);
void service_free(struct service *s); /* NULL is fine */

/* The daemon answers from now on. From here STATUS follows what runs, and the watchdog is fed by
 * the event loop, so that a loop that hangs is ended. */
void service_ready(struct service *s);
void service_stopping(struct service *s);
/* A reload begins; its end is service_reloaded(), PROBLEM is why the old configuration stays (NULL:
 * the new one is in use). It stands in STATUS until the next. */
void service_reloading(struct service *s);
void service_reloaded(struct service *s, const char *problem);
