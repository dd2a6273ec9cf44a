/* SPDX-License-Identifier: Apache-2.0 */
/* From exec.run's parameters to a request that init understands.
 *
 * Without captured output the request goes straight to init, out of the table's one big message.
 * With it, the keeper's pipes come first; the request waits for them in a copy of its own size,
 * because the client's parameters need not live that long. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/exec-internal.h"
#include "sandbox/exec-payload.h"
#include "sandbox/exec-secrets.h"
#include "sandbox/exec-stdin.h"
#include "sandbox/exec-table.h"
#include "sandbox/init-client.h"
#include "sandbox/journal.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/runtime.h"
#include "sandbox/sandbox.h"
#include "sandbox/secret-file.h"
#include "secret/value.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/strings.h"
#include "util/time.h"

#define DEFAULT_TERM "TERM=xterm-256color"
#define STREAM(s) (1u << KEEPER_STREAM_##s)
#define PIPE_SIZE 65536 /* as the kernel makes them */
#define PIPE_SIZE_MAX (1 << 20)

static void close_fds(int *fds)
{
	size_t i;

	for (i = 0; i < 3; i++)
		fds[i] = close_fd(fds[i]);
}

/* ---- checks: each names the parameter ---- */

static int check_sandbox(struct sandbox *s, struct error *reterr)
{
	if (sandbox_is_ready(s))
		return 0;
	if (sandbox_state(s) == SANDBOX_STATE_RUNNING) { /* no memory to wait for it */
		(void)error_set(reterr, ERROR_UNAVAILABLE, NULL, "try again in a moment",
				"sandbox %s is being taken over", sandbox_name(s));
		error_set_resource(reterr, "sandbox %s", sandbox_name(s));
		return -1;
	}
	(void)error_set(reterr, ERROR_INVALID_STATE, NULL, sandbox_state_hint(sandbox_state(s)),
			"sandbox %s is %s, commands need a running one", sandbox_name(s),
			sandbox_state_to_string(sandbox_state(s)));
	error_set_resource(reterr, "sandbox %s", sandbox_name(s));
	return -1;
}

static int check_env(const struct pairs *env, struct error *reterr)
{
	size_t i;

	for (i = 0; i < env->count; i++)
		if (env->items[i].key[0] == '\0' || strchr(env->items[i].key, '='))
			return error_set(reterr, ERROR_INVALID_PARAMS, "env",
					 "names without \"=\", not empty",
					 "an environment variable cannot be called \"%.64s\"",
					 env->items[i].key);
	return 0;
}

static int check_streams(const struct exec_run_params *p, const int *fds, struct error *reterr)
{
	if (p->tty.given && (fds[1] >= 0 || fds[2] >= 0))
		return error_set(reterr, ERROR_INVALID_PARAMS, fds[1] >= 0 ? "stdout" : "stderr",
				 "leave it out: a terminal has one stream, \"output\"",
				 "with tty the output cannot go to a descriptor");
	if (p->tty.given && p->capture == CAPTURE_NONE)
		return error_set(reterr, ERROR_INVALID_PARAMS, "capture", "leave it out",
				 "with tty the output is always captured");
	if (p->capture == CAPTURE_MERGED && (fds[1] >= 0) != (fds[2] >= 0))
		return error_set(reterr, ERROR_INVALID_PARAMS, "capture",
				 "\"separate\", or no descriptors",
				 "merged output cannot go to a descriptor and to the spool");
	return 0;
}

static int check(const struct exec_run_params *p, const int *fds, struct error *reterr)
{
	if (p->command.count == 0)
		return error_set(reterr, ERROR_INVALID_PARAMS, "command", "at least one string",
				 "a command needs a program to run");
	if (p->work_dir && p->work_dir[0] != '/')
		return error_set(reterr, ERROR_INVALID_PARAMS, "workDir",
				 "a path that begins with /", "workDir must be absolute");
	if (check_env(&p->env, reterr) < 0 || check_streams(p, fds, reterr) < 0)
		return -1;
	return exec_payload_check_files(&p->files, reterr);
}

static int check_tty(const struct sandbox *s, const struct exec_run_params *p, struct error *reterr)
{
	if (!p->tty.given || runtime_can(sandbox_runtime(s), RUNTIME_CAN_TTY))
		return 0;
	return error_set(reterr, ERROR_UNAVAILABLE, "tty", "leave it out, or use the runtime crun",
			 "this sandbox's runtime cannot give a terminal away");
}

static int check_user(struct sandbox *s, uint32_t uid, uint32_t gid, struct error *reterr)
{
	struct keeper_client *k = sandbox_keeper(s);

	if (uid == SANDBOX_ID_AGENT && gid == SANDBOX_ID_AGENT)
		return 0;
	if (!runtime_can(sandbox_runtime(s), RUNTIME_CAN_USERS))
		return error_set(reterr, ERROR_UNAVAILABLE, "user", "leave it out",
				 "in this sandbox everything runs as its owner");
	if (k && keeper_client_map(k) != KEEPER_MAP_SINGLE)
		return 0;
	return error_set(reterr, ERROR_UNAVAILABLE, "user",
			 "subordinate ids in /etc/subuid and /etc/subgid; sandboxctl doctor",
			 "this sandbox has one user only, the agent");
}

/* ---- the parts ---- */

/* Which streams the keeper spools, and which go to the caller's own descriptors. */
static void choose_streams(struct exec_facts *f, const struct exec_run_params *p, const int *fds)
{
	if (fds[1] >= 0)
		f->passed |= STREAM(STDOUT);
	if (fds[2] >= 0)
		f->passed |= STREAM(STDERR);
	if (p->tty.given)
		f->streams = STREAM(OUTPUT);
	else if (p->capture == CAPTURE_MERGED)
		f->streams = f->passed == 0 ? STREAM(OUTPUT) : 0;
	else if (p->capture == CAPTURE_SEPARATE)
		f->streams = (STREAM(STDOUT) | STREAM(STDERR)) & ~f->passed;
}

/* As much as may be waits in the pipe itself: then it needs no daemon. */
static void widen(int fd, size_t size)
{
	if (size > PIPE_SIZE)
		(void)fcntl(fd, F_SETPIPE_SZ, size < PIPE_SIZE_MAX ? (int)size : PIPE_SIZE_MAX);
}

/* A pipe into the command. It is ours, and the command runs as another uid: without the mode
 * /dev/stdin could not be opened there. */
static int make_input_pipe(struct exec *e, size_t size)
{
	CLEANUP_FD int read_end = -1;
	CLEANUP_FD int write_end = -1;
	int r, fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_end = fds[0];
	write_end = fds[1];
	if (fchmod(read_end, 0444) < 0)
		return -errno;
	widen(write_end, size);
	r = fd_set_nonblock(write_end);
	if (r < 0)
		return r;
	r = exec_stdin_attach(e->input, TAKE_FD(write_end), false);
	if (r == 0)
		e->child_fds[0] = TAKE_FD(read_end);
	return r;
}

/* A secret can be what the command reads. */
static struct stdin_params input_of(const struct exec *e, const struct exec_run_params *p)
{
	const struct exec_secret *s = exec_secrets_stdin(e->secrets);

	if (!s)
		return p->in;
	return (struct stdin_params){ .kind = STDIN_BYTES,
				      .data = { secret_value_data(s->value),
						secret_value_size(s->value) } };
}

static int prepare_input(struct exec *e, const struct stdin_params *in)
{
	struct stdin_waiter *none = NULL;
	int r;

	if (in->kind != STDIN_STREAM && in->kind != STDIN_BYTES)
		return 0;
	r = exec_stdin_new(&e->input, e->manager->base);
	if (r == 0 && !e->facts.tty) /* a terminal's descriptor comes from init */
		r = make_input_pipe(e, in->data.size);
	if (r < 0 || in->kind == STDIN_STREAM)
		return r;
	r = exec_stdin_write(e->input, in->data.data, in->data.size, NULL, NULL, &none);
	if (r >= 0)
		exec_stdin_close(e->input);
	return r < 0 ? r : 0;
}

static int add_term(char ***env)
{
	struct string_list l = { .items = *env };
	int r;

	for (; l.items[l.count]; l.count++)
		if (string_starts(l.items[l.count], "TERM="))
			return 0;
	l.room = l.count + 1;
	r = string_list_add(&l, DEFAULT_TERM);
	*env = l.items;
	return r;
}

/* Where no workspace says otherwise, it is the agent's home, which other users cannot enter. */
static const char *default_work_dir(const struct exec *e)
{
	if (e->uid != SANDBOX_ID_AGENT && e->uid != 0 &&
	    sandbox_facts(e->sandbox)->workspaces.count == 0)
		return "/";
	return sandbox_default_workdir(e->sandbox);
}

/* A secret counts more than what the sandbox has under its name. */
static bool is_replaced(const char *assignment, const struct exec_payload *p)
{
	size_t i, length = strcspn(assignment, "=");

	for (i = 0; i < p->n_more; i++)
		if (strlen(p->more[i].name) == length &&
		    memcmp(p->more[i].name, assignment, length) == 0)
			return true;
	return false;
}

static void drop_replaced(char **env, const struct exec_payload *p)
{
	char **to = env;

	for (; *env; env++) {
		if (is_replaced(*env, p))
			free(*env);
		else
			*to++ = *env;
	}
	*to = NULL;
}

/* Builds the request in M. Returns 0, -E2BIG (it cannot be tried), or negative errno. */
static int build(struct exec *e, struct wire_message *m, const struct exec_run_params *p,
		 uint32_t gid)
{
	struct init_exec *request = (struct init_exec *)(void *)m->data;
	struct exec_payload payload = { .command = p->command, .files = p->files };
	struct exec_variable more[EXEC_VARIABLES_MAX];
	char **env = NULL;
	int r;

	payload.work_dir = p->work_dir ? p->work_dir : default_work_dir(e);
	r = sandbox_environment(e->sandbox, e->uid, &p->env, &env);
	if (r == 0 && p->tty.given)
		r = add_term(&env);
	payload.env = env;
	payload.more = more;
	payload.n_more = exec_secrets_variables(e->secrets, more);
	if (r == 0 && payload.n_more > 0)
		drop_replaced(env, &payload);
	if (r == 0)
		r = exec_payload_fits(&payload) ? exec_payload_build(m, &payload) : -E2BIG;
	strings_free(env);
	if (r < 0)
		return r;
	request->uid = e->uid;
	request->gid = gid;
	if (sandbox_runtime(e->sandbox) == RUNTIME_HOST)
		keeper_client_owner(sandbox_keeper(e->sandbox), &request->uid, &request->gid);
	request->nproc_limit = sandbox_nproc_limit(e->sandbox);
	if (e->secrets)
		request->flags |= INIT_EXEC_SECRET;
	if (p->tty.given) {
		request->flags |= INIT_EXEC_TTY;
		request->rows = p->tty.rows;
		request->cols = p->tty.cols;
	}
	if ((e->facts.streams & STREAM(OUTPUT)) != 0 && !p->tty.given)
		request->flags |= INIT_EXEC_STDERR_TO_STDOUT;
	return 0;
}

void exec_wipe(const struct exec *e, struct wire_message *m)
{
	if (e->secrets)
		explicit_bzero(m->data, m->size);
}

void exec_drop_secrets(struct exec *e)
{
	exec_secrets_forget(e->secrets);
	secret_files_forget(e);
	e->masks = close_fd(e->masks);
}

/* Keeps M until the pipes are there. */
static int keep_request(struct exec *e, struct wire_message *m)
{
	e->request = malloc(offsetof(struct wire_message, data) + m->size);
	if (!e->request)
		return -ENOMEM;
	memcpy(e->request, m, offsetof(struct wire_message, data));
	memcpy(e->request->data, m->data, m->size);
	m->n_fds = 0; /* they went along */
	return 0;
}

/* Returns 0 or negative errno (then nothing ran). */
static int launch(struct exec *e, struct wire_message *m)
{
	int r;

	if (!exec_needs_keeper(e)) {
		exec_spawn(e, m);
		return 0;
	}
	r = keep_request(e, m);
	if (r == 0)
		r = exec_spool_prepare(e);
	wire_message_done(m);
	return r;
}

static void on_view(int error, void *userdata)
{
	struct exec *e = userdata;

	exec_view_made(e, error);
	(void)exec_unref(e);
}

/* The first of its stage: the keeper makes the view before anything else. */
static int launch_later(struct exec *e, struct wire_message *m)
{
	int r = keep_request(e, m);

	if (r == 0)
		r = view_make(&e->view, e->sandbox, on_view, e);
	if (r == 0)
		(void)exec_ref(e);
	wire_message_done(m);
	return r;
}

static int describe(struct exec *e, const struct exec_run_params *p, const int *fds)
{
	struct exec_facts *f = &e->facts;
	int r;

	f->tty = p->tty.given;
	f->detached = p->detach || p->on_disconnect == DISCONNECT_KEEP;
	f->created_at_ms = time_realtime_ms();
	f->result.started_at_ms = f->created_at_ms;
	choose_streams(f, p, fds);
	e->begun_ms = time_monotonic_ms();
	e->timeout_ms = p->timeout_ms >= 0 ? p->timeout_ms : e->view.timeout_ms;
	if (e->timeout_ms > 0)
		e->deadline_ms = e->begun_ms + e->timeout_ms;
	e->grace_ms = p->grace_ms >= 0 ? p->grace_ms : EXEC_GRACE_MS;
	e->keep_leftovers = p->leftovers == LEFTOVERS_KEEP;
	e->facts.spool_max =
		p->max_output_bytes > 0 ? (uint64_t)p->max_output_bytes : EXEC_SPOOL_BYTES_MAX;
	e->oom_kills_before = sandbox_oom_kills(e->sandbox);
	e->init_exec = init_client_number(sandbox_init(e->sandbox)); /* check_sandbox() found it */
	r = strings_pack(p->command.items, p->command.count, &f->command, &f->command_size);
	if (r == 0)
		r = string_copy(p->stage, &f->stage);
	if (r == 0)
		r = string_copy(p->story_id, &f->story_id);
	return r;
}

/* E is in the table: from here it ends in one way or another. */
static int run(struct exec *e, const struct exec_run_params *p, uint32_t gid)
{
	struct wire_message *m = exec_table_message(e->manager->execs);
	int r = build(e, m, p, gid);

	if (r == 0) {
		r = view_ready(&e->view) ? launch(e, m) : launch_later(e, m);
		exec_wipe(e, m);
	}
	if (r == -E2BIG) {
		exec_never_started(e, INIT_START_TOO_BIG, E2BIG);
		return 0;
	}
	if (r < 0)
		exec_fail_start(e, r);
	else if (e->timeout_ms > 0 && e->phase < EXEC_PHASE_CLOSING)
		exec_arm(e, e->timeout_ms);
	return r;
}

/* Makes it known: in the table, and where it can be asked for again, on disk. */
static int record(struct exec *e, const char *id, const struct exec_start_more *more,
		  struct error *reterr)
{
	const struct journal_call *call = more->call;
	struct exec_table *t = e->manager->execs;
	CLEANUP_JOURNAL_ENTRY struct journal_entry details = { 0 };
	int r;

	if (e->secrets)
		id = e->secrets->exec_id;
	e->keyed = call != NULL;
	FAULT_POINT("exec.checked");
	if (exec_table_add(t, e, id, reterr) < 0)
		return -1;
	r = string_copy(sandbox_id(e->sandbox), &details.subject);
	if (r == 0)
		r = string_copy(e->key, &details.exec);
	if (r == 0)
		r = string_copy(more->base_sha, &details.base_sha);
	if (r < 0)
		(void)error_set_errno(reterr, r, "the exec could not be made");
	else if (call)
		r = journal_begin(e->manager, call, &details, reterr);
	FAULT_POINT("exec.journaled");
	if (r == 0) {
		r = exec_table_commit(t, e, reterr);
		if (r < 0 && call)
			journal_forget(e->manager, call->peer, call->key);
	}
	if (r < 0)
		exec_table_withdraw(t, e);
	return r;
}

int exec_start_with(struct manager *m, struct sandbox *s, const struct exec_run_params *params,
		    int fds[3], const struct exec_start_more *more, struct exec **ret,
		    struct error *reterr)
{
	CLEANUP(exec_secrets_freep) struct exec_secrets *secrets = more->secrets;
	struct view_use view = { 0 };
	struct stdin_params in;
	struct exec *e = NULL;
	uint32_t uid, gid;
	int r = -1;

	if (check_sandbox(s, reterr) == 0 && check(params, fds, reterr) == 0 &&
	    check_tty(s, params, reterr) == 0 &&
	    exec_parse_user(params->user, &uid, &gid, reterr) == 0)
		r = check_user(s, uid, gid, reterr);
	if (r == 0)
		r = exec_secrets_check(secrets, reterr);
	if (r == 0)
		r = secret_files_check_free(s, secrets, reterr);
	if (r == 0)
		r = view_enter(s, params->stage, &view, reterr);
	if (r < 0) {
		close_fds(fds);
		return -1;
	}
	r = exec_new(&e, m, s);
	if (r == 0) {
		e->uid = uid;
		e->view = view;
		r = describe(e, params, fds);
	} else {
		view_leave(&view, NULL);
	}
	if (r < 0) {
		close_fds(fds);
		(void)exec_unref(e);
		return error_set_errno(reterr, r, "the exec could not be made");
	}
	memcpy(e->child_fds, fds, sizeof(e->child_fds));
	e->secrets = TAKE_PTR(secrets);
	in = input_of(e, params);
	r = prepare_input(e, &in);
	if (r == 0 && (e->facts.streams != 0 || exec_secrets_have_file(e->secrets)))
		r = exec_secrets_masks(e->secrets, &e->masks);
	if (r < 0)
		(void)error_set_errno(reterr, r, "the command's stdin and output cannot be made");
	if (r < 0 || record(e, params->exec_id, more, reterr) < 0) {
		(void)exec_unref(e);
		return -1;
	}
	exec_secrets_bind(e->secrets);
	FAULT_POINT("exec.recorded");
	if (uid != SANDBOX_ID_AGENT)
		sandbox_note_foreign_user(s);
	(void)run(e, params, gid); /* what went wrong there is in the result */
	*ret = e;
	return 0;
}

int exec_start(struct manager *m, struct sandbox *s, const struct exec_run_params *params,
	       int fds[3], struct exec **ret, struct error *reterr)
{
	return exec_start_with(m, s, params, fds, &(struct exec_start_more){ 0 }, ret, reterr);
}
