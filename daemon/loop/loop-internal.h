/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside loop*.c: the body of a loop, and the queue of what is done to it. */

#include <event2/event_struct.h>

#include "bounds.h"
#include "loop/artifacts.h"
#include "loop/loop.h"
#include "sandbox/manager.h"
#include "util/table.h"

struct workspace;

enum loop_verb { LOOP_VERB_CREATE, LOOP_VERB_CANCEL, LOOP_VERB_DESTROY };

/* One of the sandboxes that a verb makes, stops or removes. */
struct loop_member {
	struct sandbox *sandbox; /* referenced */
	bool failed;             /* its part of the verb did */
};

/* One verb, waiting or (at the head) under way. Holds a reference to its loop. */
struct loop_op {
	enum loop_verb verb;
	struct loop *loop;
	loop_done *done; /* may be NULL */
	void *userdata;
	struct loop_create create;     /* CREATE */
	enum receipt_outcome outcome;  /* DESTROY */
	bool force;                    /* DESTROY */
	struct artifacts_job *job;     /* DESTROY: git looks at the worktree */
	struct artifacts_result found; /* by it */
	bool cancelled;
	unsigned pending; /* ends of sandbox verbs to come, and one while they are begun */
	void (*step)(struct loop *l); /* when nothing is pending any more */
	struct error error;           /* the first that came */
	struct loop_member *members;
	size_t n_members;
	struct loop_op *next;
};

struct loop {
	struct loop_facts facts;
	struct manager *manager;
	unsigned references;
	bool in_table;
	bool destroying;
	int64_t not_before_ms; /* CLOCK_REALTIME: a sweep that failed is tried again then */
	struct loop_op *ops;
	struct event kick; /* begins the op at the head */
	struct loop *previous;
	struct loop *next;
};

struct loop_run;

struct loop_table {
	struct manager *manager;
	struct table by_id; /* "<peer>/<id>" */
	struct loop *first;
	struct loop *last;
	size_t count;
	struct event sweep; /* the next that is due by time */
	struct loop_run *runs;
};

/* ---- loop.c ---- */
struct loop *loop_alloc(struct manager *m);
/* Enters it into the table. Returns 0, -EEXIST or -ENOMEM. */
int loop_enter(struct loop *l);
/* That of PEER, or NULL. */
struct loop *loop_find_own(struct manager *m, uid_t peer, const char *id);
/* Takes it out again, with its row, and drops the table's reference. */
void loop_forget(struct loop *l);
/* An event: L is in its state now. */
void loop_tell_state(struct loop *l);
/* Logs the edge and tells of it; the caller writes the row. */
void loop_set_state(struct loop *l, enum loop_state state);
/* Appends an op; it begins from the event loop. Returns it, or NULL without memory. */
struct loop_op *loop_submit(struct loop *l, enum loop_verb verb, loop_done *done, void *userdata);
/* Ends the op at the head (E may be NULL: success) and begins the next. */
void loop_op_end(struct loop *l, struct error *e);
/* Before and after sandbox verbs are begun; STEP follows when all have ended, perhaps from inside
 * loop_op_begun(). */
void loop_op_begin(struct loop *l, void (*step)(struct loop *l));
void loop_op_begun(struct loop *l);
/* A sandbox_done for what was begun in between, with the loop as userdata. */
void loop_op_on_done(struct sandbox *s, struct error *e, void *userdata);
/* Returns 0 or -ENOMEM. */
int loop_op_add(struct loop_op *op, struct sandbox *s);
/* Adds every sandbox that belongs to L. */
int loop_op_add_all(struct loop *l);

/* workDir under the rules for PEER. Returns 0, or -1 with *RETERR. */
int loop_open_work_dir(const struct manager *m, uid_t peer, const char *path,
		       struct workspace **ret, struct error *reterr);

/* ---- loop-run.c ---- */
/* Nothing of it is told any more. */
void loop_run_free_all(struct loop_table *t);

/* ---- loop-create.c ---- */
void loop_create_begin(struct loop *l); /* the op at the head is CREATE */

/* ---- loop-end.c ---- */
void loop_cancel_begin(struct loop *l);
void loop_destroy_begin(struct loop *l);
/* The timer of the table is set to what is due next. */
void loop_table_arm(struct loop_table *t);
void loop_table_on_sweep(evutil_socket_t fd, short events, void *userdata);

/* ---- loop-look.c ---- */
/* Asks git what is in L's worktree, for the op at the head; STEP follows, perhaps from inside the
 * call. */
void loop_look(struct loop *l, void (*step)(struct loop *l));
/* By what was found: true, with *RETERR, if something would be lost, or that cannot be told. */
bool loop_would_lose(const struct loop *l, struct error *reterr);

/* ---- loop-row.c ---- */
int loop_row_insert(struct loop *l);
/* Writes what can change; what fails is logged, too. */
int loop_row_update(struct loop *l);
/* Loads every row: what cannot be read is logged and skipped. */
int loop_rows_load(struct manager *m);
