/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside sandbox*.c and keeper-client.c: the body of a sandbox, and the queue of what is done to
 * it. */

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "bounds.h"
#include "keeper-wire.h"
#include "sandbox/home.h"
#include "sandbox/launch.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "sandbox/view.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/table.h"

struct disk_watch;
struct pool;
struct sandbox_orphan;
struct sandbox_adoption;
struct spare;
struct workspace;

/* A line of the log that is about S, with the journal's fields. */
#define sandbox_log(s, level, ...)                                                                 \
	log_message((level),                                                                       \
		    &(const struct log_fields){ .sandbox = (s)->facts.name,                        \
						.loop = (s)->facts.loop_id },                      \
		    __VA_ARGS__)

enum sandbox_verb {
	SANDBOX_VERB_CREATE,
	SANDBOX_VERB_START,
	SANDBOX_VERB_STOP,
	SANDBOX_VERB_REMOVE,
	SANDBOX_VERB_UNDO, /* of ours: sandbox-undo.c */
	SANDBOX_VERB_PAUSE,
	SANDBOX_VERB_RESUME,
	SANDBOX_VERB_COPY,
	SANDBOX_VERB_ADOPT, /* of ours: sandbox-adopt.c */
	SANDBOX_VERB_AWAIT, /* what is before it; nothing else */
};

#define PIDS_TOLD_UNKNOWN UINT64_MAX

/* One verb, waiting or (at the head) under way. Holds a reference to its sandbox. */
struct sandbox_op {
	enum sandbox_verb verb;
	sandbox_done *done; /* may be NULL */
	void *userdata;
	int64_t timeout_ms; /* START: for the runtime; STOP, REMOVE: grace for execs; -1: usual */
	bool force;         /* STOP: no grace */
	char *cause;        /* STOP */
	enum sandbox_state end_state; /* STOP: STOPPED or FAILED */
	struct sandbox_copy *copy;    /* COPY; borrowed */
	bool frozen;                  /* COPY: by this op */
	bool awaited;                 /* CREATE, START: by a client; no spare is made meanwhile */
	bool again;                   /* it is tried anew, e.g. as its keeper was lost */
	struct error error;           /* COPY: what it ends with */
	struct launch launch;         /* CREATE, START */
	struct sandbox_op *next;
};

/* Told from the loop: 0, or negative errno (then it runs, unless it has ended). */
typedef void sandbox_frozen(struct sandbox *s, int error, void *userdata);

/* A freeze or thaw under way: sandbox-pause.c. */
struct sandbox_freezing {
	sandbox_frozen *done; /* NULL: none */
	void *userdata;
	bool freeze;
	int error;
	struct event timer; /* init does not answer, or what was found out is to be told */
};

/* How far a boot has come: what a failure has to undo. */
enum sandbox_phase {
	SANDBOX_PHASE_NONE,
	SANDBOX_PHASE_TEMPLATE, /* waits for template_resolve() */
	SANDBOX_PHASE_KEEPER,   /* waits for manager_keeper() */
	SANDBOX_PHASE_CREATE,   /* waits for KEEPER_CREATE */
	SANDBOX_PHASE_ORPHAN,   /* the keeper died then: waits for what it left to end */
	SANDBOX_PHASE_INIT,     /* the keeper has it; waits for init's HELLO */
	SANDBOX_PHASE_CLAIM,    /* waits for KEEPER_CLAIM */
};

struct sandbox {
	struct sandbox_facts facts;
	struct manager *manager;
	unsigned references;
	bool hidden;
	bool foreign_user;
	bool removing; /* what a remove has begun, another daemon finishes */
	bool leftover; /* of an earlier daemon and its keeper, and perhaps something lives of it */
	bool retried;  /* the keeper ended just when it was asked: once more with a new one */
	bool undo_due; /* a claim has left something outside, and its keeper is gone */
	bool in_table;
	struct sandbox_peer *counted;  /* who is charged for it; NULL: nobody */
	struct sandbox_orphan *orphan; /* under way: sandbox-orphan.c */
	struct spare *spare;  /* owned; it is one, or (taken) is becoming a sandbox; else NULL */
	bool warm_claimed;    /* becoming one: the keeper has done its part */
	struct pool *suspect; /* whose spare could not become it; NULL: none, or it is judged */
	char *suspicion;      /* and why */
	bool cancelled;       /* nobody wants the create under way */
	/* An earlier daemon did not come to the end of its create: while it is being removed it
	 * still has its name, which whoever wanted it asks for again. */
	bool unfinished;
	void (*on_progress)(const char *message, void *userdata);
	void *progress_userdata;
	struct string_list layers;
	bool template_given; /* by the client; else facts.template_name is a guess */
	bool layers_given;   /* sandbox_create_own(): nothing to resolve */
	struct workspace *workspaces[WORKSPACES_MAX]; /* open from a boot's begin to its end */
	size_t n_workspaces;
	struct keeper_client *keeper;
	struct init_client *init;
	struct stages *stages; /* of its loop; NULL: the configuration's alone */
	struct views *views;   /* of this run; NULL: none was asked for yet */
	int oom_fd;
	bool oom_fd_checked; /* it really is a cgroup's */
	uint64_t oom_told;   /* of its count, by events */
	uint64_t pids_told;  /* the same of refusals by the limit on processes */
	int64_t looked_ms;   /* CLOCK_MONOTONIC: exec-activity.c, the last time */
	int pidfd;           /* of init, to end it without anybody's help; -1 */
	uint64_t pid_since;  /* process_since() of init; 0: not known */
	uint32_t memory_version;
	struct sandbox_freezing freezing;
	struct sandbox_adoption *adoption; /* under way; else NULL */
	uint32_t project;                  /* its disk limit is the kernel's; 0: it is not */
	struct disk_watch *disk_watch;     /* NULL: it was never needed */
	int64_t born_ms;                   /* these three by CLOCK_BOOTTIME: its creation, */
	int64_t active_ms;                 /* the last time that it was not idle, */
	int64_t not_before_ms;             /* when its end by time is tried again */
	char *home;                        /* runtime host: the owner's, and his name; else NULL */
	char *user;
	struct home_look *home_look; /* under way: sandbox-home.c */
	struct home_view home_view;  /* what this boot shows of its owner's home */
	void (*home_then)(struct sandbox *s);
	bool home_seen; /* this boot has looked, or is looking */
	bool home_wants_identity;
	enum sandbox_phase phase;
	struct error boot_error; /* why the boot under way is being undone */
	struct sandbox_op *ops;
	struct event kick; /* begins the op at the head */
	struct sandbox *previous;
	struct sandbox *next;
};

/* Somebody who has sandboxes: sandbox-count.c. */
struct sandbox_peer {
	uid_t uid;
	size_t count;
	struct sandbox_peer *next;
};

struct sandbox_table {
	struct table by_id;
	struct table by_name; /* "<peer>/<name>" */
	struct sandbox *first;
	struct sandbox *last;
	size_t count;
	size_t in_state[SANDBOX_STATE_MAX];
	struct sandbox_peer *peers;
	struct string_list stale; /* ids of those that are gone, whose rows could not be deleted */
	struct event timer;       /* sandbox-timers.c */
	int64_t timer_at_ms;      /* when it goes off, CLOCK_BOOTTIME; 0: never */
};

/* ---- sandbox-home.c ---- */
/* Begins to look at the owner's home; once per boot. What fails is logged. */
void sandbox_home_begin(struct sandbox *s);
/* True: it is not there yet, and THEN is called when it is (unless sandbox_home_end()). */
bool sandbox_home_wait(struct sandbox *s, void (*then)(struct sandbox *s));
/* OWNER has spares ready: a claim should not have to look. To be called now and then. */
void sandbox_home_keep(struct manager *m, uid_t owner);
/* The boot is over. */
void sandbox_home_end(struct sandbox *s);

/* ---- sandbox.c ---- */
/* Running or paused: it has an init. */
bool sandbox_is_up(const struct sandbox *s);
/* Asserts that the edge is legal, logs it, and writes the row. CAUSE may be NULL. */
void sandbox_set_state(struct sandbox *s, enum sandbox_state state, const char *cause);
/* Writes what can change of the row; what fails is logged. */
void sandbox_save(struct sandbox *s);
/* Enters it into the table. Returns 0, -EEXIST (the name) or -ENOMEM. */
int sandbox_enter(struct sandbox *s);
/* Takes it out again and drops the table's reference. */
void sandbox_leave(struct sandbox *s);
struct sandbox *sandbox_alloc(struct manager *m);
int sandbox_copy_workspaces(struct sandbox *s, const struct workspace_params *items, size_t count);
/* Appends an op; it begins from the event loop. Returns 0 or -ENOMEM. */
int sandbox_submit(struct sandbox *s, enum sandbox_verb verb, sandbox_done *done, void *userdata,
		   const char *cause, enum sandbox_state end_state);
/* The one that was just submitted. */
struct sandbox_op *sandbox_last_op(struct sandbox *s);
/* S runs and has lost its keeper: true when the next one is about to take it over. The op at the
 * head begins again behind that. */
bool sandbox_waits_for_keeper(struct sandbox *s);
/* Ends the op at the head (E may be NULL: success) and begins the next. */
void sandbox_op_end(struct sandbox *s, struct error *e);
/* Kills what may live of a run and closes what belongs to it: init client, oom counter, socket
 * directory, workspaces. */
void sandbox_release(struct sandbox *s);

/* ---- sandbox-row.c ---- */
int sandbox_row_insert(struct sandbox *s);
int sandbox_row_update(struct sandbox *s);
/* S is gone. A row that cannot be deleted (no space) is before the next one is inserted, which may
 * want its name, or by the next daemon. Returns 0 or negative errno. */
int sandbox_row_delete(struct sandbox *s);
/* The row of the spare that S was becomes that of S. Returns 0, -EEXIST (the name), -ENOSPC, … */
int sandbox_row_claim(struct sandbox *s);
/* Loads every row: what cannot be read is logged and skipped. Those that ran are taken over, or,
 * with CAUSE, have ended with it. */
int sandbox_rows_load(struct manager *m, const char *cause);

/* ---- sandbox-boot.c ---- */
void sandbox_boot(struct sandbox *s); /* the op at the head is CREATE or START */
/* The keeper is gone; its calls were answered. */
void sandbox_boot_keeper_lost(struct sandbox *s);
/* A runtime that is setting S up is killed, and the boot fails soon; else nothing. */
void sandbox_boot_interrupt(struct sandbox *s);
/* Opens S's workspaces under the rules for its peer. Returns 0, or -1 with *RETERR. */
int sandbox_open_workspaces(struct sandbox *s, struct error *reterr);
void sandbox_close_workspaces(struct sandbox *s);

/* ---- sandbox-adopt.c ---- */
/* S runs and is in nobody's hands: an op takes it over, or finds that it has ended. */
void sandbox_adopt_later(struct sandbox *s);
void sandbox_adopt(struct sandbox *s); /* the op at the head is ADOPT */
struct sandbox_adoption *sandbox_adoption_free(struct sandbox_adoption *a); /* returns NULL */
/* S, whose adoption is under way, has lost its init. */
void sandbox_adoption_init_lost(struct sandbox *s);
void sandbox_await_end(struct sandbox *s); /* the op at the head is AWAIT */
bool sandbox_table_is_adopting(const struct manager *m);
/* Whether a sandbox of OWNER runs. */
bool sandbox_any_of(const struct manager *m, uid_t owner);

/* ---- sandbox-container.c ---- */
void sandbox_boot_create(struct sandbox *s); /* KEEPER_CREATE, and the init that comes with it */
void sandbox_boot_claim(struct sandbox *s);  /* when the home was seen: KEEPER_CLAIM */
/* What nothing can enter is told before it is made. */
bool sandbox_boot_claims_first(const struct sandbox *s);
char *sandbox_init_path(const struct sandbox *s); /* where its init listens; NULL: no memory */
uint32_t sandbox_keeper_runtime(const struct sandbox *s); /* enum keeper_runtime */
void sandbox_fill_keeper_limits(const struct sandbox *s, struct keeper_limits *limits);

/* ---- sandbox-boot.c, for sandbox-container.c and sandbox-warm.c ---- */
bool sandbox_boot_is_create(const struct sandbox *s);
void sandbox_boot_keeper(struct sandbox *s); /* a keeper, then CREATE and CLAIM */
void sandbox_boot_cold(struct sandbox *s);   /* the same, unless it is given up */
void sandbox_boot_done(struct sandbox *s);
/* Takes E's contents. What fails in a boot that is given up, an init that was just killed for
 * instance, fails because of that. */
void sandbox_boot_fail(struct sandbox *s, struct error *e);
void sandbox_boot_fail_errno(struct sandbox *s, int r, const char *what);
/* What the keeper answered: REASON is its sentence, or NULL. */
void sandbox_boot_fail_keeper(struct sandbox *s, int r, const char *reason);
bool sandbox_boot_is_given_up(const struct sandbox *s);
/* True when it is, and the boot has failed with it. */
bool sandbox_boot_gave_up(struct sandbox *s);

/* ---- sandbox-create.c, for spare.c ---- */
struct config_runtime;
/* The limits of S: those that were ASKED for, else the configured ones, as far as they can hold. */
void sandbox_fill_limits(struct sandbox *s, const struct limits_params *asked,
			 const struct config_runtime *runtime);

/* ---- sandbox-warm.c ---- */
/* One whose spare was taken, and its boot is not over. */
bool sandbox_is_claimed(const struct sandbox *s);
/* SPARE was taken for S and becomes it: it gets what S was filled with but for S's id, and S what
 * it had. Then it is booted by an op. Returns 0, or negative errno: then the spare is one again. */
int sandbox_become(struct sandbox *spare, struct sandbox *s, sandbox_done *done, void *userdata);
void sandbox_warm_boot(struct sandbox *s); /* the op at the head is CREATE, S is claimed */
/* The keeper has claimed it, or init has answered: done when both have. */
void sandbox_warm_step(struct sandbox *s);
/* Init or the keeper is gone. */
void sandbox_warm_lost(struct sandbox *s);
/* The spare of a claimed S is no good: S is booted cold. */
void sandbox_warm_fail(struct sandbox *s, const struct error *e);
/* S was booted, or (not GOOD) could not be. A spare that could not become it has failed if what
 * was asked for can be done. */
void sandbox_warm_judge(struct sandbox *s, bool good);

/* ---- sandbox-undo.c ---- */
/* What `git worktree list` shows while S works on a worktree; freed by the caller. */
char *sandbox_lock_reason(const struct sandbox *s);
/* The keeper that claimed S is gone: what it made outside is undone by an op. */
void sandbox_undo_later(struct sandbox *s);
void sandbox_undo(struct sandbox *s); /* the op at the head is UNDO */
/* Asks K to undo it. Returns 0 or negative errno; what DONE gets goes to sandbox_undone(). */
int sandbox_call_undo(struct sandbox *s, struct keeper_client *k,
		      void (*done)(struct keeper_client *k, int error, struct wire_message *m,
				   void *userdata));
void sandbox_undone(struct sandbox *s, int error);
/* The same for K, which has taken the running S over, to be undone at its end. */
int sandbox_call_recall(struct sandbox *s, struct keeper_client *k,
			void (*done)(struct keeper_client *k, int error, struct wire_message *m,
				     void *userdata));

/* ---- sandbox-orphan.c ---- */
/* Ends whatever still has the socket of init at PATH, and calls THEN from the loop when nothing
 * does. False: nothing has, or it cannot be found out; THEN is not called. */
bool sandbox_orphan_end(struct sandbox *s, const char *path, void (*then)(struct sandbox *s));
struct sandbox_orphan *sandbox_orphan_free(struct sandbox_orphan *o); /* returns NULL */

/* ---- sandbox-pause.c ---- */
void sandbox_pause_init(struct sandbox *s);
void sandbox_pause_now(struct sandbox *s); /* the op at the head is PAUSE or RESUME */
/* Of a struct sandbox: its init starts nothing; lets go on what an agent stopped on its way. */
void sandbox_nudge_init(void *userdata);
/* Stops all of a running S, or lets it go on, with the clocks of its execs, whatever its state
 * says; only for an op, so there is one at a time. Returns 0 and calls DONE later, or negative
 * errno. */
int sandbox_freeze(struct sandbox *s, bool freeze, sandbox_frozen *done, void *userdata);
/* Whether ERROR, of the above, was its keeper's end: then the op begins once more, with the next.
 */
bool sandbox_freeze_again(struct sandbox *s, int error);
/* Its run is over: DONE gets -ECONNRESET. */
void sandbox_freeze_lost(struct sandbox *s);

/* ---- sandbox-copy.c ---- */
void sandbox_copy_begin(struct sandbox *s); /* the op at the head is COPY */

/* ---- sandbox-timers.c ---- */
void sandbox_timers_init(struct manager *m);
/* S has its facts: its clocks begin. */
void sandbox_timers_begin(struct sandbox *s);
/* Something of S changed that may bring its deadline nearer. */
void sandbox_timers_touch(struct sandbox *s);

/* ---- sandbox-count.c ---- */
/* S counts as its peer's from now on, if he can see it. Done already: nothing. Returns 0 or
 * -ENOMEM. */
int sandbox_count(struct sandbox *s);
void sandbox_uncount(struct sandbox *s);
size_t sandbox_count_of(const struct manager *m, uid_t peer);

/* ---- sandbox-end.c ---- */
void sandbox_end(struct sandbox *s); /* the op at the head is STOP or REMOVE */
void sandbox_init_lost(struct sandbox *s);
/* Its run is over, and nobody is asked to end it: commands are lost, and what lives of it is
 * killed.
 */
void sandbox_lose(struct sandbox *s, enum sandbox_state state, const char *cause);
/* Its init has ended, as the keeper says. */
void sandbox_ended(struct sandbox *s, const struct keeper_ended *ended);

/* Sends KEEPER_KILL or KEEPER_REMOVE for S. Returns 0 or negative errno. */
int sandbox_call_end(struct sandbox *s, struct keeper_client *k, uint16_t type,
		     void (*done)(struct keeper_client *k, int error, struct wire_message *m,
				  void *userdata));

/* ---- for keeper-client.c ---- */
/* The user namespace of OWNER's last keeper, if a sandbox that it made lives, and the pid of that;
 * -ENOENT: none does. */
int sandbox_keeper_namespace(const struct manager *m, uid_t owner, pid_t *ret_pid);
void sandbox_keeper_lost(struct manager *m, struct keeper_client *k);
void sandbox_on_ended(struct manager *m, struct keeper_client *k, const char *id,
		      const struct keeper_ended *ended);

/* ---- for manager.c ---- */
int sandbox_table_new(struct sandbox_table **ret);
void sandbox_table_free(struct manager *m);
/* Asks every sandbox to stop; true while one has not. */
bool sandbox_table_stop(struct manager *m);
bool sandbox_table_busy(const struct manager *m);
/* True when nothing is left to wait for but KEEPER_CREATE. */
bool sandbox_table_boots_only(const struct manager *m);
/* After the load: removes what was half made. */
void sandbox_table_sweep(struct manager *m);
