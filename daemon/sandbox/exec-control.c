/* SPDX-License-Identifier: Apache-2.0 */
/* What a client can do to a running command: write to it, resize its terminal, signal it. */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bounds.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/exec-table.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"

static int set_state_error(const struct exec *e, struct error *reterr, const char *what)
{
	(void)error_set(reterr, ERROR_INVALID_STATE, NULL, NULL, "%s", what);
	error_set_resource(reterr, "exec %s", e->facts.id);
	return -1;
}

static int check_input(const struct exec *e, struct error *reterr)
{
	if (e->facts.state == EXEC_STATE_ENDED || e->exited)
		return set_state_error(e, reterr, "the command has ended");
	if (!e->input)
		return set_state_error(e, reterr,
				       "the command was not started with stdin \"stream\"");
	return 0;
}

int exec_write(struct exec *e, const struct bytes *data, exec_written *done, void *userdata,
	       struct exec_writer **ret, struct error *reterr)
{
	struct stdin_waiter *waiter = NULL;
	int r;

	if (check_input(e, reterr) < 0)
		return -1;
	r = exec_stdin_write(e->input, data->data, data->size, done, userdata, &waiter);
	if (r == -EPIPE)
		return set_state_error(e, reterr, "the command's stdin is closed");
	if (r == -ENOBUFS)
		return error_set(reterr, ERROR_LIMIT_REACHED, "data",
				 "wait for the answers to earlier writes",
				 "more than %u bytes wait for the command to read them",
				 EXEC_STDIN_PENDING_MAX);
	if (r < 0)
		return error_set_errno(reterr, r, "the bytes could not be kept");
	/* a writer is the waiter of its pipe: nothing to add, so one is a name for the other */
	*ret = (struct exec_writer *)waiter;
	return r;
}

void exec_write_forget(struct exec_writer *w)
{
	if (w)
		exec_stdin_forget((struct stdin_waiter *)w);
}

int exec_close_stdin(struct exec *e, struct error *reterr)
{
	struct keeper_client *k = sandbox_keeper(e->sandbox);

	if (check_input(e, reterr) < 0)
		return -1;
	exec_stdin_close(e->input);
	if (k && e->spool_opened && !e->facts.tty) /* else nobody but us has it */
		(void)keeper_client_spool_drop_stdin(k, e->key);
	exec_table_save(e->manager->execs, e);
	return 0;
}

void exec_set_terminal(struct exec *e, int master)
{
	e->terminal = master;
	if (master >= 0 && e->size.ws_row > 0)
		(void)ioctl(master, TIOCSWINSZ, &e->size); /* a terminal takes any */
}

int exec_resize(struct exec *e, uint16_t rows, uint16_t cols, struct error *reterr)
{
	const struct winsize size = { .ws_row = rows, .ws_col = cols };

	if (!e->facts.tty)
		return set_state_error(e, reterr, "the command has no terminal");
	if (e->facts.state == EXEC_STATE_ENDED || e->exited)
		return set_state_error(e, reterr, "the command is not running");
	if (e->terminal < 0)
		e->size = size; /* it is being made, or given back by the keeper */
	else if (ioctl(e->terminal, TIOCSWINSZ, &size) < 0)
		return error_set_errno(reterr, -errno, "the terminal could not be resized");
	return 0;
}

/* Whoever stands still cannot take a signal, not even die of it everywhere. */
static int check_awake(const struct exec *e, struct error *reterr)
{
	const struct sandbox *s = e->sandbox;

	if (sandbox_state(s) != SANDBOX_STATE_PAUSED)
		return 0;
	(void)error_set(reterr, ERROR_INVALID_STATE, NULL, sandbox_state_hint(sandbox_state(s)),
			"sandbox %s is paused", sandbox_name(s));
	error_set_resource(reterr, "sandbox %s", sandbox_name(s));
	return -1;
}

int exec_cancel(struct exec *e, struct error *reterr)
{
	if (e->facts.state != EXEC_STATE_ENDED && check_awake(e, reterr) < 0)
		return -1;
	exec_end(e, EXEC_CAUSE_CANCELLED);
	return 0;
}

int exec_signal(struct exec *e, int signal, struct error *reterr)
{
	struct init_client *c = e->watched ? sandbox_init(e->sandbox) : NULL;
	int r;

	if (signal <= 0 || signal >= NSIG)
		return error_set(reterr, ERROR_INVALID_PARAMS, "signal", "a name or 1 to 64",
				 "there is no signal %d", signal);
	if (e->facts.state != EXEC_STATE_RUNNING || e->exited || !c)
		return set_state_error(e, reterr, "the command is not running");
	if (check_awake(e, reterr) < 0)
		return -1;
	r = init_client_signal(c, e->init_exec, signal, INIT_TARGET_GROUP);
	if (r == -ENOBUFS)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "try again later",
				 "too many signals wait for the sandbox");
	if (r < 0)
		return error_set_errno(reterr, r, "the signal could not be sent");
	return 0;
}
