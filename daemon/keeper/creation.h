/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One create under way in a worker: what every kind of runtime needs to get from a program that is
 * started to an init that is ready and fenced. */

#include <stdint.h>
#include <sys/types.h>

#include "init-wire.h"
#include "runtime.h"
#include "worker.h"

#define CREATION_PATH_MAX 512

struct creation {
	const struct runtime_job *job;
	struct worker_result result;
	int64_t deadline;
	bool upper_made;
	int ready;  /* init says when it is fenced */
	int output; /* what the program says */
	size_t said;
	char merged[CREATION_PATH_MAX];
	char bundle[CREATION_PATH_MAX];
};

/* What the program is started with. */
struct creation_fds {
	int in;
	int out; /* for 1 and 2 */
	int to_init[INIT_FD_COUNT];
};

/* A worker's create from its beginning to its answer. CREATE sets everything up and returns 0 or,
 * after creation_fail(), a negative errno; then its children are killed and what it made is
 * removed. REMOVE_SCAFFOLD removes what is only needed until init runs, and has to cope with any
 * part of it.
 */
void creation_run(const struct runtime_job *job, int (*create)(struct creation *c),
		  void (*remove_scaffold)(const struct creation *c));
/* The same for what a create that was killed may have left behind. */
void creation_clean(const struct runtime_job *job,
		    void (*remove_scaffold)(const struct creation *c));

void creation_begin(struct creation *c, const struct runtime_job *job);
/* STEP is done. */
void creation_step(struct creation *c, enum keeper_step step);
/* Notes ERROR, and WHAT failed unless the program said so itself. Returns ERROR. */
int creation_fail(struct creation *c, int error, const char *what);

/* Makes the pipes and runs CHILD, which does not return, in a process of its own; its pid is
 * *RET. */
int creation_start(struct creation *c,
		   void (*child)(const struct creation *c, const struct creation_fds *fds),
		   pid_t *ret);
/* In that process: standard streams, cgroup, limits, and the descriptors for init at their
 * numbers. Ends the process when something fails. */
void creation_prepare_child(const struct creation *c, const struct creation_fds *fds);
/* In that process: lets all capabilities pass through execve() as a user who is not root. Returns 0
 * or negative errno. */
int creation_keep_capabilities(void);
/* In that process: becomes the job's program. */
void creation_execute(const struct creation *c, const char *const *argv) __attribute__((noreturn));
/* In that process: says what failed, which becomes the reason, and ends. */
void creation_child_failed(const char *what, int error) __attribute__((noreturn));

/* Waits for the program's end. -EPROTO: it failed. */
int creation_wait_program(struct creation *c, pid_t pid);
/* Takes the pid that the program wrote into bundle/<id>/pid for init's, if it is a child of ours
 * (the program is gone, we adopted it). */
int creation_read_pid(struct creation *c);
/* creation_start(), creation_wait_program() and creation_read_pid(). Returns 0 or what
 * creation_fail() did. */
int creation_run_program(struct creation *c,
			 void (*child)(const struct creation *c, const struct creation_fds *fds));
/* Waits until init has connected to job->dial, which says that it is fenced. */
int creation_wait_dial(struct creation *c);
int creation_wait_ready(struct creation *c);
/* Makes sure that init's filter is loaded, if there is one. */
int creation_check_seccomp(struct creation *c);
