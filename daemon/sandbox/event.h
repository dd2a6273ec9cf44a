/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the sandbox side has to tell (docs/events.md): one function for each thing that happens.
 * Sandboxes of the daemon's own are nobody's to hear of. */

#include <stdint.h>

struct event_note;
struct exec;
struct manager;
struct sandbox;

#define EVENT_DAEMON_STARTED "daemon.started"
#define EVENT_DAEMON_STOPPING "daemon.stopping"
void event_daemon(struct manager *m, const char *type);

/* S is in its state now; FROM is the one before, NULL: it is new. */
void event_sandbox_state(struct sandbox *s, const char *from);

void event_exec_started(struct exec *e);
void event_exec_ended(struct exec *e);

/* A note about S, or about E in its sandbox. */
struct event_note event_about_sandbox(const struct sandbox *s, const char *type);
struct event_note event_about_exec(const struct exec *e, const char *type);
