/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of EXEC_COLUMNS in statement.c: id, sandbox, peer, then what an
 * update writes anew. */

#include "store/execs.h"

#include <errno.h>

#include "store/statement.h"
#include "store/store.h"

static void bind_result(struct statement *st, const struct exec_result *result)
{
	bind_int(st, result->exit_code);
	bind_int(st, result->signal);
	bind_int(st, result->cause);
	bind_int(st, result->start_error);
	bind_int(st, result->start_errno);
	bind_int(st, result->truncated);
	bind_int(st, result->started_at_ms);
	bind_int(st, result->completed_at_ms);
	bind_int(st, result->duration_ms);
	bind_int(st, (int64_t)result->cpu_ms);
	bind_int(st, (int64_t)result->peak_memory_bytes);
	bind_int(st, result->leftovers);
	bind_int(st, (int64_t)result->oom_kills);
}

static void bind_run(struct statement *st, const struct store_exec_run *run)
{
	bind_int(st, (int64_t)run->init_exec);
	bind_int(st, run->uid);
	bind_int(st, run->tty);
	bind_int(st, run->passed);
	bind_int(st, run->input);
	bind_int(st, run->begun_ms);
	bind_int(st, run->deadline_ms);
	bind_int(st, run->left_ms);
	bind_int(st, run->grace_ms);
	bind_int(st, run->keep_leftovers);
	bind_int(st, (int64_t)run->spool_max);
	bind_int(st, run->ending == EXEC_CAUSE_MAX ? -1 : (int64_t)run->ending);
	bind_int(st, (int64_t)run->oom_kills_before);
}

static void bind_changing(struct statement *st, const struct store_exec *row)
{
	int i;

	bind_blob(st, (struct bytes){ row->command, row->command_size });
	bind_text(st, row->stage);
	bind_text(st, row->story_id);
	bind_int(st, row->state);
	bind_int(st, row->detached);
	bind_int(st, row->keyed);
	bind_int(st, row->streams);
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		bind_int(st, (int64_t)row->stream_end[i]);
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		bind_int(st, (int64_t)row->stream_start[i]);
	bind_int(st, row->created_at_ms);
	bind_result(st, &row->result);
	bind_run(st, &row->run);
}

int store_exec_insert(struct store *s, const struct store_exec *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_EXEC_INSERT);
	bind_text(&st, row->id);
	bind_text(&st, row->sandbox);
	bind_int(&st, row->peer);
	bind_changing(&st, row);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_exec_update(struct store *s, const struct store_exec *row)
{
	struct statement st;

	statement_begin(&st, s, STORE_EXEC_UPDATE);
	bind_changing(&st, row);
	bind_text(&st, row->id);
	return statement_run_one(&st);
}

int store_exec_delete(struct store *s, const char *id)
{
	struct statement st;

	statement_begin(&st, s, STORE_EXEC_DELETE);
	bind_text(&st, id);
	return statement_run_one(&st);
}

int store_exec_delete_sandbox(struct store *s, const char *sandbox)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_EXEC_DELETE_SANDBOX);
	bind_text(&st, sandbox);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

static void read_result(struct statement *st, struct exec_result *result)
{
	result->exit_code = (int)column_int(st);
	result->signal = (int)column_int(st);
	result->cause = (enum exec_cause)column_int(st);
	result->start_error = (uint32_t)column_int(st);
	result->start_errno = (int)column_int(st);
	result->truncated = column_int(st) != 0;
	result->started_at_ms = column_int(st);
	result->completed_at_ms = column_int(st);
	result->duration_ms = column_int(st);
	result->cpu_ms = (uint64_t)column_int(st);
	result->peak_memory_bytes = (uint64_t)column_int(st);
	result->leftovers = (uint32_t)column_int(st);
	result->oom_kills = (uint64_t)column_int(st);
}

static void read_run(struct statement *st, struct store_exec_run *run)
{
	int64_t ending;

	run->init_exec = (uint64_t)column_int(st);
	run->uid = (uint32_t)column_int(st);
	run->tty = column_int(st) != 0;
	run->passed = (uint32_t)column_int(st);
	run->input = (enum store_exec_input)column_int(st);
	run->begun_ms = column_int(st);
	run->deadline_ms = column_int(st);
	run->left_ms = column_int(st);
	run->grace_ms = column_int(st);
	run->keep_leftovers = column_int(st) != 0;
	run->spool_max = (uint64_t)column_int(st);
	ending = column_int(st);
	run->ending = ending < 0 ? EXEC_CAUSE_MAX : (enum exec_cause)ending;
	run->oom_kills_before = (uint64_t)column_int(st);
}

static void read_row(struct statement *st, struct store_exec *row)
{
	struct bytes blob;
	int i;

	row->id = column_text(st);
	row->sandbox = column_text(st);
	row->peer = (uid_t)column_int(st);
	blob = column_blob(st);
	row->command = blob.data;
	row->command_size = blob.size;
	row->stage = column_text(st);
	row->story_id = column_text(st);
	row->state = (enum exec_state)column_int(st);
	row->detached = column_int(st) != 0;
	row->keyed = column_int(st) != 0;
	row->streams = (uint32_t)column_int(st);
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		row->stream_end[i] = (uint64_t)column_int(st);
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		row->stream_start[i] = (uint64_t)column_int(st);
	row->created_at_ms = column_int(st);
	read_result(st, &row->result);
	read_run(st, &row->run);
}

int store_exec_load(struct store *s, store_exec_row *fn, void *userdata)
{
	struct store_exec row = { 0 };
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_EXEC_LOAD);
	while ((r = statement_step(&st)) > 0) {
		read_row(&st, &row);
		if ((unsigned)row.state >= EXEC_STATE_MAX ||
		    (unsigned)row.result.cause >= EXEC_CAUSE_MAX ||
		    (unsigned)row.run.ending > EXEC_CAUSE_MAX)
			r = -EBADMSG;
		else
			r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}
