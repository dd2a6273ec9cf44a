/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A process as a service of systemd's manager instead of as our child: in sandboxd.slice, outside
 * our own service and its hardening, and alive when ours is stopped. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "macro.h"

struct event_base;
struct unit_start;

enum unit_manager {
	UNIT_MANAGER_NONE, /* we are no service, or one whose manager does not listen to us */
	UNIT_MANAGER_SYSTEM,
	UNIT_MANAGER_USER,
};

enum unit_kind {
	/* makes sandboxes: its cgroup is delegated to it, and what it started outlives it */
	UNIT_KEEPER,
	/* does one thing with its descriptors, and changes nothing else: it needs no rights, and is
	 * ended when it takes too long */
	UNIT_WORKER,
};

/* Called once, from the event loop; U is the caller's to free, from inside as well. PID was the
 * main process of the service a moment ago, and PIDFD is it (the callee's). ERROR is negative
 * errno, with REASON as a sentence, else 0; -ESRCH: it was started and has ended again. */
typedef void unit_started(struct unit_start *u, int error, const char *reason, pid_t pid, int pidfd,
			  void *userdata);

/* Borrowed during the call. */
struct unit_config {
	struct event_base *base;
	enum unit_manager manager;
	enum unit_kind kind;
	int64_t limit_ms; /* of a worker: told to end then, and killed after as long again */
	const char *name; /* with .service */
	const char *description;
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *envp; /* all that it gets of ours */
	/* its descriptors 0 to 2, of which the manager takes copies; -1: /dev/null, the journal
	 * and the journal */
	int fds[3];
	unit_started *done;
	void *userdata;
};

/* Whose service this process itself is: asked at start, once. Only one that the manager executed
 * itself counts, not what runs somewhere in a service. */
enum unit_manager unit_manager_of_self(bool is_root);
/* Whether there is a bus to reach it. Returns 0 or negative errno. */
int unit_manager_reach(enum unit_manager manager);

/* Asks for the service. Returns 0, then DONE is called; or negative errno, when the manager cannot
 * be reached at all. */
int unit_start(struct unit_start **ret, const struct unit_config *config);
/* Forgets it; the service starts or not. NULL is fine. Returns NULL. */
struct unit_start *unit_start_free(struct unit_start *u);
