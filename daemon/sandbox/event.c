/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/event.h"

#include "sandbox/event-log.h"
#include "sandbox/exec-activity.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/pool-internal.h"
#include "sandbox/sandbox.h"
#include "util/time.h"

void event_daemon(struct manager *m, const char *type)
{
	struct event_note n = { .type = type, .peer = EVENT_PEER_EVERYBODY };

	event_note_text(&n, "version", SANDBOXD_VERSION);
	event_log_add(m, &n);
}

struct event_note event_about_sandbox(const struct sandbox *s, const char *type)
{
	const struct sandbox_facts *f = sandbox_facts(s);

	return (struct event_note){ .type = type,
				    .peer = f->peer,
				    .loop_id = f->loop_id,
				    .sandbox = f->name,
				    .sandbox_id = f->id,
				    .tool = f->tool,
				    .state = sandbox_state_to_string(f->state),
				    .labels = &f->labels };
}

void event_sandbox_state(struct sandbox *s, const char *from)
{
	const struct sandbox_facts *f = sandbox_facts(s);
	struct event_note n = event_about_sandbox(s, "sandbox.state");

	if (sandbox_is_hidden(s))
		return;
	event_note_text(&n, "id", f->id);
	event_note_text(&n, "state", n.state);
	event_note_text(&n, "from", from);
	event_note_text(&n, "cause", f->cause);
	event_note_text(&n, "tool", f->tool);
	event_note_text(&n, "template", f->template_name);
	if (f->state == SANDBOX_STATE_RUNNING)
		event_note_text(&n, "launchType", sandbox_launch_to_string(f->launch));
	event_log_add(sandbox_manager(s), &n);
}

void event_sandbox_limit(struct sandbox *s, const char *limit, uint64_t used, uint64_t max)
{
	struct event_note n = event_about_sandbox(s, "sandbox.limit");

	if (sandbox_is_hidden(s))
		return;
	event_note_text(&n, "limit", limit);
	if (used > 0)
		event_note_number(&n, "used", (int64_t)used);
	if (max > 0)
		event_note_number(&n, "max", (int64_t)max);
	event_log_add(sandbox_manager(s), &n);
}

void event_sandbox_look_oom(struct sandbox *s)
{
	struct event_note n = event_about_sandbox(s, "sandbox.oom");
	uint64_t kills = sandbox_new_oom_kills(s);

	if (kills == 0 || sandbox_is_hidden(s))
		return;
	event_note_number(&n, "kills", (int64_t)kills);
	if (sandbox_facts(s)->limits.memory_bytes > 0)
		event_note_number(&n, "memoryBytes",
				  (int64_t)sandbox_facts(s)->limits.memory_bytes);
	event_log_add(sandbox_manager(s), &n);
}

/* ---- templates and pools ---- */

void event_template(struct manager *m, const struct template_row_name *t, const char *state,
		    const char *reason)
{
	struct event_note n = {
		.type = "template.state", .peer = t->owner, .tool = t->tool, .state = state
	};

	event_note_text(&n, "template", t->name);
	event_note_text(&n, "state", state);
	if (t->tool)
		event_note_text(&n, "tool", t->tool);
	if (reason)
		event_note_text(&n, "reason", reason);
	event_log_add(m, &n);
}

static struct event_note about_pool(const struct pool *p, const char *type)
{
	struct event_note n = { .type = type, .peer = p->owner };

	event_note_text(&n, "template", p->template_name);
	return n;
}

void event_pool_ready(const struct pool *p)
{
	struct event_note n = about_pool(p, "pool.ready");
	uint32_t starting, ready;

	pool_count(p, &starting, &ready);
	event_note_number(&n, "ready", ready);
	event_note_number(&n, "target", p->target);
	event_log_add(p->table->manager, &n);
}

void event_pool_failed(const struct pool *p)
{
	struct event_note n = about_pool(p, "pool.failed");

	event_note_text(&n, "reason", p->failure);
	event_note_number(&n, "failuresInRow", p->failures_in_row);
	event_note_time(&n, "retryAt", time_realtime_ms() + p->retry_at_ms - time_boottime_ms());
	event_log_add(p->table->manager, &n);
}

void event_pool_set(const struct pool *p)
{
	struct event_note n = about_pool(p, "pool.set");

	event_note_number(&n, "min", p->settings.min);
	event_note_number(&n, "max", p->settings.max);
	if (p->settings.max_age_ms >= 0)
		event_note_number(&n, "maxAgeMs", p->settings.max_age_ms);
	event_log_add(p->table->manager, &n);
}

/* ---- execs ---- */

struct event_note event_about_exec(const struct exec *e, const char *type)
{
	struct event_note n = event_about_sandbox(exec_sandbox(e), type);
	const struct exec_facts *f = exec_facts(e);

	n.exec_id = f->id;
	n.state = exec_state_to_string(f->state);
	if (f->stage)
		event_note_text(&n, "stage", f->stage);
	if (f->story_id)
		event_note_text(&n, "storyId", f->story_id);
	return n;
}

void event_exec_started(struct exec *e)
{
	struct event_note n = event_about_exec(e, EVENT_EXEC_STARTED);
	const struct exec_facts *f = exec_facts(e);

	if (sandbox_is_hidden(exec_sandbox(e)))
		return;
	event_note_number(&n, "pid", f->pid);
	event_note_time(&n, "startedAt", f->result.started_at_ms);
	event_log_add(sandbox_manager(exec_sandbox(e)), &n);
}

void event_exec_ended(struct exec *e)
{
	struct event_note n = event_about_exec(e, EVENT_EXEC_ENDED);
	const struct exec_result *r = &exec_facts(e)->result;

	event_sandbox_look_oom(exec_sandbox(e)); /* first, as it may be why */
	if (sandbox_is_hidden(exec_sandbox(e)))
		return;
	event_note_text(&n, "cause", exec_cause_to_string(r->cause));
	if (r->exit_code >= 0)
		event_note_number(&n, "exitCode", r->exit_code);
	else
		event_note_text(&n, "exitCode", NULL);
	if (r->signal > 0)
		event_note_number(&n, "signal", r->signal);
	else
		event_note_text(&n, "signal", NULL);
	event_note_number(&n, "durationMs", r->duration_ms);
	event_note_number(&n, "cpuMs", (int64_t)r->cpu_ms);
	event_note_number(&n, "peakMemoryBytes", (int64_t)r->peak_memory_bytes);
	event_note_number(&n, "leftovers", r->leftovers);
	event_note_number(&n, "oomKills", (int64_t)r->oom_kills);
	event_log_add(sandbox_manager(exec_sandbox(e)), &n);
}

void event_exec_stalled(struct exec *e, int64_t idle_ms, const struct exec_wait *wait)
{
	struct event_note n = event_about_exec(e, "exec.stalled");

	event_note_number(&n, "idleMs", idle_ms);
	event_note_text(&n, "waitsOn", wait->leader);
	if (wait->name) {
		event_note_text(&n, "process", wait->name);
		event_note_text(&n, "processWaitsOn", wait->process);
	}
	event_log_add(sandbox_manager(exec_sandbox(e)), &n);
}

void event_exec_resumed(struct exec *e, int64_t idle_ms)
{
	struct event_note n = event_about_exec(e, "exec.resumed");

	event_note_number(&n, "idleMs", idle_ms);
	event_log_add(sandbox_manager(exec_sandbox(e)), &n);
}
