/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The body of the table, for exec-table.c and exec-row.c only. */

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "bounds.h"
#include "sandbox/exec-budget.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-table.h"
#include "util/table.h"

#define KEY_SIZE (NAME_LENGTH_MAX + 1)
#define KEY_BUCKETS 4096 /* two in each when as many are kept as there may be */

/* The execs of one sandbox. */
struct home {
	TAILQ_HEAD(, exec) execs; /* oldest first */
	size_t running;
	size_t ended;
	bool trim_due;           /* in the table's trims */
	bool still;              /* the sandbox does not run at the moment */
	struct sandbox *sandbox; /* of those who wait: referenced until they are told */
	exec_table_done *done;
	void *userdata;
	struct event empty;
	TAILQ_ENTRY(home) in_trims;
};

struct exec_table {
	struct manager *manager;
	struct exec *by_key[KEY_BUCKETS]; /* by next_by_key */
	struct table homes;               /* struct home, by sandbox id */
	TAILQ_HEAD(, exec) all;
	TAILQ_HEAD(, exec) saves; /* their rows are to be written */
	TAILQ_HEAD(, exec) young; /* running, and may end before a row would be of use */
	struct event save_event;
	struct event young_event;
	TAILQ_HEAD(, home) trims; /* sandboxes that have more ended ones than are kept */
	size_t running;
	size_t ended;
	struct exec_budget budget;
	struct wire_message *message;
};

/* ---- exec-row.c ---- */
void exec_rows_init(struct exec_table *t);
/* Loads what an earlier daemon left. Returns 0 or negative errno. */
int exec_rows_load(struct exec_table *t);
/* Writes as many as one turn of the loop is for; true when all are written. */
bool exec_rows_write(struct exec_table *t);
/* Writes all that have changed, the young ones, too: nothing comes after. */
void exec_rows_flush(struct exec_table *t);
/* E is dropped: nothing of it is written any more. */
void exec_rows_forget(struct exec_table *t, struct exec *e);
void exec_rows_deinit(struct exec_table *t);

/* ---- exec-table.c ---- */
/* The timer that writes, trims and drops goes off in MS, unless it does so anyway. */
void exec_table_schedule(struct exec_table *t, int64_t ms);
/* Enters E under KEY; running ones count. Returns 0 or negative errno. */
int exec_table_enter(struct exec_table *t, struct exec *e, const char *key);
/* E, which was loaded, runs or has ended. */
void exec_table_count_running(struct exec_table *t, struct exec *e);
void exec_table_count_ended(struct exec_table *t, struct exec *e);
