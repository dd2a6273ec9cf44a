/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A child process, or one that somebody else started, watched by its pidfd. */

#include <stdbool.h>
#include <sys/types.h>

#include "macro.h"

struct child;
struct event_base;

/* STATUS as waitid tells: exit code when EXITED, else the signal; 0: it is not our child, and how
 * it ended is not known. Called once; the child object is still the caller's to free, but not from
 * inside. */
typedef void child_ended(struct child *c, bool exited, int status, void *userdata);

struct child_config {
	struct event_base *base;
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *envp; /* NULL: ours */
	const int *fds;          /* n_fds descriptors that become 0, 1, 2, …; -1 is /dev/null */
	size_t n_fds;
	child_ended *ended;
	void *userdata;
};

/* Starts it with every signal at its default and nothing blocked. Returns 0 or negative errno (also
 * when exec fails). */
int child_start(struct child **ret, const struct child_config *config);
/* The same for a copy of this process, which calls RUN and ends with what that returns (0 to 255):
 * for what may wait for a disk. argv and envp do not count; it has CONFIG's descriptors and no
 * other, every signal is blocked, and it is killed when this process ends. RUN uses neither
 * libevent nor stdio. */
typedef int child_main(void *argument);
int child_fork(struct child **ret, const struct child_config *config, child_main *run,
	       void *argument);
/* Watches process PID, which is not our child and whose PIDFD is taken over, also on failure. Of
 * CONFIG the base and the callback count. Returns 0 or negative errno. */
int child_watch(struct child **ret, const struct child_config *config, pid_t pid, int pidfd);
pid_t child_pid(const struct child *c);
int child_kill(struct child *c, int signal); /* by pidfd; 0 or negative errno */
/* Forgets it; a living child is killed and reaped later by nobody's callback, one that was only
 * watched goes on. Returns NULL. */
struct child *child_free(struct child *c);
/* Forgets it, and it lives on. Returns NULL. */
struct child *child_release(struct child *c);
