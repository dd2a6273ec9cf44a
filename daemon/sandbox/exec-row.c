/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of execs. Most are written from a timer, so that no reply waits for the disk: who ended with
 * captured output, and who has run for a while, whoever waits for it: a later daemon leads it to
 * its end. A detached one is known by its id alone, so its row is committed before init is asked.
 *
 * Init keeps the end of an exec until it is acknowledged, and that is done when its row is written:
 * an end is always in one of both places. */

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "sandbox/event-log.h"
#include "sandbox/event.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/exec-table-internal.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "store/execs.h"
#include "store/store.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

#define SAVE_DELAY_MS 20
#define SAVE_AGAIN_MS 1000 /* when the disk was full */
#define SAVES_AT_ONCE 64   /* rows in one turn of the loop */
#define YOUNG_MS 100       /* most commands are over by then */

static void schedule_young(struct exec_table *t)
{
	static const struct timeval delay = { .tv_usec = YOUNG_MS * 1000 };

	if (!evtimer_pending(&t->young_event, NULL))
		(void)event_add(&t->young_event, &delay); /* no memory: with the next one */
}

/* ---- writing ---- */

/* What the daemon makes for itself goes with the daemon. */
static bool may_have_row(const struct exec *e)
{
	return !sandbox_is_hidden(e->sandbox);
}

/* Somebody may come back for it who knows nothing but its id or its key. */
static bool is_asked_for(const struct exec *e)
{
	return e->facts.detached || e->keyed;
}

static bool is_kept(const struct exec *e)
{
	return e->facts.streams != 0 || is_asked_for(e) || e->left_behind;
}

static enum store_exec_input input_of(const struct exec *e)
{
	if (!e->input)
		return STORE_EXEC_INPUT_NONE;
	if (exec_stdin_is_closing(e->input))
		return exec_stdin_pending(e->input) > 0 ? STORE_EXEC_INPUT_CUT
							: STORE_EXEC_INPUT_CLOSED;
	return STORE_EXEC_INPUT_OPEN;
}

static void fill_run(const struct exec *e, struct store_exec_run *run)
{
	*run = (struct store_exec_run){ .init_exec = e->init_exec,
					.uid = e->uid,
					.tty = e->facts.tty,
					.passed = e->facts.passed,
					.input = input_of(e),
					.begun_ms = e->begun_ms,
					.deadline_ms = e->deadline_ms,
					.left_ms = e->still ? e->left_ms : -1,
					.grace_ms = e->grace_ms,
					.keep_leftovers = e->keep_leftovers,
					.spool_max = e->facts.spool_max,
					.ending = e->ending,
					.oom_kills_before = e->oom_kills_before };
}

static void fill_row(const struct exec *e, struct store_exec *row)
{
	const struct exec_facts *f = &e->facts;
	size_t i;

	*row = (struct store_exec){ .id = e->key,
				    .sandbox = sandbox_id(e->sandbox),
				    .peer = e->peer,
				    .command = f->command,
				    .command_size = f->command_size,
				    .stage = f->stage,
				    .story_id = f->story_id,
				    .state = f->state,
				    .detached = f->detached,
				    .keyed = e->keyed,
				    .streams = f->streams |
					       (f->spool_dropped ? STORE_EXEC_SPOOL_DROPPED : 0),
				    .created_at_ms = f->created_at_ms,
				    .result = f->result };
	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		row->stream_end[i] = f->stream[i].end;
		row->stream_start[i] = f->stream[i].start;
	}
	fill_run(e, &row->run);
}

static void cannot_store(const struct exec *e, int error)
{
	if (log_ratelimit())
		(void)log_errno(LOG_LEVEL_WARNING, error,
				"exec %s cannot be stored, a restart may forget it", e->facts.id);
}

static int write_row(struct exec_table *t, const struct exec *e)
{
	struct store_exec row;

	fill_row(e, &row);
	return e->stored ? store_exec_update(t->manager->store, &row)
			 : store_exec_insert(t->manager->store, &row);
}

static void unqueue(struct exec_table *t, struct exec *e)
{
	if (e->save_queued)
		TAILQ_REMOVE(&t->saves, e, in_saves);
	if (e->young)
		TAILQ_REMOVE(&t->young, e, in_saves);
	e->save_queued = e->young = false;
}

static void queue(struct exec_table *t, struct exec *e)
{
	if (e->save_queued)
		return;
	unqueue(t, e);
	e->save_queued = true;
	TAILQ_INSERT_TAIL(&t->saves, e, in_saves);
}

int exec_table_commit(struct exec_table *t, struct exec *e, struct error *reterr)
{
	int r;

	if (!may_have_row(e) || !is_asked_for(e))
		return 0;
	unqueue(t, e);
	r = write_row(t, e);
	if (r == 0) {
		e->stored = true;
		return 0;
	}
	return store_refuse(r, "the command", reterr);
}

void exec_table_save_now(struct exec_table *t, struct exec *e)
{
	int r;

	if (!e->stored || !e->home)
		return;
	unqueue(t, e);
	r = write_row(t, e);
	if (r < 0)
		cannot_store(e, r);
}

void exec_table_save(struct exec_table *t, struct exec *e)
{
	const bool ended = e->facts.state == EXEC_STATE_ENDED;

	if (!e->home || !may_have_row(e))
		return;
	if (e->stored || is_asked_for(e) || (ended && is_kept(e))) {
		queue(t, e);
		exec_table_schedule(t, SAVE_DELAY_MS);
	} else if (ended) {
		unqueue(t, e); /* its result was its client's alone */
	} else if (!e->young) {
		e->young = true;
		TAILQ_INSERT_TAIL(&t->young, e, in_saves);
		schedule_young(t);
	}
}

static void on_young(evutil_socket_t fd, short what, void *userdata)
{
	struct exec_table *t = userdata;
	int64_t now = time_monotonic_ms();
	struct exec *e;

	(void)fd;
	(void)what;
	while ((e = TAILQ_FIRST(&t->young)) && now - e->begun_ms >= YOUNG_MS)
		queue(t, e);
	if (!TAILQ_EMPTY(&t->saves))
		exec_table_schedule(t, 0);
	if (e)
		schedule_young(t);
}

/* Nothing of it was stored. Who can be found again by his id alone is known to init until he is;
 * the others are not worth its memory. */
static void save_again(struct exec_table *t, struct exec *e, int error)
{
	cannot_store(e, error);
	queue(t, e);
	if (!is_asked_for(e))
		exec_row_written(e);
}

bool exec_rows_write(struct exec_table *t)
{
	struct exec *execs[SAVES_AT_ONCE], *e;
	bool was_stored[SAVES_AT_ONCE], failed = false;
	int results[SAVES_AT_ONCE], r;
	size_t n = 0, i;

	while (n < SAVES_AT_ONCE && (e = TAILQ_FIRST(&t->saves))) {
		unqueue(t, e);
		execs[n++] = e;
	}
	if (n == 0)
		return true;
	event_log_batch_begin(t->manager); /* else one by one */
	for (i = 0; i < n; i++) {
		was_stored[i] = execs[i]->stored;
		results[i] = write_row(t, execs[i]);
		execs[i]->stored = was_stored[i] || results[i] == 0;
	}
	r = event_log_batch_end(t->manager);
	for (i = 0; i < n; i++) {
		if (r == 0 && (results[i] == 0 || results[i] == -ENOENT)) {
			exec_row_written(execs[i]);
			continue;
		}
		failed = true;
		execs[i]->stored = was_stored[i];
		save_again(t, execs[i], r < 0 ? r : results[i]);
	}
	if (!TAILQ_EMPTY(&t->saves))
		exec_table_schedule(t, failed ? SAVE_AGAIN_MS : 0);
	return !failed;
}

void exec_rows_flush(struct exec_table *t)
{
	struct exec *e;

	while ((e = TAILQ_FIRST(&t->young)))
		queue(t, e);
	while (!TAILQ_EMPTY(&t->saves))
		if (!exec_rows_write(t))
			return; /* logged there */
}

void exec_rows_forget(struct exec_table *t, struct exec *e)
{
	unqueue(t, e);
}

void exec_rows_init(struct exec_table *t)
{
	TAILQ_INIT(&t->saves);
	TAILQ_INIT(&t->young);
	evtimer_assign(&t->young_event, t->manager->base, on_young, t);
}

void exec_rows_deinit(struct exec_table *t)
{
	(void)event_del(&t->young_event);
}

/* ---- what an earlier daemon left ---- */

struct loading {
	struct exec_table *table;
	struct string_list orphans; /* rows whose sandbox is gone */
};

/* The other way round than make_key() of exec-table.c. */
static void restore_facts(struct exec *e, const struct store_exec *row)
{
	struct exec_facts *f = &e->facts;
	size_t i;

	f->state = row->state;
	f->detached = row->detached;
	f->streams = row->streams & ((1u << KEEPER_STREAM_MAX) - 1);
	f->spool_dropped = (row->streams & STORE_EXEC_SPOOL_DROPPED) != 0;
	f->created_at_ms = row->created_at_ms;
	f->result = row->result;
	f->tty = row->run.tty;
	f->passed = row->run.passed;
	f->spool_max = row->run.spool_max;
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		f->stream[i] = (struct keeper_stream_state){ .end = row->stream_end[i],
							     .start = row->stream_start[i],
							     .eof = 1 };
}

static int restore_texts(struct exec *e, const struct store_exec *row)
{
	struct exec_facts *f = &e->facts;
	int r;

	f->command = malloc(row->command_size + 1);
	if (!f->command)
		return -ENOMEM;
	memcpy(f->command, row->command, row->command_size);
	f->command[row->command_size] = '\0';
	f->command_size = row->command_size;
	r = string_copy(row->stage, &f->stage);
	if (r == 0)
		r = string_copy(row->story_id, &f->story_id);
	return r;
}

static int restore(struct exec_table *t, struct sandbox *s, const struct store_exec *row,
		   struct exec **ret)
{
	struct exec *e = NULL;
	int r;

	r = exec_new(&e, t->manager, s);
	if (r < 0)
		return r;
	*ret = e;
	e->peer = row->peer;
	e->phase = EXEC_PHASE_ENDED;
	e->stored = true;
	e->uid = row->run.uid;
	e->init_exec = row->run.init_exec;
	e->begun_ms = row->run.begun_ms;
	e->deadline_ms = row->run.deadline_ms;
	e->grace_ms = row->run.grace_ms;
	e->keep_leftovers = row->run.keep_leftovers;
	e->keyed = row->keyed;
	e->asked = true; /* for all that is known */
	e->ending = row->run.ending;
	e->oom_kills_before = row->run.oom_kills_before;
	e->left_ms = row->run.left_ms;
	e->input_before = (uint8_t)row->run.input;
	restore_facts(e, row);
	r = restore_texts(e, row);
	return r == 0 ? exec_table_enter(t, e, row->id) : r;
}

/* It ran when the daemon died, and its sandbox died with it. */
static void end_orphan(struct exec_table *t, struct exec *e)
{
	struct exec_result *r = &e->facts.result;

	e->facts.state = EXEC_STATE_ENDED;
	exec_spool_measure(e);
	r->exit_code = -1;
	r->cause = EXEC_CAUSE_SANDBOX_LOST;
	r->completed_at_ms = time_realtime_ms();
	r->duration_ms = r->started_at_ms > 0 ? r->completed_at_ms - r->started_at_ms : 0;
	event_exec_ended(e);
	exec_table_save(t, e);
}

/* Its sandbox runs, or so it seems: exec-adopt.c goes on with it. */
static void await_adoption(struct exec_table *t, struct exec *e)
{
	size_t i;

	e->adopting = true;
	e->phase = e->facts.state == EXEC_STATE_STARTING ? EXEC_PHASE_SPAWNING : EXEC_PHASE_RUNNING;
	e->spool_opened = e->facts.streams != 0 || e->input_before != STORE_EXEC_INPUT_NONE;
	/* without memory it is as if its keeper had kept no copy */
	if (e->input_before == STORE_EXEC_INPUT_OPEN)
		(void)exec_stdin_new(&e->input, t->manager->base);
	e->client_gone = !e->facts.detached;
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		e->facts.stream[i].eof = 0;
	exec_table_count_running(t, e);
}

static bool may_run(const struct sandbox *s)
{
	return sandbox_state(s) == SANDBOX_STATE_RUNNING ||
	       sandbox_state(s) == SANDBOX_STATE_PAUSED;
}

static int load_row(const struct store_exec *row, void *userdata)
{
	struct loading *l = userdata;
	struct exec_table *t = l->table;
	struct exec *e = NULL;
	struct sandbox *s;
	int r;

	s = sandbox_find(t->manager, 0, row->sandbox, NULL);
	if (!s)
		return string_list_add(&l->orphans, row->id);
	r = restore(t, s, row, &e);
	if (r == 0 && e->facts.state != EXEC_STATE_ENDED && may_run(s)) {
		await_adoption(t, e);
		exec_budget_count(&t->budget, e);
	} else if (r == 0) {
		exec_table_count_ended(t, e);
		if (e->facts.state != EXEC_STATE_ENDED)
			end_orphan(t, e);
		exec_drop_events(e);
		exec_budget_count(&t->budget, e);
		exec_budget_ended(&t->budget, e);
	}
	(void)exec_unref(e);
	return r;
}

int exec_rows_load(struct exec_table *t)
{
	struct loading l = { .table = t };
	size_t i;
	int r;

	r = store_exec_load(t->manager->store, load_row, &l);
	for (i = 0; r == 0 && i < l.orphans.count; i++)
		(void)store_exec_delete(t->manager->store, l.orphans.items[i]); /* logged there */
	string_list_deinit(&l.orphans);
	if (r == 0)
		exec_spools_sweep(t, t->manager->state_fd);
	return r;
}
