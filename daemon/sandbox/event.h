/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the sandbox side has to tell (docs/events.md): one function for each thing that happens.
 * Sandboxes of the daemon's own are nobody's to hear of. */

#include <stdint.h>
#include <sys/types.h>

struct event_note;
struct exec;
struct exec_wait;
struct manager;
struct sandbox;

#define EVENT_DAEMON_STARTED "daemon.started"
#define EVENT_DAEMON_STOPPING "daemon.stopping"
void event_daemon(struct manager *m, const char *type);

/* S is in its state now; FROM is the one before, NULL: it is new. */
void event_sandbox_state(struct sandbox *s, const char *from);

#define EVENT_EXEC_STARTED "exec.started"
#define EVENT_EXEC_ENDED "exec.ended"
void event_exec_started(struct exec *e);
void event_exec_ended(struct exec *e);
/* It does nothing for IDLE_MS; it does something again after that. */
void event_exec_stalled(struct exec *e, int64_t idle_ms, const struct exec_wait *wait);
void event_exec_resumed(struct exec *e, int64_t idle_ms);

/* S hit LIMIT ("diskBytes", "pids"): USED of it, MAX are allowed; 0: not known. */
void event_sandbox_limit(struct sandbox *s, const char *limit, uint64_t used, uint64_t max);
/* The kernel killed in S for want of memory since this was asked last? */
void event_sandbox_look_oom(struct sandbox *s);

/* A template of OWNER's is in STATE now; REASON may be NULL. */
struct template_row_name {
	uid_t owner;
	const char *name;
	const char *tool;
};
void event_template(struct manager *m, const struct template_row_name *t, const char *state,
		    const char *reason);

struct pool;
void event_pool_ready(const struct pool *p);  /* one more spare waits */
void event_pool_failed(const struct pool *p); /* one could not be made */
void event_pool_set(const struct pool *p);    /* by pool.set */

/* Of execs that ended with an earlier daemon, once the execs of this one are known. */
void event_end_lost(struct manager *m);

/* A note about S, or about E in its sandbox. */
struct event_note event_about_sandbox(const struct sandbox *s, const char *type);
struct event_note event_about_exec(const struct exec *e, const char *type);
