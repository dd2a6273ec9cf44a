/* SPDX-License-Identifier: Apache-2.0 */
/* Column order is that of LOOP_COLUMNS in statement.c. */

#include "store/loops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/statement.h"
#include "store/store.h"

int store_loop_insert(struct store *s, const struct store_loop *row)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LOOP_INSERT);
	bind_int(&st, row->peer);
	bind_text(&st, row->loop_id);
	bind_text(&st, row->state);
	bind_blob(&st, row->work_dir);
	bind_blob(&st, row->tools);
	bind_text(&st, row->template_name);
	bind_text(&st, row->runtime);
	bind_int(&st, row->network);
	bind_int(&st, (int64_t)row->limits.memory_bytes);
	bind_int(&st, (int64_t)row->limits.shm_bytes);
	bind_int(&st, row->limits.cpu_milli);
	bind_int(&st, row->limits.pids);
	bind_blob(&st, row->env);
	bind_blob(&st, row->labels);
	bind_int(&st, row->ttl_ms);
	bind_int(&st, row->created_at_ms);
	bind_int(&st, row->ended_at_ms);
	bind_text(&st, row->reason);
	bind_text(&st, row->head_sha);
	bind_blob(&st, row->receipt);
	bind_blob(&st, row->stages);
	bind_int(&st, (int64_t)row->limits.disk_bytes);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_loop_update(struct store *s, const struct store_loop *row)
{
	struct statement st;

	statement_begin(&st, s, STORE_LOOP_UPDATE);
	bind_text(&st, row->state);
	bind_blob(&st, row->tools);
	bind_int(&st, row->ended_at_ms);
	bind_text(&st, row->reason);
	bind_text(&st, row->head_sha);
	bind_blob(&st, row->receipt);
	bind_int(&st, row->peer);
	bind_text(&st, row->loop_id);
	return statement_run_one(&st);
}

int store_loop_keep(struct store *s, uid_t peer, const char *loop_id, enum store_kept kind,
		    struct bytes data)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LOOP_KEEP);
	bind_int(&st, peer);
	bind_text(&st, loop_id);
	bind_int(&st, kind);
	bind_blob(&st, data);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

int store_loop_kept_trim(struct store *s, int64_t max_bytes)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LOOP_KEPT_TRIM);
	bind_int(&st, STORE_KEPT_BEGINNING);
	bind_int(&st, max_bytes);
	r = statement_run(&st);
	return r < 0 ? r : 0;
}

static int copy_block(struct bytes b, char **ret, size_t *ret_size)
{
	char *copy = malloc(b.size + 1);

	if (!copy)
		return -ENOMEM;
	if (b.size > 0)
		memcpy(copy, b.data, b.size);
	*ret = copy;
	*ret_size = b.size;
	return 0;
}

int store_loop_kept(struct store *s, uid_t peer, const char *loop_id, enum store_kept kind,
		    char **ret, size_t *ret_size)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LOOP_KEPT);
	bind_int(&st, peer);
	bind_text(&st, loop_id);
	bind_int(&st, kind);
	r = statement_step(&st);
	if (r > 0)
		r = copy_block(column_blob(&st), ret, ret_size);
	else if (r == 0)
		r = -ENOENT;
	statement_end(&st);
	return r;
}

int store_loop_delete(struct store *s, uid_t peer, const char *loop_id)
{
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LOOP_KEPT_DELETE);
	bind_int(&st, peer);
	bind_text(&st, loop_id);
	r = statement_run(&st);
	if (r < 0)
		return r;
	statement_begin(&st, s, STORE_LOOP_DELETE);
	bind_int(&st, peer);
	bind_text(&st, loop_id);
	return statement_run_one(&st);
}

static void read_row(struct statement *st, struct store_loop *row)
{
	row->peer = (uid_t)column_int(st);
	row->loop_id = column_text(st);
	row->state = column_text(st);
	row->work_dir = column_blob(st);
	row->tools = column_blob(st);
	row->template_name = column_text(st);
	row->runtime = column_text(st);
	row->network = (enum network_mode)column_int(st);
	row->limits.memory_bytes = (uint64_t)column_int(st);
	row->limits.shm_bytes = (uint64_t)column_int(st);
	row->limits.cpu_milli = (uint32_t)column_int(st);
	row->limits.pids = (uint32_t)column_int(st);
	row->env = column_blob(st);
	row->labels = column_blob(st);
	row->ttl_ms = column_int(st);
	row->created_at_ms = column_int(st);
	row->ended_at_ms = column_int(st);
	row->reason = column_text(st);
	row->head_sha = column_text(st);
	row->receipt = column_blob(st);
	row->stages = column_blob(st);
	row->limits.disk_bytes = (uint64_t)column_int(st);
}

int store_loop_load(struct store *s, store_loop_row *fn, void *userdata)
{
	struct store_loop row = { 0 };
	struct statement st;
	int r;

	statement_begin(&st, s, STORE_LOOP_LOAD);
	while ((r = statement_step(&st)) > 0) {
		read_row(&st, &row);
		r = fn(&row, userdata);
		if (r != 0)
			break;
	}
	statement_end(&st);
	return r;
}
