/* SPDX-License-Identifier: Apache-2.0 */
/* What the request of an exec waits for before init has it: the view of its stage, then the pipes
 * that the keeper makes. The request is kept until it is handed over. */

#include <errno.h>
#include <stdlib.h>

#include "sandbox/exec-internal.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/init-client.h"
#include "sandbox/sandbox.h"
#include "sandbox/secret-file.h"
#include "util/fault.h"
#include "util/fd.h"

void exec_drop_request(struct exec *e)
{
	if (!e->request)
		return;
	wire_message_done(e->request);
	exec_wipe(e, e->request);
	free(e->request);
	e->request = NULL;
}

/* The write ends, in the order of their streams, become what the client did not bring itself. */
static int take_pipes(struct exec *e, struct wire_message *m)
{
	const size_t n_fds = (size_t)__builtin_popcount(e->facts.streams);
	size_t stream, i = 0;

	if (m && m->n_fds == 0 && wire_head(m)->n_fds == n_fds)
		return -EMFILE; /* keeper_client could not take them */
	if (!m || m->n_fds != n_fds)
		return -EPROTO;
	for (stream = 0; stream < KEEPER_STREAM_MAX; stream++) {
		if ((e->facts.streams & (1u << stream)) == 0)
			continue;
		e->child_fds[stream == KEEPER_STREAM_STDERR ? 2 : 1] = wire_take_fd(m, i++);
	}
	return 0;
}

bool exec_needs_pipes(const struct exec *e)
{
	return !e->facts.tty &&
	       (e->facts.streams != 0 || (e->input && !exec_stdin_is_closing(e->input)));
}

bool exec_needs_keeper(const struct exec *e)
{
	return exec_needs_pipes(e) || (e->masks >= 0 && exec_secrets_have_file(e->secrets));
}

void exec_spawn(struct exec *e, struct wire_message *m)
{
	static const uint32_t bits[3] = { INIT_EXEC_HAS_STDIN, INIT_EXEC_HAS_STDOUT,
					  INIT_EXEC_HAS_STDERR };
	struct init_exec *request = (struct init_exec *)(void *)m->data;
	struct init_client *c = sandbox_init(e->sandbox);
	size_t i;
	int r;

	if (exec_secrets_check(e->secrets, NULL) < 0) { /* revoked while the keeper was asked */
		wire_message_done(m);
		e->ending = EXEC_CAUSE_LEASE_REVOKED;
		exec_close_output(e);
		return;
	}
	exec_set_phase(e, EXEC_PHASE_SPAWNING);
	for (i = 0; i < 3; i++) {
		if (e->child_fds[i] < 0)
			continue;
		request->flags |= bits[i];
		(void)wire_add_fd(m, TAKE_FD(e->child_fds[i])); /* six at most */
	}
	r = c ? view_add(&e->view, m) : -ECONNRESET;
	if (r == 0)
		r = secret_files_lend(e);
	if (r < 0) {
		wire_message_done(m);
		exec_fail_start(e, r);
		return;
	}
	r = init_client_exec(c, m, &exec_watch, e, e->init_exec);
	if (r < 0)
		secret_files_withdraw(e);
	FAULT_POINT("exec.asked");
	if (r < 0) {
		exec_fail_start(e, r);
		return;
	}
	e->watched = e->asked = true;
}

/* PREPARING: the next thing that the request waits for. */
void exec_view_made(struct exec *e, int error)
{
	if (e->phase != EXEC_PHASE_PREPARING) {
		exec_drop_request(e);
		return;
	}
	if (error == 0 && e->ending != EXEC_CAUSE_MAX) {
		exec_close_output(e);
	} else if (error == 0 && !exec_needs_keeper(e)) {
		exec_spawn(e, e->request);
	} else if (error == 0) {
		error = exec_spool_prepare(e);
		if (error == 0)
			return; /* exec_spool_opened() goes on with it */
		exec_fail_start(e, error);
	} else if (error == -ECONNRESET) {
		exec_fail_start(e, error);
	} else {
		exec_never_started(e, INIT_START_BAD_STAGE, -error);
	}
	exec_drop_request(e);
}

void exec_spool_opened(struct exec *e, int error, struct wire_message *m)
{
	int r;

	if (e->facts.tty && e->phase != EXEC_PHASE_PREPARING) {
		if (error < 0)
			exec_end(e, EXEC_CAUSE_SANDBOX_LOST); /* nobody reads its output */
		return;
	}
	if (e->phase != EXEC_PHASE_PREPARING)
		return;
	if (error == -ECONNRESET && sandbox_state(e->sandbox) == SANDBOX_STATE_RUNNING) {
		e->stranded = true; /* the next keeper makes them */
		return;
	}
	r = error;
	if (r == 0 && exec_needs_pipes(e))
		r = take_pipes(e, m);
	if (r < 0)
		exec_fail_start(e, r);
	else if (e->ending != EXEC_CAUSE_MAX)
		exec_close_output(e);
	else
		exec_spawn(e, e->request);
	exec_drop_request(e);
}
