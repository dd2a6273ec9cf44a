/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox is owned by the table from sandbox_enter() to sandbox_leave(), and by every op in its
 * queue; whoever else holds it has a reference. States change in sandbox_set_state() only.
 *
 * Verbs are ops in a queue per sandbox: one is under way, the others wait, and each looks at the
 * state again when its turn comes. So a stop during a create waits for it, and nobody has to think
 * about two verbs at once. sandbox-boot.c has create and start, sandbox-end.c stop and remove. */

#include "sandbox/sandbox.h"

#include <assert.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/disk-watch.h"
#include "sandbox/event-log.h"
#include "sandbox/event.h"
#include "sandbox/exec.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/pool.h"
#include "sandbox/process.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/spare.h"
#include "secret/lease.h"
#include "store/sandboxes.h"
#include "util/log.h"
#include "util/pairs.h"
#include "util/path.h"
#include "util/time.h"

static const char *const state_names[SANDBOX_STATE_MAX] = {
	[SANDBOX_STATE_CREATING] = "creating", [SANDBOX_STATE_RUNNING] = "running",
	[SANDBOX_STATE_PAUSED] = "paused",     [SANDBOX_STATE_STOPPED] = "stopped",
	[SANDBOX_STATE_FAILED] = "failed",     [SANDBOX_STATE_REMOVED] = "removed",
};

const char *sandbox_state_to_string(enum sandbox_state s)
{
	return state_names[s];
}

const char *sandbox_launch_to_string(enum sandbox_launch l)
{
	return l == SANDBOX_LAUNCH_WARM ? "warm" : "cold";
}

const char *sandbox_state_hint(enum sandbox_state s)
{
	switch (s) {
	case SANDBOX_STATE_PAUSED:
		return "sandboxctl resume lets it go on";
	case SANDBOX_STATE_STOPPED:
	case SANDBOX_STATE_FAILED:
		return "sandboxctl start brings it back";
	case SANDBOX_STATE_CREATING:
	case SANDBOX_STATE_RUNNING:
	case SANDBOX_STATE_REMOVED:
	case SANDBOX_STATE_MAX:
		break;
	}
	return NULL;
}

bool sandbox_is_up(const struct sandbox *s)
{
	return s->facts.state == SANDBOX_STATE_RUNNING || s->facts.state == SANDBOX_STATE_PAUSED;
}

#define TO(state) (1u << SANDBOX_STATE_##state)
static const unsigned legal_edges[SANDBOX_STATE_MAX] = {
	[SANDBOX_STATE_CREATING] = TO(RUNNING) | TO(REMOVED) | TO(FAILED) | TO(STOPPED),
	[SANDBOX_STATE_RUNNING] = TO(PAUSED) | TO(STOPPED) | TO(FAILED) | TO(REMOVED),
	[SANDBOX_STATE_PAUSED] = TO(RUNNING) | TO(STOPPED) | TO(FAILED) | TO(REMOVED),
	[SANDBOX_STATE_STOPPED] = TO(CREATING) | TO(REMOVED) | TO(FAILED),
	[SANDBOX_STATE_FAILED] = TO(CREATING) | TO(REMOVED) | TO(STOPPED),
	[SANDBOX_STATE_REMOVED] = 0,
};

/* Whatever stopped it: but for a remove, which does it anyway. */
static void remove_if_wanted(struct sandbox *s)
{
	if (!s->facts.remove_on_stop || (s->ops && s->ops->verb == SANDBOX_VERB_REMOVE))
		return;
	if (sandbox_submit(s, SANDBOX_VERB_REMOVE, NULL, NULL, NULL, SANDBOX_STATE_REMOVED) < 0)
		log_error("no memory to remove sandbox %s, a restart of the daemon will",
			  s->facts.name);
}

void sandbox_set_state(struct sandbox *s, enum sandbox_state state, const char *cause)
{
	bool restart = state == SANDBOX_STATE_CREATING;
	enum sandbox_state from = s->facts.state;
	char *copy = NULL;

	assert(legal_edges[s->facts.state] & (1u << state));
	sandbox_log(s, s->hidden ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s -> %s%s%s",
		    state_names[s->facts.state], state_names[state], cause ? ": " : "",
		    cause ? cause : "");
	if (s->in_table) {
		s->manager->sandboxes->in_state[s->facts.state]--;
		s->manager->sandboxes->in_state[state]++;
	}
	s->facts.state = state;
	if (string_copy(cause, &copy) == 0) {
		free(s->facts.cause);
		s->facts.cause = copy;
	}
	if (state == SANDBOX_STATE_RUNNING) {
		sandbox_note_activity(s);
		disk_watch_begin(s);
	} else if (state != SANDBOX_STATE_PAUSED) {
		disk_watch_end(s);
	}
	if (state != SANDBOX_STATE_RUNNING && state != SANDBOX_STATE_PAUSED)
		lease_end_for(s->manager, LEASE_HOLDER_SANDBOX, s->facts.peer, s->facts.id,
			      LEASE_END_RELEASED, false);
	sandbox_timers_touch(s);
	if (state == SANDBOX_STATE_STOPPED || state == SANDBOX_STATE_FAILED)
		remove_if_wanted(s);
	event_sandbox_state(s, sandbox_state_to_string(from));
	/* The row of a start says stopped until it runs: rows that say creating are swept. */
	if (state == SANDBOX_STATE_REMOVED || restart)
		return;
	event_log_batch_begin(s->manager);
	sandbox_save(s);
	(void)event_log_batch_end(s->manager); /* logged there; the events come later */
}

void sandbox_save(struct sandbox *s)
{
	int r = sandbox_row_update(s);

	if (r < 0 && log_ratelimit())
		log_errno(LOG_LEVEL_ERROR, r, "cannot save the state of sandbox %s, going on",
			  s->facts.name);
}

/* ---- memory ---- */

static void free_const(const void *p)
{
	free((void *)(uintptr_t)p); /* const for readers only */
}

int sandbox_copy_workspaces(struct sandbox *s, const struct workspace_params *from, size_t count)
{
	struct workspace_params *items = calloc(count + 1, sizeof(*items));
	size_t i;

	if (!items)
		return -ENOMEM;
	s->facts.workspaces = (struct workspaces_params){ items, count };
	for (i = 0; i < count; i++) {
		items[i] = from[i];
		items[i].path = strdup(from[i].path);
		if (!items[i].path)
			return -ENOMEM;
	}
	return 0;
}

static void on_kick(evutil_socket_t fd, short events, void *userdata)
{
	struct sandbox *s = userdata;

	(void)fd;
	(void)events;
	if (!s->ops)
		return;
	if (s->ops->verb == SANDBOX_VERB_CREATE || s->ops->verb == SANDBOX_VERB_START)
		sandbox_boot(s);
	else if (s->ops->verb == SANDBOX_VERB_UNDO)
		sandbox_undo(s);
	else if (s->ops->verb == SANDBOX_VERB_PAUSE || s->ops->verb == SANDBOX_VERB_RESUME)
		sandbox_pause_now(s);
	else if (s->ops->verb == SANDBOX_VERB_COPY)
		sandbox_copy_begin(s);
	else if (s->ops->verb == SANDBOX_VERB_ADOPT)
		sandbox_adopt(s);
	else if (s->ops->verb == SANDBOX_VERB_AWAIT)
		sandbox_await_end(s);
	else
		sandbox_end(s);
}

struct sandbox *sandbox_alloc(struct manager *m)
{
	struct sandbox *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->manager = m;
	s->references = 1;
	s->oom_fd = s->pidfd = -1;
	event_assign(&s->kick, m->base, -1, 0, on_kick, s);
	sandbox_pause_init(s);
	return s;
}

static void sandbox_free(struct sandbox *s)
{
	size_t i;

	sandbox_release(s);
	spare_free(s->spare);
	sandbox_set_stages(s, NULL);
	(void)event_del(&s->kick);
	(void)event_del(&s->freezing.timer);
	s->disk_watch = disk_watch_free(s->disk_watch);
	for (i = 0; i < s->facts.workspaces.count; i++)
		free_const(s->facts.workspaces.items[i].path);
	free_const(s->facts.workspaces.items);
	pairs_deinit(&s->facts.env);
	pairs_deinit(&s->facts.labels);
	sandbox_home_end(s);
	string_list_deinit(&s->layers);
	error_clear(&s->boot_error);
	free(s->suspicion);
	free(s->facts.id);
	free(s->facts.name);
	free(s->facts.tool);
	free(s->facts.template_name);
	free(s->facts.cause);
	free(s->facts.runtime);
	free(s->home);
	free(s->user);
	free(s->facts.loop_id);
	free(s);
}

struct sandbox *sandbox_ref(struct sandbox *s)
{
	s->references++;
	return s;
}

struct sandbox *sandbox_unref(struct sandbox *s)
{
	if (s && --s->references == 0)
		sandbox_free(s);
	return NULL;
}

void sandbox_release(struct sandbox *s)
{
	struct manager *m = s->manager;
	char name[64];

	sandbox_freeze_lost(s);
	s->orphan = sandbox_orphan_free(s->orphan);
	s->adoption = sandbox_adoption_free(s->adoption);
	s->init = init_client_free(s->init);
	views_drop(s);
	if (!m->leaving)
		process_kill(s->pidfd);
	s->pidfd = close_fd(s->pidfd);
	s->oom_fd = close_fd(s->oom_fd);
	s->oom_fd_checked = false;
	s->oom_told = s->pids_told = 0;
	s->keeper = NULL;
	s->facts.pid = 0;
	s->pid_since = 0;
	s->phase = SANDBOX_PHASE_NONE;
	sandbox_close_workspaces(s);
	if (s->facts.id && !m->leaving) {
		if (m->execs)
			exec_table_hold(m, s, false); /* of the next run */
		(void)snprintf(name, sizeof(name), "sandboxes/%s", s->facts.id);
		(void)path_remove_tree(m->runtime_fd, name); /* swept at the next start */
	}
}

/* ---- ops ---- */

int sandbox_submit(struct sandbox *s, enum sandbox_verb verb, sandbox_done *done, void *userdata,
		   const char *cause, enum sandbox_state end_state)
{
	struct sandbox_op *op = calloc(1, sizeof(*op)), **end;

	if (!op || string_copy(cause, &op->cause) < 0) {
		free(op);
		return -ENOMEM;
	}
	op->verb = verb;
	op->done = done;
	op->userdata = userdata;
	op->end_state = end_state;
	op->timeout_ms = -1;
	for (end = &s->ops; *end; end = &(*end)->next)
		;
	*end = op;
	op->awaited =
		(verb == SANDBOX_VERB_CREATE || verb == SANDBOX_VERB_START) && !sandbox_is_spare(s);
	if (op->awaited)
		pool_boot_begins(s->manager);
	(void)sandbox_ref(s);
	if (s->ops == op)
		event_active(&s->kick, 0, 0);
	return 0;
}

struct sandbox_op *sandbox_last_op(struct sandbox *s)
{
	struct sandbox_op *op;

	for (op = s->ops; op->next; op = op->next)
		;
	return op;
}

bool sandbox_waits_for_keeper(struct sandbox *s)
{
	struct sandbox_op *op = s->ops;

	if (!sandbox_is_up(s) || s->keeper || !op->next)
		return false;
	s->ops = op->next;
	sandbox_last_op(s)->next = op;
	op->next = NULL;
	event_active(&s->kick, 0, 0);
	return true;
}

void sandbox_op_end(struct sandbox *s, struct error *e)
{
	CLEANUP_ERROR struct error none = { 0 };
	struct sandbox_op *op = s->ops;

	s->ops = op->next;
	if (op->awaited)
		pool_boot_ended(s->manager);
	if (s->ops)
		event_active(&s->kick, 0, 0);
	if (op->done)
		op->done(s, e ? e : &none, op->userdata);
	error_clear(&op->error);
	free(op->cause);
	free(op);
	(void)sandbox_unref(s);
}

/* ---- table ---- */

int sandbox_table_new(struct sandbox_table **ret)
{
	struct sandbox_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	*ret = t;
	return 0;
}

static void name_key(char *key, size_t size, uid_t peer, const char *name)
{
	(void)snprintf(key, size, "%u/%s", (unsigned)peer, name);
}

#define NAME_KEY_SIZE (NAME_LENGTH_MAX + 16)

int sandbox_enter(struct sandbox *s)
{
	struct sandbox_table *t = s->manager->sandboxes;
	char key[NAME_KEY_SIZE];
	int r;

	name_key(key, sizeof(key), s->facts.peer, s->facts.name);
	r = s->hidden ? 0 : table_add(&t->by_name, key, s);
	if (r < 0)
		return r;
	r = sandbox_count(s);
	if (r == 0)
		r = table_add_own(&t->by_id, s->facts.id, s);
	if (r < 0) {
		sandbox_uncount(s);
		if (!s->hidden)
			(void)table_remove(&t->by_name, key);
		return r;
	}
	sandbox_timers_begin(s);
	s->next = NULL; /* a spare has been in the list before */
	s->previous = t->last;
	*(t->last ? &t->last->next : &t->first) = s;
	t->last = s;
	t->count++;
	t->in_state[s->facts.state]++;
	s->in_table = true;
	(void)sandbox_ref(s);
	return 0;
}

void sandbox_leave(struct sandbox *s)
{
	struct sandbox_table *t = s->manager->sandboxes;
	char key[NAME_KEY_SIZE];

	if (!s->in_table)
		return;
	s->in_table = false;
	name_key(key, sizeof(key), s->facts.peer, s->facts.name);
	if (!s->hidden)
		(void)table_remove(&t->by_name, key);
	(void)table_remove(&t->by_id, s->facts.id);
	*(s->previous ? &s->previous->next : &t->first) = s->next;
	*(s->next ? &s->next->previous : &t->last) = s->previous;
	t->count--;
	t->in_state[s->facts.state]--;
	sandbox_uncount(s);
	(void)sandbox_unref(s);
}

void sandbox_table_free(struct manager *m)
{
	struct sandbox_table *t = m->sandboxes;

	if (!t)
		return;
	(void)event_del(&t->timer);
	while (t->first) {
		struct sandbox *s = t->first;

		while (s->ops) { /* only when a clean stop ran out of time */
			s->ops->done = NULL;
			sandbox_op_end(s, NULL);
		}
		sandbox_leave(s);
	}
	table_deinit(&t->by_id);
	table_deinit(&t->by_name);
	string_list_deinit(&t->stale);
	free(t);
	m->sandboxes = NULL;
}

static bool may_see(const struct sandbox *s, uid_t peer)
{
	return !s->hidden && (peer == 0 || s->facts.peer == peer);
}

struct sandbox *sandbox_find(struct manager *m, uid_t peer, const char *name_or_id,
			     struct error *reterr)
{
	char key[NAME_KEY_SIZE];
	struct sandbox *s;

	name_key(key, sizeof(key), peer, name_or_id);
	s = table_find(&m->sandboxes->by_name, key);
	if (!s)
		s = table_find(&m->sandboxes->by_id, name_or_id);
	if (s && may_see(s, peer))
		return s;
	/* names are each user's own: another's that were found by its name would be taken for one's
	 * own */
	(void)error_set(reterr, ERROR_NOT_FOUND, "sandbox",
			peer == 0 ? "sandboxctl ls; another user's goes by its id (-o json)"
				  : "sandboxctl ls",
			"there is no sandbox %s", name_or_id);
	error_set_resource(reterr, "sandbox %s", name_or_id);
	return NULL;
}

void manager_each_sandbox(struct manager *m, bool (*fn)(struct sandbox *s, void *userdata),
			  void *userdata)
{
	struct sandbox *s, *next;

	for (s = m->sandboxes->first; s; s = next) {
		next = s->next;
		if (!fn(s, userdata))
			return;
	}
}

void manager_each_sandbox_after(struct sandbox *after,
				bool (*fn)(struct sandbox *s, void *userdata), void *userdata)
{
	struct sandbox *s;

	for (s = after->next; s && fn(s, userdata); s = s->next)
		;
}

size_t manager_sandbox_count(const struct manager *m)
{
	return m->sandboxes->count;
}

size_t manager_sandbox_count_in(const struct manager *m, enum sandbox_state state)
{
	return m->sandboxes->in_state[state];
}

/* What was begun is finished; but a sandbox that is being taken over the next daemon takes over. */
bool sandbox_table_busy(const struct manager *m)
{
	const bool all = m->config->stop_sandboxes;
	const struct sandbox *s;

	for (s = m->sandboxes->first; s; s = s->next)
		if ((s->ops && (all || s->ops->verb != SANDBOX_VERB_ADOPT)) ||
		    ((all || s->hidden) && sandbox_is_up(s)))
			return true;
	return false;
}

/* Boots that are in a runtime's hands can take long; everything else ends soon by itself. */
bool sandbox_table_boots_only(const struct manager *m)
{
	const struct sandbox *s;

	for (s = m->sandboxes->first; s; s = s->next)
		if ((sandbox_is_up(s) && (m->config->stop_sandboxes || s->ops)) ||
		    (s->ops && s->phase != SANDBOX_PHASE_CREATE))
			return false;
	return true;
}

/* What goes with the daemon: all, or what is its own and what is not finished. */
static bool must_stop(const struct sandbox *s)
{
	if (s->manager->config->stop_sandboxes || s->hidden)
		return s->ops || sandbox_is_up(s);
	return s->ops && s->ops->verb != SANDBOX_VERB_ADOPT && !sandbox_is_up(s);
}

bool sandbox_table_stop(struct manager *m)
{
	struct sandbox *s;

	for (s = m->sandboxes->first; s; s = s->next) {
		sandbox_boot_interrupt(s);
		if (must_stop(s) && sandbox_submit(s, SANDBOX_VERB_STOP, NULL, NULL,
						   "daemon_stopped", SANDBOX_STATE_STOPPED) < 0)
			log_error("no memory to stop sandbox %s, its keeper will", s->facts.name);
	}
	return sandbox_table_busy(m);
}

/* The last daemon had begun to. */
static void remove_again(struct sandbox *s)
{
	log_info("removing sandbox %s, as was begun", s->facts.name);
	(void)sandbox_submit(s, SANDBOX_VERB_REMOVE, NULL, NULL, NULL,
			     SANDBOX_STATE_REMOVED); /* ENOMEM: the next daemon does */
}

void sandbox_table_sweep(struct manager *m)
{
	struct sandbox *s;

	for (s = m->sandboxes->first; s; s = s->next) {
		if (s->facts.state != SANDBOX_STATE_CREATING && !s->hidden) {
			if (s->removing)
				remove_again(s);
			else if (!s->ops && !sandbox_is_up(s))
				remove_if_wanted(s); /* the last daemon did not come to it */
			continue;
		}
		log_info("removing sandbox %s, which was never finished", s->facts.name);
		s->unfinished = !s->hidden;
		s->leftover = !keeper_table_has(m, s->facts.owner); /* else that ends it */
		if (s->facts.state == SANDBOX_STATE_CREATING)
			sandbox_set_state(s, SANDBOX_STATE_FAILED, "never_finished");
		(void)sandbox_submit(s, SANDBOX_VERB_REMOVE, NULL, NULL, NULL,
				     SANDBOX_STATE_REMOVED); /* ENOMEM: shown as failed */
	}
	for (s = m->sandboxes->first; s; s = s->next)
		sandbox_timers_touch(s);
}

int sandbox_keeper_namespace(const struct manager *m, uid_t owner, pid_t *ret_pid)
{
	const struct sandbox *s;
	int fd;

	for (s = m->sandboxes->first; s; s = s->next) {
		if (s->facts.owner != owner || s->pidfd < 0)
			continue;
		fd = process_namespace_above(s->facts.pid, s->pidfd);
		if (fd >= 0) {
			*ret_pid = s->facts.pid;
			return fd;
		}
	}
	return -ENOENT;
}

/* ---- what others ask ---- */

const struct sandbox_facts *sandbox_facts(const struct sandbox *s)
{
	return &s->facts;
}

bool sandbox_is_hidden(const struct sandbox *s)
{
	return s->hidden;
}

const struct string_list *sandbox_layers(const struct sandbox *s)
{
	return &s->layers;
}

enum sandbox_state sandbox_state(const struct sandbox *s)
{
	return s->facts.state;
}

const char *sandbox_id(const struct sandbox *s)
{
	return s->facts.id;
}

const char *sandbox_name(const struct sandbox *s)
{
	return s->facts.name;
}

uid_t sandbox_owner(const struct sandbox *s)
{
	return s->facts.owner;
}

struct manager *sandbox_manager(const struct sandbox *s)
{
	return s->manager;
}

struct init_client *sandbox_init(const struct sandbox *s)
{
	return s->init;
}

struct keeper_client *sandbox_keeper(const struct sandbox *s)
{
	return s->keeper;
}

const char *sandbox_home(const struct sandbox *s)
{
	return s->home ? s->home : "/home/agent";
}

const char *sandbox_default_workdir(const struct sandbox *s)
{
	return s->facts.workspaces.count > 0 ? s->facts.workspaces.items[0].path : sandbox_home(s);
}

uint32_t sandbox_nproc_limit(const struct sandbox *s)
{
	if (s->keeper && (keeper_client_controllers(s->keeper) & KEEPER_CONTROLLER_PIDS))
		return 0;
	return s->facts.limits.pids;
}

/* The keeper passed it, so it may be anything: reading it must not wait. */
static bool can_read_oom_kills(struct sandbox *s)
{
	if (s->oom_fd < 0 || s->oom_fd_checked)
		return s->oom_fd >= 0;
	s->oom_fd_checked = cgroups_hold(s->manager->cgroups, s->oom_fd);
	if (!s->oom_fd_checked)
		s->oom_fd = close_fd(s->oom_fd);
	return s->oom_fd_checked;
}

/* "oom_kill N" is a line of memory.events (v2) and memory.oom_control (v1). */
uint64_t sandbox_oom_kills(struct sandbox *s)
{
	char text[512];
	const char *line;
	ssize_t n;

	if (!can_read_oom_kills(s))
		return 0;
	n = pread(s->oom_fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, "oom_kill ");
	return line ? strtoull(line + strlen("oom_kill "), NULL, 10) : 0;
}

uint64_t sandbox_new_oom_kills(struct sandbox *s)
{
	uint64_t kills = sandbox_oom_kills(s), told = s->oom_told;

	if (s->oom_fd < 0)
		return 0;
	s->oom_told = kills;
	return kills > told ? kills - told : 0;
}

int64_t sandbox_run_since_ms(const struct sandbox *s)
{
	int64_t asleep = time_boottime_ms() - time_monotonic_ms();

	return (int64_t)(s->pid_since * 1000 / (uint64_t)sysconf(_SC_CLK_TCK)) - asleep;
}

void sandbox_note_foreign_user(struct sandbox *s)
{
	if (s->foreign_user)
		return;
	s->foreign_user = true;
	sandbox_save(s);
}
