/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The body of struct exec, for exec.c and its parts only: exec-start.c begins one, exec-spawn.c
 * hands it to init, exec.c leads it to its end, exec-spool.c knows its output, exec-table.c keeps
 * it. */

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

#include "init-wire.h"
#include "sandbox/exec.h"
#include "sandbox/view.h"

struct exec_activity;
struct exec_follow;
struct exec_secrets;
struct exec_stdin;
struct home;
struct init_client;
struct late_file;

/* What is being waited for; exec_set_phase() knows the edges. */
enum exec_phase {
	EXEC_PHASE_PREPARING,   /* the keeper's pipes; init knows nothing yet */
	EXEC_PHASE_SPAWNING,    /* INIT_STARTED */
	EXEC_PHASE_RUNNING,     /* INIT_EXITED */
	EXEC_PHASE_TERMINATING, /* the same, after TERM, for as long as the grace */
	EXEC_PHASE_DRAINING,    /* the leader is dead, others may still write */
	EXEC_PHASE_KILLING,     /* INIT_GONE */
	EXEC_PHASE_CLOSING,     /* the keeper's word that everything is in the spool */
	EXEC_PHASE_ENDED,
	EXEC_PHASE_MAX,
};

/* What only one that has not ended needs: thousands that have are kept. */
struct exec_events {
	struct event timer;  /* deadline, grace or drain, by phase */
	struct event disk;   /* no space for this long ends it */
	struct event news;   /* tells the followers of the end */
	struct event client; /* it is to be back by then: exec-adopt.c */
};

/* Thousands that have ended are kept, so it has no holes, and flags are bits. */
struct exec {
	struct exec_facts facts;
	struct manager *manager;
	struct sandbox *sandbox; /* referenced */
	char *key; /* unique in the daemon: names the spool and the stored row; the id is
		    * its end */
	unsigned refs;
	uid_t peer;   /* whose it is: the one who made the sandbox */
	uint32_t uid; /* as the sandbox sees it */
	uint32_t alive;
	enum exec_phase phase;
	enum exec_cause ending;   /* why we end it; EXEC_CAUSE_MAX: we do not */
	uint8_t input_before;     /* adopting: enum store_exec_input */
	bool watched : 1;         /* init knows it: init_exec is good for calls */
	bool asked : 1;           /* init may have got the request */
	bool exited : 1;          /* the leader's end is in the result */
	bool lost : 1;            /* init is gone and everything in the sandbox with it */
	bool spool_opened : 1;    /* the keeper was asked to open one */
	bool spool_finishing : 1; /* asked to close it, the answer is still to come */
	bool spool_finished : 1;  /* its pipes are closed, or there is no keeper to ask */
	bool keyed : 1;           /* a call in the journal is its */
	bool keep_leftovers : 1;
	bool left_behind : 1; /* processes of it live on, as its client wanted */
	bool disk_full : 1;   /* the keeper cannot append: no space */
	bool output_lost : 1; /* with the keeper that had its pipes */
	bool stored : 1;      /* has a row */
	bool save_queued : 1; /* in the table's saves, */
	bool young : 1;       /* or in its young */
	bool told : 1;        /* its followers, of its end */
	bool adopting : 1;    /* its init, or this daemon, is not there yet: exec-adopt.c */
	bool stranded : 1;    /* its keeper died when it was to make the pipes */
	bool client_gone : 1; /* an earlier daemon's, and it is to end with it */
	bool in_budget : 1;
	bool still : 1;       /* its sandbox stands still, and so does the timer: */
	int masks;            /* spool-mask.h, until the spool is opened; -1 */
	int64_t left_ms;      /* what it has left; -1: it is not set */
	uint64_t spool_bytes; /* its part of the table's sum */
	struct view_use view;
	uint64_t init_exec;
	uint64_t oom_kills_before;
	int64_t timeout_ms; /* -1: none */
	int64_t grace_ms;
	int64_t begun_ms;             /* CLOCK_MONOTONIC */
	int64_t deadline_ms;          /* the same; -1: none */
	struct wire_message *request; /* INIT_EXEC until it can be sent; only as long as its data */
	int child_fds[3];             /* stdin, stdout, stderr for init, until sent */
	int terminal;                 /* master, for its size; -1 */
	struct winsize size;          /* that it gets when it is there; no rows: none */
	struct exec_secrets *secrets; /* their values until it runs; NULL: it has none */
	struct late_file *late_files; /* secret-file.h */
	struct exec_activity *activity; /* NULL: nobody has looked */
	struct exec_stdin *input;       /* NULL: the command's stdin is not ours to write */
	struct exec_events *events;     /* NULL: it has ended, and all know */
	LIST_HEAD(, exec_follow) followers;
	struct exec_follow *next_told; /* where telling goes on, whoever unfollows */
	struct exec *next_by_key;      /* in the table */
	struct home *home;             /* of its sandbox in the table; NULL when dropped */
	TAILQ_ENTRY(exec) in_home;
	TAILQ_ENTRY(exec) in_all;
	TAILQ_ENTRY(exec) in_saves; /* of the table, or in its young */
	TAILQ_ENTRY(exec) in_ended; /* exec-budget.h */
};

/* ---- exec.c ---- */
int exec_new(struct exec **ret, struct manager *m, struct sandbox *s);
void exec_set_phase(struct exec *e, enum exec_phase phase);
/* It has ended, and there is nobody to be told. */
void exec_drop_events(struct exec *e);
/* It never ran; told from the loop. */
void exec_never_started(struct exec *e, enum init_start_error why, int error_number);
/* The same from negative errno; a broken connection means that the sandbox is lost. */
void exec_fail_start(struct exec *e, int error);
/* Init and all processes are gone. */
void exec_lose(struct exec *e, enum exec_cause cause);
/* The same, and nothing is waited for. */
void exec_force_end(struct exec *e);
/* The daemon goes and E does not: nothing of it is touched any more. */
void exec_leave(struct exec *e);
void exec_arm(struct exec *e, int64_t ms);
/* Its sandbox stands still: so does its clock; or it goes on with what was left. */
void exec_stand_still(struct exec *e, bool still);
/* What its row says is on the disk, or need not be. */
void exec_row_written(struct exec *e);

/* Takes MASTER over, and gives it the size that was asked for meanwhile. */
void exec_set_terminal(struct exec *e, int master);

/* Init C is asked what became of E, which an earlier daemon began. Returns 0 and leads it on;
 * -ESRCH: init does not know it; -ENOMEM. */
int exec_take_over(struct exec *e, struct init_client *c);
/* Nothing of it runs any more: what is still in its pipes goes to the spool, and it has ended. */
void exec_close_output(struct exec *e);
/* What init says of it. */
extern const struct init_exec_watch exec_watch;

/* ---- exec-spawn.c ---- */
/* The keeper makes pipes, or holds what leads to its stdin, before init is asked. */
bool exec_needs_pipes(const struct exec *e);
/* That, or it has to know what is lent. */
bool exec_needs_keeper(const struct exec *e);
/* The view of its stage is there: goes on with the kept request. */
void exec_view_made(struct exec *e, int error);
/* Hands the request to init. What goes wrong ends the exec. */
void exec_spawn(struct exec *e, struct wire_message *m);
/* Wipes and frees the kept request. */
void exec_drop_request(struct exec *e);

/* ---- exec-start.c ---- */
/* M, its request, has its secrets in it: they are overwritten. */
void exec_wipe(const struct exec *e, struct wire_message *m);
/* Whoever is to have them has them. */
void exec_drop_secrets(struct exec *e);

/* ---- exec-follow.c ---- */
enum exec_telling { EXEC_TELL_STARTED, EXEC_TELL_OUTPUT, EXEC_TELL_ENDED };
/* Whoever is told may unfollow, himself or others. */
void exec_tell(struct exec *e, enum exec_telling what);

/* ---- exec-adopt.c ---- */
void exec_adopt_init(struct exec *e);
/* E's last follower is gone, or it never had one: with client_gone, somebody is to come. */
void exec_await_return(struct exec *e);

/* ---- exec-spool.c ---- */
/* Asks the keeper for pipes (TERMINAL -1) or gives it a terminal to read; exec_spool_opened() of
 * exec-spawn.c is called later. Returns 0 or negative errno. */
int exec_spool_open(struct exec *e, int terminal);
/* What exec_needs_keeper() is about, with the same end. */
int exec_spool_prepare(struct exec *e);
/* Closes the spool after at most WAIT_MS; exec_spool_closed() follows, from the loop, unless this
 * returns false: nothing to wait for. */
bool exec_spool_finish(struct exec *e, uint32_t wait_ms);
/* At the start, all rows loaded: removes the files of commands that have none. Their daemon or
 * keeper was killed before it could. */
void exec_spools_sweep(struct exec_table *t, int state_fd);
/* Nobody reads its pipes any more: what there is is in the files. */
void exec_spool_lost(struct exec *e);
void exec_spool_note(struct exec *e, const struct keeper_stream_state *streams);
/* Unlinks the files. */
void exec_spool_remove(const struct exec *e);
/* Sizes from the files: the keeper that knew is gone. The table counts them when E ends. */
void exec_spool_measure(struct exec *e);
/* How they were opened and closed; implemented by exec-spawn.c and exec.c. */
void exec_spool_opened(struct exec *e, int error, struct wire_message *m);
void exec_spool_closed(struct exec *e);
