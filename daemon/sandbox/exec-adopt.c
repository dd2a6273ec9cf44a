/* SPDX-License-Identifier: Apache-2.0 */
/* Execs that an earlier daemon began. Their rows say what they are, init says which of them run and
 * which have ended, the keeper has their output, and a copy of what leads to their stdin. Until all
 * three are together an exec is `adopting`: it counts as running, and what is asked of it waits.
 *
 * Whoever waited for one has lost his connection. If it was to end with that (onDisconnect cancel)
 * he has RETURN_MS to come back; from then on it is as with any disconnect. */

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/exec-table-internal.h"
#include "sandbox/init-client.h"
#include "sandbox/journal.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "sandbox/secret-file.h"
#include "store/execs.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

/* ---- its client ---- */

static void on_return_timer(evutil_socket_t fd, short what, void *userdata)
{
	struct exec *e = userdata;

	(void)fd;
	(void)what;
	if (LIST_EMPTY(&e->followers) && e->facts.state != EXEC_STATE_ENDED) {
		log_info("exec %s: its client has not come back, ending it", e->facts.id);
		exec_end(e, EXEC_CAUSE_CANCELLED);
	}
}

void exec_await_return(struct exec *e)
{
	static const struct timeval patience = { .tv_sec = RETURN_MS / 1000 };

	if (!e->client_gone || e->facts.state == EXEC_STATE_ENDED || !LIST_EMPTY(&e->followers))
		return;
	if (event_add(&e->events->client, &patience) < 0)
		log_error("exec %s: no memory to wait for its client, it goes on without",
			  e->facts.id);
}

void exec_adopt_init(struct exec *e)
{
	evtimer_assign(&e->events->client, e->manager->base, on_return_timer, e);
}

/* ---- its output and its stdin ---- */

/* Its size and, if it was open, its input. */
static int take_terminal(struct exec *e, int master)
{
	int input;

	exec_set_terminal(e, master);
	if (!e->input)
		return 0;
	input = fcntl(master, F_DUPFD_CLOEXEC, 3);
	return input < 0 ? -errno : exec_stdin_attach(e->input, input, true);
}

static int take_fds(struct exec *e, struct wire_message *m)
{
	const struct keeper_spool_adopt_reply *reply = (const void *)m->data;
	uint32_t next = 0;
	int fd, r = 0;

	if (reply->has_stdin) {
		fd = wire_take_fd(m, next++);
		if (fd >= 0 && e->input)
			r = exec_stdin_attach(e->input, fd, false);
		else
			(void)close_fd(fd);
	}
	if (reply->has_pty && r == 0) {
		fd = wire_take_fd(m, next);
		r = fd < 0 ? -EBADMSG : take_terminal(e, fd);
	}
	return r;
}

/* What was written meanwhile leads nowhere: its keeper had no copy. */
static void end_detached_input(struct exec *e)
{
	if (e->input && !exec_stdin_is_attached(e->input))
		e->input = exec_stdin_free(e->input);
}

static void on_spool(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	const struct keeper_spool_adopt_reply *reply = m ? (const void *)m->data : NULL;
	struct exec *e = userdata;

	if (error == 0 && m->size < sizeof(*reply))
		error = -EBADMSG;
	if (error == 0 && e->facts.state != EXEC_STATE_ENDED && !e->exited)
		error = take_fds(e, m);
	if (e->input && exec_stdin_is_closing(e->input) && !e->facts.tty)
		(void)keeper_client_spool_drop_stdin(k, e->key); /* it was closed meanwhile */
	if (error == 0)
		exec_spool_note(e, reply->streams);
	else if (error != -ENOENT)
		log_errno(LOG_LEVEL_WARNING, error, "exec %s: its keeper does not give it back",
			  e->facts.id);
	if (error < 0)
		exec_spool_lost(e);
	end_detached_input(e);
	(void)exec_unref(e);
}

/* Nobody reads along at the moment, whoever did. */
static void adopt_spool(struct exec *e)
{
	struct keeper_client *k = sandbox_keeper(e->sandbox);

	if (!e->spool_opened || e->spool_finished)
		return;
	exec_hold(e, NULL);
	if (k && keeper_client_spool_adopt(k, e->key, on_spool, e) == 0) {
		(void)exec_ref(e); /* on_spool() gives it back */
		return;
	}
	exec_spool_lost(e);
	end_detached_input(e);
}

void exec_table_spools_lost(struct manager *m, struct sandbox *s)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h)
		return;
	TAILQ_FOREACH (e, &h->execs, in_home)
		if (e->phase > EXEC_PHASE_PREPARING && e->phase < EXEC_PHASE_ENDED &&
		    !e->spool_finishing && e->spool_opened)
			exec_spool_lost(e);
}

/* ---- the table's ---- */

/* As if nobody had asked for it: his client asks again. */
static void forget(struct exec *e)
{
	log_info("exec %s was never begun", e->facts.id);
	if (e->keyed)
		journal_exec_never_ran(e->manager, e->key);
	exec_table_erase(e->manager->execs, e);
}

static void enter_view(struct exec *e)
{
	CLEANUP_ERROR struct error error = { 0 };

	if (view_enter(e->sandbox, e->facts.stage, &e->view, &error) < 0)
		log_warning("exec %s: the profile of its stage is another now: %s", e->facts.id,
			    error.message ? error.message : "no memory");
}

/* Processes that it left, and that its sandbox still has, are what views must not mix with, too. */
static void remember_left(struct exec *e)
{
	e->left_behind = e->facts.state == EXEC_STATE_ENDED && e->keep_leftovers &&
			 e->ending == EXEC_CAUSE_MAX && e->facts.result.leftovers > 0 &&
			 e->begun_ms >= sandbox_run_since_ms(e->sandbox);
	if (!e->left_behind)
		return;
	enter_view(e);
	view_leave(&e->view, e->facts.id);
}

static void adopt(struct exec *e)
{
	const bool begun = e->facts.state == EXEC_STATE_RUNNING;
	int r;

	e->adopting = false;
	adopt_spool(e);
	r = exec_take_over(e, sandbox_init(e->sandbox));
	if (r == -ESRCH && !begun) {
		forget(e);
		return;
	}
	if (r < 0) { /* acknowledged, and what was to be written with it is lost */
		exec_lose(e, EXEC_CAUSE_SANDBOX_LOST);
		return;
	}
	if (e->facts.state != EXEC_STATE_ENDED) {
		secret_files_catch_up(e);
		enter_view(e);
		exec_await_return(e);
	}
	exec_table_save(e->manager->execs, e);
}

void exec_table_adopt(struct manager *m, struct sandbox *s)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e, *next;

	if (!h)
		return;
	for (e = TAILQ_FIRST(&h->execs); e; e = next) {
		next = TAILQ_NEXT(e, in_home);
		if (e->adopting)
			adopt(e);
		else
			remember_left(e);
	}
}

void exec_table_new_keeper(struct manager *m, struct sandbox *s)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;
	int r;

	if (!h)
		return;
	TAILQ_FOREACH (e, &h->execs, in_home) {
		if (!e->stranded)
			continue;
		e->stranded = false;
		r = e->phase == EXEC_PHASE_PREPARING ? exec_spool_prepare(e) : 0;
		if (r < 0)
			exec_fail_start(e, r);
	}
}

bool exec_is_running(const struct manager *m, const char *key, bool *ret_known)
{
	const struct exec *e = exec_table_by_key(m->execs, key);

	*ret_known = e != NULL;
	return e && e->facts.state != EXEC_STATE_ENDED;
}
