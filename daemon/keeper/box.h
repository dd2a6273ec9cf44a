/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keeper's side of a sandbox: from CREATE until its init is reaped and nothing is left but its
 * upper directory. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "claim.h"
#include "keeper-wire.h"
#include "loop.h"
#include "release.h"
#include "runtime.h"
#include "view.h"

struct keeper;
struct worker;
struct wire_message;

#define BOX_ENDS_MAX 8 /* KILL and REMOVE waiting for one sandbox */

enum box_state {
	BOX_CREATING, /* a worker makes it */
	BOX_RUNNING,
	BOX_ENDING,   /* SIGKILL was sent */
	BOX_LEAVING,  /* reaped (or never was): cleaning up */
	BOX_PREPARED, /* claimed before it is made: it waits for its create */
};

/* A KILL or REMOVE that waits for the end. */
struct box_end {
	uint16_t type;
	bool give_back;
	uint64_t serial;
};

/* A FREEZE or THAW, under way while type is not 0. */
struct box_freeze {
	bool frozen; /* something of it is or may be frozen */
	uint16_t type;
	uint64_t serial;
	int64_t until; /* monotonic, ms */
	struct timer again;
};

struct box {
	struct box *next;
	struct box *previous;
	struct box *next_by_id;
	struct box *next_by_pid;
	struct keeper *keeper;
	enum box_state state;
	struct runtime_job job;
	uint64_t create_serial;
	struct worker *worker; /* makes it, or tidies up after making it */
	bool create_failed;
	bool worker_killed; /* it could not tidy up */
	int error;
	char *reason; /* a sentence on that, or NULL */
	pid_t pid;
	int pidfd;
	int status; /* of init, from waitpid; of a foreign one that of a SIGKILL */
	/* made by a keeper that died: its init is another's child, and its pidfd says when it ends
	 */
	bool foreign;
	struct watch end;
	struct release release;
	struct view_own own;
	struct claim_mounts mounts; /* claimed before */
	struct box_end ends[BOX_ENDS_MAX];
	size_t n_ends;
	struct keeper_counters counters;
	bool counted;
	bool silent;   /* nobody waits to hear of it */
	bool claimed;  /* there is a record of what was made outside */
	bool restored; /* the workspaces */
	unsigned int tries;
	struct timer retry;
	struct box_freeze freeze;
};

/* All boxes of a keeper. What concerns one of a thousand looks at few. */
#define BOX_BUCKETS 1024

struct boxes {
	struct box *first;
	struct box *by_id[BOX_BUCKETS];
	struct box *by_pid[BOX_BUCKETS];
};

/* Claims a sandbox ID of KIND that is not made yet, as M, a KEEPER_CLAIM, says. Returns 0 or
 * negative errno with a sentence in REASON. */
int box_prepare(struct keeper *k, const char *id, struct wire_message *m, char *reason);
/* Starts making a sandbox, which may be prepared; the CREATE is answered by then or later. JOB is
 * copied, its socket is taken over. PROGRAM: of the runtime, if its kind has one. */
void box_create(struct keeper *k, uint64_t serial, const struct runtime_job *job,
		const char *program);
struct box *box_find(const struct keeper *k, const char *id);
/* Ends it and answers END when nothing is left. */
void box_end(struct box *b, const struct box_end *end);
/* For a sandbox ID that is not there: undoes what an earlier keeper left of it, as M, a
 * KEEPER_CLAIM, says, and answers END then. Returns 0, or negative errno (then END is not
 * answered). */
int box_undo(struct keeper *k, const char *id, struct wire_message *m, const struct box_end *end);
/* SIGKILL without anyone waiting. */
void box_kill(struct box *b);
/* Takes a sandbox over that a keeper made which has died. PIDFD (taken over, whatever happens) is
 * of its init; JOB is copied. Returns 0 and *RET (borrowed), -ESRCH when it has ended, or negative
 * errno. */
int box_take_over(struct keeper *k, const struct runtime_job *job, int pidfd, struct box **ret);
/* From the loop: true if PID was an init. */
bool box_reap(struct keeper *k, pid_t pid, int status);

/* ---- box-freeze.c ---- */
void box_freeze_init(struct box *b);
/* Does what a KEEPER_FREEZE or KEEPER_THAW asks, and answers it now or later. */
void box_freeze(struct box *b, uint16_t type, uint64_t serial);
/* SIGKILL was sent to its init: lets it die. */
void box_thaw_to_die(struct box *b);
/* B is about to be freed: answers what waits. */
void box_freeze_cancel(struct box *b);
