/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of SANDBOX_COLUMNS in statement.c. */

#include "store/sandboxes.h"

#include "store/statement.h"
#include "store/store.h"

static void bind_row(struct statement *st, const struct store_sandbox *row)
{
	bind_text(st, row->id);
	bind_text(st, row->name);
	bind_int(st, row->peer);
	bind_int(st, row->owner);
	bind_text(st, row->tool);
	bind_text(st, row->template_name);
	bind_blob(st, row->layers);
	bind_int(st, row->network);
	bind_int(st, (int64_t)row->limits.memory_bytes);
	bind_int(st, (int64_t)row->limits.shm_bytes);
	bind_int(st, row->limits.cpu_milli);
	bind_int(st, row->limits.pids);
	bind_blob(st, row->workspaces);
	bind_blob(st, row->env);
	bind_blob(st, row->labels);
	bind_text(st, row->state);
	bind_text(st, row->cause);
	bind_int(st, row->hidden);
	bind_int(st, row->foreign_user);
	bind_int(st, row->created_at_ms);
	bind_text(st, row->runtime);
	bind_text(st, row->loop_id);
	bind_int(st, row->ttl_ms);
	bind_int(st, row->idle_timeout_ms);
	bind_int(st, row->remove_on_stop);
	bind_int(st, (int64_t)row->limits.disk_bytes);
	bind_text(st, row->launch_type);
	bind_int(st, row->removing);
	bind_int(st, row->pid);
	bind_int(st, (int64_t)row->pid_since);
}

int store_sandbox_insert(struct store *s, const struct store_sandbox *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_SANDBOX_INSERT);
	bind_row(&st, row);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_sandbox_claim(struct store *s, const struct store_sandbox *row)
{
	struct statement st;

	statement_begin(&st, s, STORE_SANDBOX_CLAIM);
	bind_row(&st, row);
	return statement_run_one(&st);
}

int store_sandbox_update(struct store *s, const struct store_sandbox *row)
{
	struct statement st;

	statement_begin(&st, s, STORE_SANDBOX_UPDATE);
	bind_text(&st, row->state);
	bind_text(&st, row->cause);
	bind_text(&st, row->template_name);
	bind_blob(&st, row->layers);
	bind_int(&st, row->foreign_user);
	bind_text(&st, row->launch_type);
	bind_int(&st, row->removing);
	bind_int(&st, row->pid);
	bind_int(&st, (int64_t)row->pid_since);
	bind_text(&st, row->id);
	return statement_run_one(&st);
}

int store_sandbox_delete(struct store *s, const char *id)
{
	struct statement st;

	statement_begin(&st, s, STORE_SANDBOX_DELETE);
	bind_text(&st, id);
	return statement_run_one(&st);
}

static void read_row(struct statement *st, struct store_sandbox *row)
{
	row->id = column_text(st);
	row->name = column_text(st);
	row->peer = (uid_t)column_int(st);
	row->owner = (uid_t)column_int(st);
	row->tool = column_text(st);
	row->template_name = column_text(st);
	row->layers = column_blob(st);
	row->network = (enum network_mode)column_int(st);
	row->limits.memory_bytes = (uint64_t)column_int(st);
	row->limits.shm_bytes = (uint64_t)column_int(st);
	row->limits.cpu_milli = (uint32_t)column_int(st);
	row->limits.pids = (uint32_t)column_int(st);
	row->workspaces = column_blob(st);
	row->env = column_blob(st);
	row->labels = column_blob(st);
	row->state = column_text(st);
	row->cause = column_text(st);
	row->hidden = column_int(st) != 0;
	row->foreign_user = column_int(st) != 0;
	row->created_at_ms = column_int(st);
	row->runtime = column_text(st);
	row->loop_id = column_text(st);
	row->ttl_ms = column_int(st);
	row->idle_timeout_ms = column_int(st);
	row->remove_on_stop = column_int(st) != 0;
	row->limits.disk_bytes = (uint64_t)column_int(st);
	row->launch_type = column_text(st);
	row->removing = column_int(st) != 0;
	row->pid = (pid_t)column_int(st);
	row->pid_since = (uint64_t)column_int(st);
}

int store_sandbox_load(struct store *s, store_sandbox_row *fn, void *userdata)
{
	struct store_sandbox row = { 0 };
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_SANDBOX_LOAD);
	while ((r = statement_step(&st)) > 0) {
		read_row(&st, &row);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}
