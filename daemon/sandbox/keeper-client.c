/* SPDX-License-Identifier: Apache-2.0 */
/* A keeper_client belongs to the manager's table from its start to its death. It dies once, in
 * keeper_die(): then it leaves the table, every pending call is answered -ECONNRESET, its sandboxes
 * are told, and the wake event frees it: whoever noticed the death may still be using it. */

#include "sandbox/keeper-client.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

#include "sandbox/cgroup.h"
#include "sandbox/idmap.h"
#include "sandbox/keeper-internal.h"
#include "sandbox/sandbox-internal.h"
#include "util/child.h"
#include "util/log.h"
#include "util/strings.h"

/* Whether a keeper that an earlier daemon left is looked for. */
enum keeper_search {
	KEEPER_SEARCH_NONE, /* none: one is started */
	KEEPER_SEARCH_FIRST,
	KEEPER_SEARCH_ONLY, /* and none is started */
};

#define KEEPER_SWEEP_MS 500
#define KEEPER_SWEEPS 40

struct wire_message *keeper_scratch(struct manager *m)
{
	return m->keepers->scratch;
}

uint32_t keeper_client_controllers(const struct keeper_client *k)
{
	return k->controllers;
}

pid_t keeper_client_pid(const struct keeper_client *k)
{
	return child_pid(k->child);
}

void keeper_client_owner(const struct keeper_client *k, uint32_t *ret_uid, uint32_t *ret_gid)
{
	*ret_uid = k->owner.uid;
	*ret_gid = k->owner.gid;
}

enum keeper_map keeper_client_map(const struct keeper_client *k)
{
	return k->owner.map;
}

int keeper_client_idmap(struct keeper_client *k)
{
	struct keeper_table *t = k->manager->keepers;
	int r;

	if (k->owner.map != KEEPER_MAP_SHIFTED)
		return -1;
	if (t->idmap < 0) {
		r = idmap_new(k->owner.sub_uid, k->owner.sub_count, &t->idmap);
		if (r < 0)
			return r;
	}
	return t->idmap;
}

/* ---- death ---- */

static void keeper_free(struct keeper_client *k)
{
	keeper_calls_free(k);
	(void)event_del(&k->wake);
	k->child = k->manager->leaving ? child_release(k->child) : child_free(k->child);
	k->unit = unit_start_free(k->unit);
	free(k->start_error);
	free(k);
}

static void tell_waiters(struct keeper_client *k)
{
	struct keeper_waiter *w;
	bool alive = k->state == KEEPER_STATE_READY;

	while ((w = k->waiters)) {
		CLEANUP_ERROR struct error e = { 0 };

		k->waiters = w->next;
		if (!alive)
			(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL,
					"see sandboxctl doctor and the daemon's log",
					"the keeper of uid %u does not run: %s",
					(unsigned)k->owner.uid,
					k->start_error ? k->start_error : "it ended");
		w->done(alive ? k : NULL, &e, w->userdata);
		free(w);
	}
}

static void unlink_keeper(struct keeper_client **list, const struct keeper_client *k)
{
	for (; *list; list = &(*list)->next) {
		if (*list == k) {
			*list = k->next;
			return;
		}
	}
}

static struct keeper_client *find_keeper(const struct manager *m, uid_t owner)
{
	struct keeper_client *k;

	for (k = m->keepers->list; k; k = k->next)
		if (k->owner.uid == owner)
			return k;
	return NULL;
}

static void sweep_soon(struct manager *m)
{
	struct timeval delay = { .tv_usec = KEEPER_SWEEP_MS * 1000 };

	(void)event_add(&m->keepers->sweep, &delay); /* else at the end of the daemon */
}

static void note_remains(struct manager *m, uid_t owner)
{
	struct keeper_remains *r = calloc(1, sizeof(*r));

	if (!r)
		return; /* swept at the end of the daemon */
	r->owner = owner;
	r->tries = KEEPER_SWEEPS;
	r->next = m->keepers->remains;
	m->keepers->remains = r;
	sweep_soon(m);
}

/* Marks it; the rest happens in on_wake(). May be called from anywhere, any number of times. */
void keeper_die(struct keeper_client *k)
{
	if (k->state == KEEPER_STATE_DEAD)
		return;
	k->state = KEEPER_STATE_DEAD;
	keeper_calls_stop(k);
	unlink_keeper(&k->manager->keepers->list, k);
	k->next = k->manager->keepers->dead;
	k->manager->keepers->dead = k;
	event_active(&k->wake, 0, 0);
}

static int keeper_new(struct manager *m, uid_t owner, enum keeper_search search,
		      struct keeper_client **ret, struct error *reterr);

/* We met it when it had nothing more to do and was about to go. */
static bool is_ending(const struct keeper_client *k)
{
	return k->found && !k->greeted && !k->start_error && !k->timed_out;
}

/* Who heard of its end may have asked for the next one already: a second one would take that one's
 * place at the socket. */
static void start_instead(struct keeper_client *k)
{
	struct keeper_client *next = find_keeper(k->manager, k->owner.uid);
	CLEANUP_ERROR struct error e = { 0 };
	struct keeper_waiter **end;

	if (!k->waiters || k->manager->stopping)
		return;
	if (!next && keeper_new(k->manager, k->owner.uid, KEEPER_SEARCH_NONE, &next, &e) < 0)
		return;
	for (end = &next->waiters; *end; end = &(*end)->next)
		;
	*end = TAKE_PTR(k->waiters);
	if (next->state == KEEPER_STATE_READY)
		event_active(&next->wake, 0, 0);
}

static void on_wake(evutil_socket_t fd, short events, void *userdata)
{
	struct keeper_client *k = userdata;
	struct manager *m = k->manager;

	(void)fd;
	(void)events;
	if (k->state != KEEPER_STATE_DEAD) {
		if (k->state == KEEPER_STATE_READY)
			tell_waiters(k);
		return;
	}
	if (k->child && !is_ending(k))
		(void)child_kill(k->child, SIGKILL); /* gone already, unless it is hung */
	if (k->start_error)
		log_warning("the keeper of uid %u does not run: %s", (unsigned)k->owner.uid,
			    k->start_error);
	keeper_calls_fail(k);
	sandbox_keeper_lost(m, k);
	if (is_ending(k))
		start_instead(k);
	tell_waiters(k);
	unlink_keeper(&m->keepers->dead, k);
	/* what is killed now and was frozen dies when this has thawed it */
	if (!sandbox_any_of(m, k->owner.uid) &&
	    cgroups_remove_owner(m->cgroups, k->owner.uid) == -EBUSY)
		note_remains(m, k->owner.uid);
	keeper_free(k);
}

/* What is still there after the last try is swept with the instance's own directory. */
static void on_sweep(evutil_socket_t fd, short events, void *userdata)
{
	struct manager *m = userdata;
	struct keeper_remains **link = &m->keepers->remains, *r;

	(void)fd;
	(void)events;
	while ((r = *link)) {
		if (!find_keeper(m, r->owner) && !sandbox_any_of(m, r->owner) && --r->tries > 0 &&
		    cgroups_remove_owner(m->cgroups, r->owner) == -EBUSY) {
			link = &r->next;
			continue;
		}
		*link = r->next;
		free(r);
	}
	if (m->keepers->remains)
		sweep_soon(m);
}

/* ---- start ---- */

static void on_hello(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	const struct keeper_hello_reply *reply;

	(void)userdata;
	if (k->state == KEEPER_STATE_DEAD)
		return;
	if (error == 0 && m->size < sizeof(*reply))
		error = -EBADMSG;
	if (error < 0) {
		k->start_error = string_format("it refused: %s", strerror(-error));
		keeper_die(k);
		return;
	}
	reply = (const void *)m->data;
	k->controllers = reply->controllers;
	k->greeted = true;
	if (!k->found)
		keeper_ready(k);
	else if (keeper_take_stock(k) < 0)
		keeper_die(k);
}

void keeper_ready(struct keeper_client *k)
{
	if (k->state != KEEPER_STATE_STARTING)
		return;
	k->state = KEEPER_STATE_READY;
	log_info("keeper of uid %u %s", (unsigned)k->owner.uid,
		 k->found ? "is there, and its sandboxes" : "runs");
	event_active(&k->wake, 0, 0);
}

int keeper_greet(struct keeper_client *k, char **ret_reason)
{
	struct wire_message *m = keeper_scratch(k->manager);
	int r;

	r = k->socket < 0 ? keeper_connect(k) : 0;
	if (r == 0)
		r = keeper_calls_watch(k);
	if (r == 0)
		r = keeper_hello(k, m, ret_reason);
	if (r == 0)
		r = keeper_client_call(k, m, on_hello, NULL);
	return r;
}

/* Where there is one it need not be started. */
static int keeper_begin(struct keeper_client *k, enum keeper_search search, char **ret_reason)
{
	int r = search == KEEPER_SEARCH_NONE ? -ENOENT : keeper_find(k);

	k->found = r == 0;
	if ((r == -ENOENT || r == -ECONNREFUSED) && search != KEEPER_SEARCH_ONLY)
		r = keeper_start(k, ret_reason);
	return r == 0 && k->child ? keeper_greet(k, ret_reason) : r;
}

static struct keeper_client *keeper_alloc(struct manager *m)
{
	struct keeper_client *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->manager = m;
	k->socket = -1;
	keeper_calls_init(k);
	event_assign(&k->wake, m->base, -1, 0, on_wake, k);
	return k;
}

static int keeper_make(struct manager *m, uid_t owner, enum keeper_search search,
		       struct keeper_client **ret, char **ret_reason)
{
	struct keeper_client *k = keeper_alloc(m);
	int r;

	if (!k)
		return -ENOMEM;
	k->next = m->keepers->list;
	m->keepers->list = k;
	r = owner_lookup(&k->owner, owner, m->uid);
	if (r == 0)
		r = keeper_begin(k, search, ret_reason);
	if (r < 0) {
		unlink_keeper(&m->keepers->list, k);
		keeper_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

static int keeper_new(struct manager *m, uid_t owner, enum keeper_search search,
		      struct keeper_client **ret, struct error *reterr)
{
	CLEANUP_STR char *reason = NULL;
	int r = keeper_make(m, owner, search, ret, &reason);

	if (r == 0)
		return 0;
	log_errno(LOG_LEVEL_ERROR, r, "cannot start the keeper of uid %u%s%s", (unsigned)owner,
		  reason ? ": " : "", reason ? reason : "");
	return error_set(reterr, ERROR_RUNTIME_FAILED, NULL, "sandboxctl doctor",
			 "the keeper of uid %u cannot be started: %s%s%s", (unsigned)owner,
			 reason ? reason : "", reason ? ": " : "", strerror(-r));
}

int keeper_meet(struct manager *m, uid_t owner)
{
	CLEANUP_STR char *reason = NULL;
	struct keeper_client *k;

	return keeper_make(m, owner, KEEPER_SEARCH_ONLY, &k, &reason);
}

int manager_keeper(struct manager *m, uid_t owner, manager_keeper_done *done, void *userdata,
		   struct error *reterr)
{
	struct keeper_client *k = find_keeper(m, owner);
	struct keeper_waiter *w, **end;

	if (k && k->state == KEEPER_STATE_CLOSING) {
		keeper_die(k);
		k = NULL;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return error_set_errno(reterr, -ENOMEM, "cannot wait for a keeper");
	if (!k && (keeper_new(m, owner, KEEPER_SEARCH_FIRST, &k, reterr) < 0 || !k)) {
		free(w);
		return -1;
	}
	w->done = done;
	w->userdata = userdata;
	for (end = &k->waiters; *end; end = &(*end)->next)
		;
	*end = w;
	if (k->state == KEEPER_STATE_READY)
		event_active(&k->wake, 0, 0);
	return 0;
}

/* ---- the table ---- */

int keeper_table_new(struct manager *m, struct keeper_table **ret)
{
	struct keeper_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->seccomp = t->idmap = -1;
	t->incoming = malloc(sizeof(*t->incoming));
	t->scratch = malloc(sizeof(*t->scratch));
	if (!t->incoming || !t->scratch) {
		free(t->incoming);
		free(t->scratch);
		free(t);
		return -ENOMEM;
	}
	evtimer_assign(&t->sweep, m->base, on_sweep, m);
	*ret = t;
	return 0;
}

static void free_list(struct keeper_client *k)
{
	struct keeper_client *next;
	struct keeper_waiter *w;

	for (; k; k = next) {
		next = k->next;
		while ((w = k->waiters)) {
			k->waiters = w->next;
			free(w);
		}
		keeper_free(k);
	}
}

void keeper_table_free(struct manager *m)
{
	struct keeper_table *t = TAKE_PTR(m->keepers);
	struct keeper_remains *r;

	if (!t)
		return;
	(void)event_del(&t->sweep);
	while ((r = t->remains)) {
		t->remains = r->next;
		free(r);
	}
	free_list(t->list);
	free_list(t->dead);
	(void)close_fd(t->seccomp);
	(void)close_fd(t->idmap);
	free(t->incoming);
	free(t->scratch);
	free(t);
}

static void on_shutdown_done(struct keeper_client *k, int error, struct wire_message *m,
			     void *userdata)
{
	(void)k; /* its end is what counts */
	(void)error;
	(void)m;
	(void)userdata;
}

bool keeper_table_has(const struct manager *m, uid_t owner)
{
	return find_keeper(m, owner) != NULL;
}

bool keeper_table_shutdown(struct manager *m, bool idle_only)
{
	struct wire_message *scratch = m->keepers->scratch;
	struct keeper_client *k, *next;
	bool any = false;

	for (k = m->keepers->list; k; k = next) {
		next = k->next;
		if (idle_only && sandbox_any_of(m, k->owner.uid))
			continue;
		any = true;
		if (k->shutting_down)
			continue;
		k->shutting_down = true;
		if (k->socket < 0) { /* it gives up by itself when nobody connects */
			keeper_die(k);
			continue;
		}
		wire_begin(scratch, KEEPER_WIRE_VERSION, KEEPER_SHUTDOWN, 0,
			   sizeof(struct wire_header));
		if (keeper_client_call(k, scratch, on_shutdown_done, NULL) < 0)
			keeper_die(k);
	}
	return any || m->keepers->dead;
}

size_t keeper_table_count(const struct manager *m)
{
	const struct keeper_client *k;
	size_t n = 0;

	for (k = m->keepers->list; k; k = k->next)
		n++;
	return n;
}
