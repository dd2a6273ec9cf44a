/* SPDX-License-Identifier: Apache-2.0 */
/* The middle of a boot: what the keeper and init are asked for. KEEPER_CREATE makes the container,
 * its init is greeted, KEEPER_CLAIM makes it this sandbox's; with runsc the claim comes first. Each
 * step ends in one callback that begins the next or fails the boot. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "sandbox/claim.h"
#include "sandbox/config.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/process.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/secret-file.h"
#include "sandbox/spare.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

#define HOSTNAME_SIZE 64

/* ---- claim ---- */

bool sandbox_boot_claims_first(const struct sandbox *s)
{
	return sandbox_runtime(s) == RUNTIME_RUNSC;
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
		sandbox_boot_fail_keeper(s, error, reason);
		return;
	}
	if (sandbox_boot_gave_up(s))
		return;
	launch_step(&s->ops->launch, LAUNCH_STEP_CLAIMED);
	FAULT_POINT("create.claimed");
	s->undo_due = false; /* the new claim has taken it over */
	s->warm_claimed = true;
	if (sandbox_is_claimed(s))
		sandbox_warm_step(s);
	else if (sandbox_boot_claims_first(s))
		sandbox_boot_create(s);
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
		sandbox_boot_fail_errno(s, r, "the sandbox cannot be claimed");
		return;
	}
	if (!reason || claim.idmap < -1) {
		sandbox_boot_fail_errno(s, reason ? claim.idmap : -ENOMEM,
					"idmapped mounts do not work");
		return;
	}
	if (sandbox_boot_claims_first(s))
		claim.flags |= KEEPER_CLAIM_BEFORE;
	make_hostname(s->facts.name, hostname);
	sandbox_fill_keeper_limits(s, &claim.limits);
	if (claim_message(m, &claim, &e) < 0) {
		wire_message_done(m);
		sandbox_boot_fail(s, &e);
		return;
	}
	s->phase = SANDBOX_PHASE_CLAIM;
	launch_step(&s->ops->launch, LAUNCH_STEP_CLAIM);
	r = keeper_client_call(s->keeper, m, on_claimed, s);
	if (r < 0)
		sandbox_boot_fail_errno(s, r, "the keeper does not answer");
}

static void on_home(struct sandbox *s)
{
	if (sandbox_boot_gave_up(s))
		return;
	if (s->keeper)
		send_claim(s);
	else
		sandbox_boot_fail_errno(s, -ECONNRESET, "the keeper ended");
}

void sandbox_boot_claim(struct sandbox *s)
{
	if (!sandbox_home_wait(s, on_home))
		send_claim(s);
}

/* ---- init ---- */

static void on_init_ready(struct init_client *c, int error, void *userdata)
{
	struct sandbox *s = userdata;

	(void)c;
	if (error < 0) {
		sandbox_boot_fail_errno(s, error, "sandbox-init does not answer");
		return;
	}
	if (sandbox_boot_gave_up(s))
		return;
	launch_step(&s->ops->launch, LAUNCH_STEP_HELLO);
	FAULT_POINT("create.greeted");
	if (sandbox_is_spare(s))
		spare_ready(s);
	else if (sandbox_boot_claims_first(s))
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
		sandbox_boot_fail_errno(s, -ECONNRESET, "sandbox-init ended");
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
		sandbox_boot_fail_errno(s, r, "cannot connect to sandbox-init");
}

/* ---- create ---- */

static void take_created(struct sandbox *s, struct wire_message *m)
{
	const struct keeper_create_reply *reply = (const void *)m->data;
	int connection = reply->init_fd < 0 ? -1 : wire_take_fd(m, (uint32_t)reply->init_fd);

	launch_step(&s->ops->launch, LAUNCH_STEP_CREATED);
	FAULT_POINT("create.made");
	memcpy(s->ops->launch.keeper_us, reply->step_us, sizeof(reply->step_us));
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
	if (s->retried || sandbox_boot_is_given_up(s)) {
		sandbox_boot_fail_keeper(s, -ECONNRESET, "the keeper ended");
		return;
	}
	s->retried = true;
	sandbox_boot_keeper(s);
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
	if (error == -ECANCELED && sandbox_boot_gave_up(s))
		return; /* interrupted: the keeper has undone it */
	if (error == -ECONNRESET) {
		create_lost(s);
		return;
	}
	/* what a keeper that is dead had put into its cgroup was still there, and has been killed
	 */
	if (error == -EEXIST && !s->ops->again) {
		s->ops->again = true;
		sandbox_boot_keeper(s);
		return;
	}
	if (error == -ETIMEDOUT)
		s->phase = SANDBOX_PHASE_INIT; /* it may have made something */
	if (m && m->size >= sizeof(*reply))
		reason = wire_string(m, reply->reason, &bad);
	sandbox_boot_fail_keeper(s, error, reason);
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
	create->flags = sandbox_boot_is_create(s) ? KEEPER_CREATE_DISCARD : KEEPER_CREATE_REUSE;
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

void sandbox_boot_create(struct sandbox *s)
{
	struct wire_message *m = keeper_scratch(s->manager);
	int fd, r;

	s->phase = SANDBOX_PHASE_CREATE;
	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_CREATE, 0, sizeof(struct keeper_create));
	fd = listen_for_init(s);
	r = fd < 0 ? fd : wire_add_fd(m, fd);
	if (r >= 0)
		r = fill_create(s, m);
	launch_step(&s->ops->launch, LAUNCH_STEP_ASKED);
	if (r < 0)
		wire_message_done(m);
	else
		r = keeper_client_call(s->keeper, m, on_created, s);
	if (r < 0)
		sandbox_boot_fail_errno(s, r, "the keeper cannot be asked");
}
