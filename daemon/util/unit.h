/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A process as a service of systemd's manager instead of as our child: with a cgroup that is
 * delegated to it, outside our own service and its hardening, and alive when ours is stopped. */

#include <stdbool.h>
#include <sys/types.h>

#include "macro.h"

struct event_base;
struct unit_start;

enum unit_manager {
	UNIT_MANAGER_NONE, /* we are no service, or one whose manager does not listen to us */
	UNIT_MANAGER_SYSTEM,
	UNIT_MANAGER_USER,
};

/* Called once, from the event loop; U is the caller's to free, but not from inside. PID was the
 * main process of the service a moment ago, and PIDFD is it (the callee's). ERROR is negative
 * errno, with REASON as a sentence, else 0. */
typedef void unit_started(struct unit_start *u, int error, const char *reason, pid_t pid, int pidfd,
			  void *userdata);

/* Borrowed during the call. */
struct unit_config {
	struct event_base *base;
	enum unit_manager manager;
	const char *name; /* with .service */
	const char *description;
	const char *slice;
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *envp; /* all that it gets of ours */
	int input;               /* its descriptor 0; the manager takes a copy */
	int output;              /* its descriptor 1; -1: none */
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
