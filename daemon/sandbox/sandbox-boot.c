/* SPDX-License-Identifier: Apache-2.0 */
/* From a row to a running sandbox: template, keeper, KEEPER_CREATE, init, KEEPER_CLAIM. Each step
 * ends in one callback that begins the next or boot_fail(), which undoes what `phase` says was
 * done.
 *
 * A create that fails leaves nothing; when its keeper died under it, what the keeper had made on
 * disk is removed by a REMOVE that follows. A start that fails leaves a stopped sandbox. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sandbox/claim.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/owner.h"
#include "sandbox/pool.h"
#include "sandbox/process.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/secret-file.h"
#include "sandbox/spare.h"
#include "sandbox/template.h"
#include "sandbox/workspace.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

#define HOSTNAME_SIZE 64

static bool is_create(const struct sandbox *s)
{
	return s->ops->verb == SANDBOX_VERB_CREATE;
}

static void want_keeper(struct sandbox *s);
static void send_create(struct sandbox *s);

/* ---- failure ---- */

static void boot_failed(struct sandbox *s, bool keeper_gone)
{
	CLEANUP_ERROR struct error e = { 0 };

	error_move(&e, &s->boot_error);
	sandbox_warm_judge(s, false);
	s->on_progress = NULL;
	sandbox_release(s);
	if (keeper_gone)
		sandbox_undo_later(s);
	(void)sandbox_ref(s);
	if (!is_create(s)) {
		sandbox_set_state(s, SANDBOX_STATE_STOPPED, "start_failed");
	} else if (keeper_gone) {
		sandbox_set_state(s, SANDBOX_STATE_FAILED, "keeper_lost");
		if (sandbox_submit(s, SANDBOX_VERB_REMOVE, NULL, NULL, NULL,
				   SANDBOX_STATE_REMOVED) < 0)
			log_error("no memory to remove sandbox %s, it stays as failed",
				  s->facts.name);
	} else {
		sandbox_set_state(s, SANDBOX_STATE_REMOVED, "create_failed");
		if (sandbox_row_delete(s) < 0)
			log_error("the row of sandbox %s stays behind for now", s->facts.name);
		sandbox_leave(s);
	}
	sandbox_op_end(s, &e);
	(void)sandbox_unref(s);
}

static void on_undone(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	(void)k;
	(void)m;
	if (error < 0 && error != -ESRCH && error != -ENOENT)
		log_errno(LOG_LEVEL_WARNING, error, "what sandbox %s left is not undone",
			  s->facts.name);
	boot_failed(s, error == -ECONNRESET || error == -ETIMEDOUT);
}

static bool is_given_up(const struct sandbox *s)
{
	return s->cancelled || s->manager->stopping;
}

/* Takes E's contents. What fails in a boot that is given up, an init that was just killed for
 * instance, fails because of that. */
void sandbox_boot_fail(struct sandbox *s, struct error *e)
{
	/* it, or the one before it, may have made something */
	bool with_keeper =
		s->phase == SANDBOX_PHASE_INIT || s->phase == SANDBOX_PHASE_CLAIM || s->retried;
	uint16_t type = is_create(s) ? KEEPER_REMOVE : KEEPER_KILL;

	if (sandbox_is_claimed(s) && !is_given_up(s)) {
		sandbox_warm_fail(s, e);
		return;
	}
	if (is_given_up(s)) {
		error_clear(e);
		(void)error_set(e, ERROR_CANCELLED, NULL, NULL, "%s",
				s->cancelled ? "the create was cancelled"
					     : "the daemon is stopping");
	}
	sandbox_log(s, LOG_LEVEL_WARNING, "%s", e->message ? e->message : "failed");
	if (e->kind == ERROR_NONE)
		(void)error_set(e, ERROR_INTERNAL, NULL, NULL, "the sandbox cannot be made");
	error_move(&s->boot_error, e);
	sandbox_home_end(s);
	s->init = init_client_free(s->init);
	if (sandbox_is_claimed(s))
		spare_free(s->spare);
	s->phase = SANDBOX_PHASE_NONE;
	if (with_keeper && s->keeper && sandbox_call_end(s, s->keeper, type, on_undone) == 0)
		return;
	boot_failed(s, with_keeper);
}

static void boot_fail_errno(struct sandbox *s, int r, const char *what)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set_errno(&e, r, "%s", what);
	sandbox_boot_fail(s, &e);
}

/* What the keeper answered: REASON is its sentence, or NULL. */
static void boot_fail_keeper(struct sandbox *s, int r, const char *reason)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (r == -ETIMEDOUT)
		(void)error_set(&e, ERROR_TIMEOUT, NULL, "see the daemon's log", "%s",
				reason ? reason : "the runtime did not answer");
	else if (r == -ENOSPC || r == -EDQUOT)
		(void)error_set(&e, ERROR_LIMIT_REACHED, NULL, "free some disk space",
				"no space left for sandbox %s", s->facts.name);
	else if (r == -EROFS)
		(void)error_set(&e, ERROR_UNAVAILABLE, NULL,
				"make the file system of the state directory writable",
				"sandbox %s has no place: the state directory is read-only",
				s->facts.name);
	else
		(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL, "sandboxctl doctor", "%s",
				reason ? reason : strerror(-r));
	sandbox_boot_fail(s, &e);
}

/* True when the boot must not go on. */
static bool gave_up(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (!is_given_up(s))
		return false;
	sandbox_boot_fail(s, &e);
	return true;
}

/* ---- claim ---- */

/* What nothing can enter is told before it is made. */
static bool is_claimed_first(const struct sandbox *s)
{
	return sandbox_runtime(s) == RUNTIME_RUNSC;
}

void sandbox_boot_done(struct sandbox *s)
{
	s->phase = SANDBOX_PHASE_NONE;
	s->on_progress = NULL;
	sandbox_close_workspaces(s);
	sandbox_home_end(s);
	secret_file_seed(s);
	sandbox_set_state(s, SANDBOX_STATE_RUNNING, NULL);
	FAULT_POINT("create.running");
	launch_step(&s->launch, LAUNCH_STEP_RUNNING);
	launch_log(s);
	sandbox_warm_judge(s, true);
	if (is_create(s) && s->facts.launch == SANDBOX_LAUNCH_COLD)
		pool_note_cold(s);
	sandbox_op_end(s, NULL);
}

static void on_claimed(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	const struct keeper_reason_reply *reply = m ? (const void *)m->data : NULL;
	struct sandbox *s = userdata;
	const char *reason = NULL;
	bool bad = false;

	(void)k;
	if (error < 0) {
		if (m && m->size >= sizeof(*reply))
			reason = wire_string(m, reply->reason, &bad);
		boot_fail_keeper(s, error, reason);
		return;
	}
	if (gave_up(s))
		return;
	launch_step(&s->launch, LAUNCH_STEP_CLAIMED);
	FAULT_POINT("create.claimed");
	s->undo_due = false; /* the new claim has taken it over */
	s->warm_claimed = true;
	if (sandbox_is_claimed(s))
		sandbox_warm_step(s);
	else if (is_claimed_first(s))
		send_create(s);
	else
		sandbox_boot_done(s);
}

/* A name may hold what a host name may not. */
static void make_hostname(const char *name, char hostname[static HOSTNAME_SIZE])
{
	size_t i;

	for (i = 0; name[i] && i < HOSTNAME_SIZE - 1; i++)
		hostname[i] = isalnum((unsigned char)name[i]) ? name[i] : '-';
	while (i > 1 && hostname[i - 1] == '-')
		i--;
	hostname[i] = '\0';
}

void sandbox_fill_keeper_limits(const struct sandbox *s, struct keeper_limits *limits)
{
	limits->memory_bytes = s->facts.limits.memory_bytes;
	limits->shm_bytes = s->facts.limits.shm_bytes;
	limits->cpu_milli = s->facts.limits.cpu_milli;
	limits->pids = s->facts.limits.pids;
}

static void send_claim(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };
	CLEANUP_STR char *reason = sandbox_lock_reason(s);
	CLEANUP_STRINGS struct string_list memory = { 0 };
	struct wire_message *m = keeper_scratch(s->manager);
	char hostname[HOSTNAME_SIZE];
	struct claim claim = { .sandbox_id = s->facts.id,
			       .hostname = hostname,
			       .workspaces = s->workspaces,
			       .n_workspaces = s->n_workspaces,
			       .lock_reason = reason,
			       .locks_only = sandbox_runtime(s) == RUNTIME_HOST,
			       .home = &s->home_view,
			       .memory = &memory,
			       .idmap = keeper_client_idmap(s->keeper) };
	int r = secret_file_directories(s, &memory);

	if (r < 0) {
		boot_fail_errno(s, r, "the sandbox cannot be claimed");
		return;
	}
	if (!reason || claim.idmap < -1) {
		boot_fail_errno(s, reason ? claim.idmap : -ENOMEM, "idmapped mounts do not work");
		return;
	}
	if (is_claimed_first(s))
		claim.flags |= KEEPER_CLAIM_BEFORE;
	make_hostname(s->facts.name, hostname);
	sandbox_fill_keeper_limits(s, &claim.limits);
	if (claim_message(m, &claim, &e) < 0) {
		wire_message_done(m);
		sandbox_boot_fail(s, &e);
		return;
	}
	s->phase = SANDBOX_PHASE_CLAIM;
	launch_step(&s->launch, LAUNCH_STEP_CLAIM);
	r = keeper_client_call(s->keeper, m, on_claimed, s);
	if (r < 0)
		boot_fail_errno(s, r, "the keeper does not answer");
}

/* ---- init ---- */

static void on_home(struct sandbox *s)
{
	if (gave_up(s))
		return;
	if (s->keeper)
		send_claim(s);
	else
		boot_fail_errno(s, -ECONNRESET, "the keeper ended");
}

void sandbox_boot_claim(struct sandbox *s)
{
	if (!sandbox_home_wait(s, on_home))
		send_claim(s);
}

static void on_init_ready(struct init_client *c, int error, void *userdata)
{
	struct sandbox *s = userdata;

	(void)c;
	if (error < 0) {
		boot_fail_errno(s, error, "sandbox-init does not answer");
		return;
	}
	if (gave_up(s))
		return;
	launch_step(&s->launch, LAUNCH_STEP_HELLO);
	FAULT_POINT("create.greeted");
	if (sandbox_is_spare(s))
		spare_ready(s);
	else if (is_claimed_first(s))
		sandbox_boot_done(s);
	else
		sandbox_boot_claim(s);
}

static void on_init_lost(struct init_client *c, void *userdata)
{
	struct sandbox *s = userdata;

	(void)c;
	if (s->adoption)
		sandbox_adoption_init_lost(s); /* its keeper is being replaced */
	else if (s->phase == SANDBOX_PHASE_INIT)
		boot_fail_errno(s, -ECONNRESET, "sandbox-init ended");
	else if (sandbox_is_spare(s))
		spare_lost(s, "has ended");
	else if (sandbox_is_claimed(s))
		sandbox_warm_lost(s);
	else if (s->phase == SANDBOX_PHASE_NONE)
		sandbox_init_lost(s); /* during a claim the keeper says what happened */
}

char *sandbox_init_path(const struct sandbox *s)
{
	return string_format("%s/sandboxes/%s/init.sock", s->manager->config->runtime_dir,
			     s->facts.id);
}

/* CONNECTION (taken over): to an init that has connected itself; -1: it listens. */
static void connect_init(struct sandbox *s, int connection)
{
	static const struct init_client_watch watch = { .on_ready = on_init_ready,
							.on_lost = on_init_lost,
							.on_slow = sandbox_nudge_init };
	const int64_t orphan_ms = s->manager->config->orphan_ms;
	CLEANUP_STR char *path = sandbox_init_path(s);
	int r;

	s->phase = SANDBOX_PHASE_INIT;
	if (connection >= 0)
		r = init_client_new_connected(&s->init, s->manager->base, connection, orphan_ms,
					      &watch, s);
	else
		r = path ? init_client_new(&s->init, s->manager->base, path, orphan_ms, &watch, s)
			 : -ENOMEM;
	if (r < 0)
		boot_fail_errno(s, r, "cannot connect to sandbox-init");
}

/* ---- create ---- */

static void take_created(struct sandbox *s, struct wire_message *m)
{
	const struct keeper_create_reply *reply = (const void *)m->data;
	int connection = reply->init_fd < 0 ? -1 : wire_take_fd(m, (uint32_t)reply->init_fd);

	launch_step(&s->launch, LAUNCH_STEP_CREATED);
	FAULT_POINT("create.made");
	memcpy(s->launch.keeper_us, reply->step_us, sizeof(s->launch.keeper_us));
	s->facts.pid = reply->pid;
	s->memory_version = reply->memory_version;
	s->oom_fd = reply->init_fd == 0 ? -1 : wire_take_fd(m, 0);
	s->pidfd = process_hold_below(reply->pid, keeper_client_pid(s->keeper));
	if (s->pidfd < 0)
		log_errno(LOG_LEVEL_WARNING, s->pidfd, "sandbox %s: only its keeper can kill it",
			  s->facts.name);
	s->pid_since = process_since(s->facts.pid);
	connect_init(s, connection);
}

/* Nothing of it lives. Most likely the keeper had just decided to end for lack of work. */
static void go_on_without(struct sandbox *s)
{
	s->phase = SANDBOX_PHASE_INIT; /* it may have made something */
	if (s->retried || is_given_up(s)) {
		boot_fail_keeper(s, -ECONNRESET, "the keeper ended");
		return;
	}
	s->retried = true;
	want_keeper(s);
}

static void create_lost(struct sandbox *s)
{
	CLEANUP_STR char *path = sandbox_init_path(s);

	s->keeper = NULL;
	s->phase = SANDBOX_PHASE_ORPHAN;
	if (!path || !sandbox_orphan_end(s, path, go_on_without))
		go_on_without(s);
}

static void on_created(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	const struct keeper_create_reply *reply = m ? (const void *)m->data : NULL;
	struct sandbox *s = userdata;
	const char *reason = NULL;
	bool bad = false;

	(void)k;
	if (error == 0 && m->size < sizeof(*reply))
		error = -EBADMSG;
	if (error == 0) {
		take_created(s, m);
		return;
	}
	if (error == -ECANCELED && gave_up(s))
		return; /* interrupted: the keeper has undone it */
	if (error == -ECONNRESET) {
		create_lost(s);
		return;
	}
	if (error == -ETIMEDOUT)
		s->phase = SANDBOX_PHASE_INIT; /* it may have made something */
	if (m && m->size >= sizeof(*reply))
		reason = wire_string(m, reply->reason, &bad);
	boot_fail_keeper(s, error, reason);
}

static int listen_for_init(struct sandbox *s)
{
	CLEANUP_STR char *path = sandbox_init_path(s);
	char dir[64];

	if (!path)
		return -ENOMEM;
	(void)snprintf(dir, sizeof(dir), "sandboxes/%s", s->facts.id);
	if (mkdirat(s->manager->runtime_fd, dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	return fd_listen_unix(path, SOCK_SEQPACKET, 0600, 4);
}

uint32_t sandbox_keeper_runtime(const struct sandbox *s)
{
	static const uint32_t numbers[] = { [RUNTIME_CRUN] = KEEPER_RUNTIME_CRUN,
					    [RUNTIME_RUNC] = KEEPER_RUNTIME_RUNC,
					    [RUNTIME_RUNSC] = KEEPER_RUNTIME_RUNSC,
					    [RUNTIME_HOST] = KEEPER_RUNTIME_HOST };

	/* one that is not configured any more: what most are */
	return numbers[sandbox_runtime(s) < RUNTIME_TYPE_MAX ? sandbox_runtime(s) : RUNTIME_CRUN];
}

static int fill_runtime(const struct sandbox *s, struct wire_message *m)
{
	const struct config_runtime *runtime = config_runtime(s->manager->config, s->facts.runtime);
	struct keeper_create *create = (void *)m->data;
	char path[RUNTIME_PATH_MAX];
	int r = runtime ? runtime_program(runtime, path) : -ENOENT;

	if (r < 0)
		return r;
	create->runtime = sandbox_keeper_runtime(s);
	create->timeout_ms =
		(uint32_t)(s->ops->timeout_ms > 0 ? s->ops->timeout_ms : runtime->timeout_ms);
	return path[0] ? wire_add_string(m, offsetof(struct keeper_create, program), path) : 0;
}

static int fill_create(const struct sandbox *s, struct wire_message *m)
{
	struct keeper_create *create = (void *)m->data;
	size_t i;
	int r;

	if (s->layers.count > KEEPER_LOWERS_MAX)
		return -E2BIG;
	create->flags = is_create(s) ? KEEPER_CREATE_DISCARD : KEEPER_CREATE_REUSE;
	if (s->facts.network == NETWORK_HOST)
		create->flags |= KEEPER_CREATE_NETWORK_HOST;
	sandbox_fill_keeper_limits(s, &create->limits);
	r = fill_runtime(s, m);
	if (r == 0)
		r = wire_add_string(m, offsetof(struct keeper_create, id), s->facts.id);
	for (i = 0; r == 0 && i < s->layers.count; i++)
		r = wire_add_string(m,
				    offsetof(struct keeper_create, lowers) +
					    i * sizeof(struct wire_str),
				    s->layers.items[i]);
	create->n_lowers = (uint32_t)s->layers.count;
	return r;
}

static void send_create(struct sandbox *s)
{
	struct wire_message *m = keeper_scratch(s->manager);
	int fd, r;

	s->phase = SANDBOX_PHASE_CREATE;
	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_CREATE, 0, sizeof(struct keeper_create));
	fd = listen_for_init(s);
	r = fd < 0 ? fd : wire_add_fd(m, fd);
	if (r >= 0)
		r = fill_create(s, m);
	launch_step(&s->launch, LAUNCH_STEP_ASKED);
	if (r < 0)
		wire_message_done(m);
	else
		r = keeper_client_call(s->keeper, m, on_created, s);
	if (r < 0)
		boot_fail_errno(s, r, "the keeper cannot be asked");
}

/* ---- keeper ---- */

/* What the daemon believes to be writable the keeper has tried: a limit that would not hold is
 * refused, never ignored. Returns 0, or -1 with E set. */
static int check_controllers(const struct sandbox *s, const struct keeper_client *k,
			     struct error *e)
{
	uint32_t controllers = keeper_client_controllers(k);
	static const char hint[] = "sandboxctl doctor, and the daemon's log";

	if (s->facts.limits.memory_bytes > 0 && (controllers & KEEPER_CONTROLLER_MEMORY) == 0)
		return error_set(e, ERROR_UNAVAILABLE, "limits.memoryBytes", hint,
				 "the keeper cannot limit memory");
	if (s->facts.limits.cpu_milli > 0 && (controllers & KEEPER_CONTROLLER_CPU) == 0)
		return error_set(e, ERROR_UNAVAILABLE, "limits.cpuMilli", hint,
				 "the keeper cannot limit cpu time");
	return 0;
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error own = { 0 };
	struct sandbox *s = userdata;

	if (!k) {
		sandbox_boot_fail(s, e);
		return;
	}
	if (check_controllers(s, k, &own) < 0) {
		sandbox_boot_fail(s, &own);
		return;
	}
	if (keeper_client_map(k) == KEEPER_MAP_SINGLE &&
	    !runtime_can(sandbox_runtime(s), RUNTIME_CAN_ONE_ID)) {
		(void)error_set(&own, ERROR_UNAVAILABLE, "runtime",
				"subordinate ids in /etc/subuid and /etc/subgid; sandboxctl doctor",
				"the runtime %s needs more ids than uid %u has", s->facts.runtime,
				(unsigned)s->facts.owner);
		sandbox_boot_fail(s, &own);
		return;
	}
	s->keeper = k;
	if (gave_up(s))
		return;
	if (is_claimed_first(s))
		sandbox_boot_claim(s);
	else
		send_create(s);
}

static void want_keeper(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	s->phase = SANDBOX_PHASE_KEEPER;
	sandbox_home_begin(s);
	if (manager_keeper(s->manager, s->facts.owner, on_keeper, s, &e) < 0)
		sandbox_boot_fail(s, &e);
}

void sandbox_boot_cold(struct sandbox *s)
{
	if (!gave_up(s))
		want_keeper(s);
}

/* ---- template ---- */

static int keep_template(struct sandbox *s, const struct template_resolved *t)
{
	char *name = NULL;
	size_t i;
	int r = string_copy(t->name, &name);

	string_list_deinit(&s->layers);
	for (i = 0; r == 0 && i < t->layers.count; i++)
		r = string_list_add(&s->layers, t->layers.items[i]);
	if (r < 0) {
		free(name);
		return r;
	}
	free(s->facts.template_name);
	s->facts.template_name = name;
	sandbox_save(s);
	return 0;
}

static void on_template(const struct template_resolved *t, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;
	int r;

	if (!t) {
		sandbox_boot_fail(s, e);
		return;
	}
	r = keep_template(s, t);
	if (r < 0)
		boot_fail_errno(s, r, "the template cannot be used");
	else if (!gave_up(s))
		want_keeper(s);
}

static void on_template_progress(const char *message, void *userdata)
{
	const struct sandbox *s = userdata;

	if (s->on_progress)
		s->on_progress(message, s->progress_userdata);
}

static void want_template(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };
	const struct template_query query = {
		.peer = s->facts.peer,
		.owner = s->facts.owner,
		.tool = s->facts.tool,
		.template_name = s->template_given ? s->facts.template_name : NULL,
	};

	s->phase = SANDBOX_PHASE_TEMPLATE;
	if (template_resolve(s->manager, &query, on_template, on_template_progress, s, &e) < 0)
		sandbox_boot_fail(s, &e);
}

/* ---- the verbs ---- */

/* True when the start goes on. */
static bool start_begins(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	switch (s->facts.state) {
	case SANDBOX_STATE_STOPPED:
	case SANDBOX_STATE_FAILED:
		break;
	case SANDBOX_STATE_RUNNING:
		if (!sandbox_waits_for_keeper(s))
			sandbox_op_end(s, NULL);
		return false;
	case SANDBOX_STATE_CREATING:
	case SANDBOX_STATE_PAUSED:
	case SANDBOX_STATE_REMOVED:
	case SANDBOX_STATE_MAX:
		(void)error_set(&e, ERROR_INVALID_STATE, "sandbox",
				sandbox_state_hint(s->facts.state), "sandbox %s is %s",
				s->facts.name, sandbox_state_to_string(s->facts.state));
		sandbox_op_end(s, &e);
		return false;
	}
	sandbox_set_state(s, SANDBOX_STATE_CREATING, NULL);
	/* as it was made; the configuration may have changed since */
	if (runtime_find(s->manager, s->facts.runtime, &e) && sandbox_open_workspaces(s, &e) == 0)
		return true;
	sandbox_boot_fail(s, &e);
	return false;
}

void sandbox_boot(struct sandbox *s)
{
	int r = 0;

	s->retried = false;
	s->phase = SANDBOX_PHASE_NONE;
	if (!is_create(s) && !start_begins(s))
		return;
	if (!is_create(s))
		s->launch = (struct launch){ 0 };
	launch_step(&s->launch, LAUNCH_STEP_RECORDED);
	if (sandbox_runtime(s) == RUNTIME_HOST && !s->home)
		r = owner_home(s->facts.owner, &s->home, &s->user);
	if (r < 0) {
		boot_fail_errno(s, r, "the owner's home cannot be found");
		return;
	}
	if (gave_up(s))
		return;
	if (sandbox_is_claimed(s))
		sandbox_warm_boot(s);
	else if (is_create(s) && !s->layers_given &&
		 runtime_can(sandbox_runtime(s), RUNTIME_CAN_TEMPLATE))
		want_template(s);
	else
		want_keeper(s);
}

void sandbox_on_progress(struct sandbox *s, void (*fn)(const char *message, void *userdata),
			 void *userdata)
{
	s->on_progress = fn;
	s->progress_userdata = userdata;
}

static void on_interrupted(struct keeper_client *k, int error, struct wire_message *m,
			   void *userdata)
{
	(void)k; /* the answer to KEEPER_CREATE says all; S may be gone by now */
	(void)error;
	(void)m;
	(void)userdata;
}

void sandbox_boot_interrupt(struct sandbox *s)
{
	if (s->phase != SANDBOX_PHASE_CREATE || !s->keeper)
		return;
	if (sandbox_call_end(s, s->keeper, KEEPER_KILL, on_interrupted) < 0)
		log_warning("sandbox %s: cannot interrupt the runtime, waiting for it",
			    s->facts.name);
}

void sandbox_cancel_create(struct sandbox *s)
{
	if (!s->ops || !is_create(s))
		return;
	s->cancelled = true;
	sandbox_boot_interrupt(s);
	if (s->phase != SANDBOX_PHASE_TEMPLATE)
		return; /* the step under way is short, and looks at it when it ends */
	template_forget(s->manager, s);
	(void)gave_up(s);
}

void sandbox_boot_keeper_lost(struct sandbox *s)
{
	s->keeper = NULL;
	if (s->phase == SANDBOX_PHASE_INIT)
		boot_fail_keeper(s, -ECONNRESET, "the keeper ended");
	else if (sandbox_is_claimed(s))
		sandbox_warm_lost(s);
	else
		spare_lost(s, "has lost its keeper");
}

int sandbox_start(struct sandbox *s, int64_t timeout_ms, sandbox_done *done, void *userdata,
		  struct error *reterr)
{
	int r;

	if (s->manager->stopping)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL, "start the daemon again",
				 "the daemon is stopping");
	r = sandbox_submit(s, SANDBOX_VERB_START, done, userdata, NULL, SANDBOX_STATE_RUNNING);
	if (r < 0)
		return error_set_errno(reterr, r, "sandbox %s cannot be started", s->facts.name);
	sandbox_last_op(s)->timeout_ms = timeout_ms;
	return 0;
}
