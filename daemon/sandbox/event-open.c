/* SPDX-License-Identifier: Apache-2.0 */
/* Each exec.started is followed by one exec.ended, whatever happens to the daemon. One that has a
 * row tells its end by itself, sooner or later. The others ended with the daemon that knew them:
 * what the log has of those without an end gets one at the next start. */

#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "sandbox/event-log.h"
#include "sandbox/event.h"
#include "sandbox/exec-table.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "store/events.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/table.h"

/* What was started, and not ended further on. */
struct open_exec {
	int64_t peer;
	char *exec_id;
	char *sandbox;
	char *sandbox_id;
	char *loop_id;
	char *tool;
};

static void open_free(struct open_exec *o)
{
	if (!o)
		return;
	free(o->exec_id);
	free(o->sandbox);
	free(o->sandbox_id);
	free(o->loop_id);
	free(o->tool);
	free(o);
}

static int remember(struct table *t, const char *key, const struct store_event *row)
{
	struct open_exec *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->peer = row->peer;
	if (string_copy(row->exec_id, &o->exec_id) < 0 ||
	    string_copy(row->sandbox, &o->sandbox) < 0 ||
	    string_copy(row->sandbox_id, &o->sandbox_id) < 0 ||
	    string_copy(row->loop_id, &o->loop_id) < 0 || string_copy(row->tool, &o->tool) < 0 ||
	    table_add(t, key, o) < 0)
		open_free(o);
	return 0;
}

static int look_at_row(const struct store_event *row, void *userdata)
{
	bool started = strcmp(row->type, EVENT_EXEC_STARTED) == 0;
	struct table *t = userdata;
	CLEANUP_STR char *key = NULL;

	if (!row->exec_id || (!started && strcmp(row->type, EVENT_EXEC_ENDED) != 0))
		return 0;
	key = string_format("%lld/%s", (long long)row->peer, row->exec_id);
	if (!key)
		return -ENOMEM;
	open_free(table_remove(t, key));
	return started ? remember(t, key, row) : 0;
}

static bool end_one(void *value, void *userdata)
{
	struct open_exec *o = value;
	struct manager *m = userdata;
	struct event_note n = { .type = EVENT_EXEC_ENDED,
				.peer = o->peer,
				.loop_id = o->loop_id,
				.sandbox = o->sandbox,
				.sandbox_id = o->sandbox_id,
				.exec_id = o->exec_id,
				.tool = o->tool,
				.state = exec_state_to_string(EXEC_STATE_ENDED) };

	if (!exec_table_find(m->execs, (uid_t)o->peer, o->exec_id)) {
		event_note_text(&n, "cause", exec_cause_to_string(EXEC_CAUSE_SANDBOX_LOST));
		event_note_text(&n, "exitCode", NULL);
		event_note_text(&n, "signal", NULL);
		event_log_add(m, &n);
	}
	open_free(o);
	return true;
}

void event_end_lost(struct manager *m)
{
	struct table open = { 0 };
	int r = store_event_load(m->store, 0, INT64_MAX, look_at_row, &open);

	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "some commands may be told as running for ever");
	table_each(&open, end_one, m);
	table_deinit(&open);
}
