/* SPDX-License-Identifier: Apache-2.0 */
/* An exec's key names its spool and its row. It is the id, but where a client of another uid than
 * the daemon's chose the id: then "UID.ID", because ids chosen by clients are unique per uid only.
 *
 * Rows are written from a timer, so that no reply waits for the disk; ended execs beyond
 * kept_max() are dropped there too, those of the sandboxes where one has ended since, so that one
 * who runs many costs others nothing. Detached and captured execs have a row. */

#include "sandbox/exec-table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/disk-watch.h"
#include "sandbox/exec-budget.h"
#include "sandbox/exec-internal.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "store/execs.h"
#include "store/store.h"
#include "util/id.h"
#include "util/log.h"
#include "util/space.h"
#include "util/strings.h"
#include "util/table.h"
#include "util/time.h"

#define SAVE_DELAY_US 20000
#define SAVES_AT_ONCE 64 /* rows in one turn of the loop */
#define KEY_SIZE (NAME_LENGTH_MAX + 1)

/* The execs of one sandbox. */
struct home {
	TAILQ_HEAD(, exec) execs; /* oldest first */
	size_t running;
	size_t ended;
	bool trim_due;           /* in the table's trims */
	bool still;              /* the sandbox does not run at the moment */
	struct sandbox *sandbox; /* of those who wait: referenced until they are told */
	exec_table_done *done;
	void *userdata;
	struct event empty;
	TAILQ_ENTRY(home) in_trims;
};

struct exec_table {
	struct manager *manager;
	struct table keys;  /* struct exec */
	struct table homes; /* struct home, by sandbox id */
	TAILQ_HEAD(, exec) all;
	TAILQ_HEAD(, exec) saves;
	struct event save_event;
	TAILQ_HEAD(, home) trims; /* sandboxes that have more ended ones than are kept */
	size_t running;
	size_t ended;
	struct exec_budget budget;
	struct wire_message *message;
};

/* What runs in a sandbox of the daemon's own is nobody's to see. */
static bool may_see(const struct exec *e, uid_t peer)
{
	return (peer == 0 || e->peer == peer) && !sandbox_is_hidden(e->sandbox);
}

struct exec *exec_table_by_key(struct exec_table *t, const char *key)
{
	return table_find(&t->keys, key);
}

struct wire_message *exec_table_message(struct exec_table *t)
{
	return t->message;
}

/* False when it would be too long. */
static bool make_key(const struct exec_table *t, uid_t peer, const char *id,
		     char key[static KEY_SIZE])
{
	int n;

	if (peer == t->manager->uid)
		n = snprintf(key, KEY_SIZE, "%s", id);
	else
		n = snprintf(key, KEY_SIZE, "%u.%s", (unsigned)peer, id);
	return n > 0 && n < KEY_SIZE;
}

/* The other way round. */
static const char *id_of_key(const struct exec_table *t, uid_t peer, const char *key)
{
	char prefix[16];

	if (peer == t->manager->uid)
		return key;
	(void)snprintf(prefix, sizeof(prefix), "%u.", (unsigned)peer);
	return string_starts(key, prefix) ? key + strlen(prefix) : key;
}

static struct exec *find_by_id(const struct exec_table *t, const char *id)
{
	struct exec *e;

	TAILQ_FOREACH(e, &t->all, in_all)
	if (strcmp(e->facts.id, id) == 0)
		return e;
	return NULL;
}

struct exec *exec_table_find(struct exec_table *t, uid_t peer, const char *id)
{
	char key[KEY_SIZE];
	struct exec *e = NULL;

	if (make_key(t, peer, id, key))
		e = table_find(&t->keys, key);
	if (!e)
		e = table_find(&t->keys, id);
	if (!e && peer == 0)
		e = find_by_id(t, id); /* one that another uid's client named */
	return e && may_see(e, peer) ? e : NULL;
}

struct exec *exec_find(struct manager *m, uid_t peer, const char *id, struct error *reterr)
{
	struct exec *e = exec_table_find(m->execs, peer, id);

	if (!e) {
		(void)error_set(reterr, ERROR_NOT_FOUND, NULL, "sandboxctl ps lists them",
				"there is no exec %s", id);
		error_set_resource(reterr, "exec %s", id);
	}
	return e;
}

/* ---- rows ---- */

static bool has_row(const struct exec *e)
{
	return e->facts.streams != 0 || e->facts.detached;
}

static void fill_row(const struct exec *e, struct store_exec *row)
{
	const struct exec_facts *f = &e->facts;
	size_t i;

	*row = (struct store_exec){ .id = e->key,
				    .sandbox = sandbox_id(e->sandbox),
				    .peer = e->peer,
				    .command = f->command,
				    .command_size = f->command_size,
				    .stage = f->stage,
				    .story_id = f->story_id,
				    .state = f->state,
				    .detached = f->detached,
				    .streams = f->streams |
					       (f->spool_dropped ? STORE_EXEC_SPOOL_DROPPED : 0),
				    .created_at_ms = f->created_at_ms,
				    .result = f->result };
	for (i = 0; i < KEEPER_STREAM_MAX; i++) {
		row->stream_end[i] = f->stream[i].end;
		row->stream_start[i] = f->stream[i].start;
	}
}

static void cannot_store(const struct exec *e, int error)
{
	if (log_ratelimit())
		(void)log_errno(LOG_LEVEL_WARNING, error,
				"exec %s cannot be stored, a restart will forget it", e->facts.id);
}

/* Returns whether its row is a new one. */
static bool save(struct exec_table *t, struct exec *e)
{
	const bool is_new = !e->stored;
	struct store_exec row;
	int r;

	TAILQ_REMOVE(&t->saves, e, in_saves);
	e->save_queued = false;
	fill_row(e, &row);
	r = is_new ? store_exec_insert(t->manager->store, &row)
		   : store_exec_update(t->manager->store, &row);
	if (r < 0)
		cannot_store(e, r);
	else
		e->stored = true;
	return r == 0 && is_new;
}

/* As many as are written in one turn of the loop. */
static void save_some(struct exec_table *t)
{
	struct exec *added[SAVES_AT_ONCE];
	size_t n = 0;
	unsigned budget = SAVES_AT_ONCE;
	struct exec *e;
	int r;

	(void)store_batch_begin(t->manager->store); /* else one by one */
	while (budget-- > 0 && (e = TAILQ_FIRST(&t->saves)))
		if (save(t, e))
			added[n++] = e;
	r = store_batch_end(t->manager->store);
	if (r == 0)
		return;
	while (n > 0) {
		added[--n]->stored = false;
		cannot_store(added[n], r);
	}
}

static void schedule(struct exec_table *t)
{
	static const struct timeval delay = { .tv_usec = SAVE_DELAY_US };

	if (!event_pending(&t->save_event, EV_TIMEOUT, NULL))
		(void)event_add(&t->save_event, &delay); /* no memory: with the next one */
}

void exec_table_save(struct exec_table *t, struct exec *e)
{
	/* a running one that nobody can come back for need not be known to a later daemon */
	if (!has_row(e) || e->save_queued || !e->home ||
	    (e->facts.state != EXEC_STATE_ENDED && !e->facts.detached))
		return;
	e->save_queued = true;
	TAILQ_INSERT_TAIL(&t->saves, e, in_saves);
	schedule(t);
}

/* ---- entering and dropping ---- */

static void on_empty(evutil_socket_t fd, short what, void *userdata)
{
	struct home *h = userdata;
	struct sandbox *s = TAKE_PTR(h->sandbox);
	exec_table_done *done = TAKE_PTR(h->done);

	(void)fd;
	(void)what;
	if (done)
		done(s, h->userdata);
	(void)sandbox_unref(s);
}

static void home_free(struct exec_table *t, struct home *h)
{
	if (h->trim_due)
		TAILQ_REMOVE(&t->trims, h, in_trims);
	(void)event_del(&h->empty);
	(void)sandbox_unref(h->sandbox);
	free(h);
}

static struct home *home_of(struct exec_table *t, const struct sandbox *s)
{
	struct home *h = table_find(&t->homes, sandbox_id(s));

	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	TAILQ_INIT(&h->execs);
	event_assign(&h->empty, t->manager->base, -1, 0, on_empty, h);
	if (table_add(&t->homes, sandbox_id(s), h) < 0) {
		free(h);
		return NULL;
	}
	return h;
}

/* Forgets an ended one; its files are removed, its row by the caller. */
static void drop(struct exec_table *t, struct exec *e, bool remove_files)
{
	(void)table_remove(&t->keys, e->key);
	TAILQ_REMOVE(&e->home->execs, e, in_home);
	TAILQ_REMOVE(&t->all, e, in_all);
	if (e->save_queued)
		TAILQ_REMOVE(&t->saves, e, in_saves);
	e->save_queued = false;
	e->home->ended--;
	t->ended--;
	e->home = NULL;
	exec_budget_forget(&t->budget, e);
	if (remove_files)
		exec_spool_remove(e);
	(void)exec_unref(e);
}

/* How many ended ones a sandbox keeps. Where all together are too many this is its share, and only
 * who has more loses some: nobody pushes out the results of another. */
static size_t kept_max(const struct exec_table *t)
{
	size_t share;

	if (t->ended <= EXECS_KEPT_MAX)
		return EXECS_KEPT_PER_SANDBOX_MAX;
	share = EXECS_KEPT_MAX / t->homes.count;
	if (share < EXECS_KEPT_PER_SANDBOX_MIN)
		return EXECS_KEPT_PER_SANDBOX_MIN;
	return share < EXECS_KEPT_PER_SANDBOX_MAX ? share : EXECS_KEPT_PER_SANDBOX_MAX;
}

static void note_ended(struct exec_table *t, struct home *h)
{
	t->ended++;
	if (++h->ended <= kept_max(t) || h->trim_due)
		return;
	h->trim_due = true;
	TAILQ_INSERT_TAIL(&t->trims, h, in_trims);
}

static void trim(struct exec_table *t, struct home *h)
{
	struct exec *e = TAILQ_FIRST(&h->execs), *next;

	for (; e && h->ended > kept_max(t); e = next) {
		next = TAILQ_NEXT(e, in_home);
		if (e->facts.state != EXEC_STATE_ENDED)
			continue;
		if (e->stored)
			(void)store_exec_delete(t->manager->store, e->key); /* logged there */
		drop(t, e, true);
	}
}

/* Where the rows cannot be removed a later daemon reads them, and removes them then. */
static void trim_all(struct exec_table *t)
{
	struct home *h;

	(void)store_batch_begin(t->manager->store); /* else one by one */
	while ((h = TAILQ_FIRST(&t->trims))) {
		TAILQ_REMOVE(&t->trims, h, in_trims);
		h->trim_due = false;
		trim(t, h);
	}
	(void)store_batch_end(t->manager->store); /* logged there */
}

/* The spools of those that ended first go until the rest fits. Their results stay. */
static void trim_spools(struct exec_table *t)
{
	struct exec *e;
	unsigned dropped = 0;

	while (exec_budget_is_over(&t->budget) && (e = exec_budget_next(&t->budget))) {
		exec_spool_remove(e);
		exec_budget_forget(&t->budget, e);
		e->facts.spool_dropped = true;
		e->facts.result.truncated = true;
		exec_table_save(t, e);
		dropped++;
	}
	if (dropped > 0 && log_ratelimit())
		log_info("the output of %u commands is dropped: more than [limits] spool_max is "
			 "stored",
			 dropped);
}

void exec_table_spooled(struct exec_table *t, struct exec *e)
{
	exec_budget_count(&t->budget, e);
	if (exec_budget_is_over(&t->budget) && !TAILQ_EMPTY(&t->budget.ended))
		schedule(t);
}

void exec_table_unread(struct exec_table *t, const struct exec *e)
{
	if (e->in_budget && LIST_EMPTY(&e->followers) && exec_budget_is_over(&t->budget))
		schedule(t);
}

uint64_t exec_table_spool_max(const struct manager *m)
{
	return m->execs->budget.max_bytes;
}

static void on_save(evutil_socket_t fd, short what, void *userdata)
{
	struct exec_table *t = userdata;

	(void)fd;
	(void)what;
	if (!TAILQ_EMPTY(&t->saves))
		save_some(t);
	if (!TAILQ_EMPTY(&t->saves))
		schedule(t);
	if (!TAILQ_EMPTY(&t->trims))
		trim_all(t);
	trim_spools(t);
}

static int enter(struct exec_table *t, struct exec *e, const char *key)
{
	struct home *h = home_of(t, e->sandbox);
	int r;

	e->key = strdup(key);
	if (!h || !e->key)
		return -ENOMEM;
	r = table_add(&t->keys, key, e);
	if (r < 0)
		return r;
	e->home = h;
	TAILQ_INSERT_TAIL(&h->execs, e, in_home);
	TAILQ_INSERT_TAIL(&t->all, e, in_all);
	(void)exec_ref(e);
	return 0;
}

int exec_table_add(struct exec_table *t, struct exec *e, const char *id, struct error *reterr)
{
	struct home *h = table_find(&t->homes, sandbox_id(e->sandbox));
	char key[KEY_SIZE], made[ID_SIZE];
	int r;

	if (h && h->running >= EXECS_RUNNING_PER_SANDBOX_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "wait for some of them to end",
				 "%d commands are running in this sandbox already",
				 EXECS_RUNNING_PER_SANDBOX_MAX);
	if (id && !make_key(t, e->peer, id, key))
		return error_set(reterr, ERROR_INVALID_PARAMS, "execId", "a shorter one",
				 "this exec id is too long");
	if (!id) {
		r = id_make(made);
		if (r < 0)
			return error_set_errno(reterr, r, "no random number could be had");
		id = made;
		(void)snprintf(key, sizeof(key), "%s", made);
	}
	e->facts.id = strdup(id);
	r = e->facts.id ? enter(t, e, key) : -ENOMEM;
	if (r == -EEXIST) {
		(void)error_set(reterr, ERROR_ALREADY_EXISTS, "execId", "another id, or none",
				"there is an exec %s already", id);
		error_set_resource(reterr, "exec %s", id);
		return -1;
	}
	if (r < 0)
		return error_set_errno(reterr, r, "the exec could not be entered");
	e->home->running++;
	t->running++;
	disk_watch_touch(e->sandbox);
	exec_stand_still(e, e->home->still);
	return 0;
}

void exec_table_ended(struct exec_table *t, struct exec *e)
{
	if (!e->home)
		return;
	t->running--;
	if (--e->home->running == 0) {
		sandbox_note_activity(e->sandbox);
		if (e->home->done)
			event_active(&e->home->empty, 0, 0);
	}
	note_ended(t, e->home);
	if (e->home->trim_due)
		schedule(t);
	exec_budget_ended(&t->budget, e);
	exec_table_spooled(t, e);
	exec_table_save(t, e);
}

/* ---- a sandbox's end ---- */

int exec_table_end(struct manager *m, struct sandbox *s, int64_t grace_ms, exec_table_done *done,
		   void *userdata)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h || h->running == 0)
		return 0;
	(void)sandbox_unref(h->sandbox);
	h->sandbox = sandbox_ref(s);
	h->done = done;
	h->userdata = userdata;
	TAILQ_FOREACH(e, &h->execs, in_home)
	{
		if (grace_ms >= 0)
			e->grace_ms = grace_ms;
		else if (e->grace_ms > EXEC_GRACE_MS)
			e->grace_ms = EXEC_GRACE_MS;
		exec_end(e, EXEC_CAUSE_CANCELLED);
	}
	return 1;
}

void exec_table_end_for(struct manager *m, struct sandbox *s, enum exec_cause cause,
			int64_t grace_ms)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h)
		return;
	TAILQ_FOREACH(e, &h->execs, in_home)
	{
		if (e->facts.state == EXEC_STATE_ENDED || e->ending != EXEC_CAUSE_MAX)
			continue;
		if (e->grace_ms > grace_ms)
			e->grace_ms = grace_ms;
		exec_end(e, cause);
	}
}

bool exec_table_is_ending(const struct manager *m, const struct sandbox *s, enum exec_cause cause)
{
	const struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	const struct exec *e;

	if (!h || h->running == 0)
		return false;
	TAILQ_FOREACH(e, &h->execs, in_home)
	if (e->facts.state != EXEC_STATE_ENDED && e->ending == cause)
		return true;
	return false;
}

void exec_table_hold(struct manager *m, struct sandbox *s, bool held)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h)
		return;
	h->still = held;
	TAILQ_FOREACH(e, &h->execs, in_home)
	exec_stand_still(e, held);
}

void exec_table_sandbox_lost(struct manager *m, struct sandbox *s, enum exec_cause cause)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h)
		return;
	TAILQ_FOREACH(e, &h->execs, in_home)
	exec_lose(e, cause);
}

void exec_table_sandbox_removed(struct manager *m, struct sandbox *s)
{
	struct exec_table *t = m->execs;
	struct home *h = table_find(&t->homes, sandbox_id(s));
	struct exec *e;
	bool rows = false;

	if (!h)
		return;
	exec_table_sandbox_lost(m, s, EXEC_CAUSE_SANDBOX_LOST);
	while ((e = TAILQ_FIRST(&h->execs))) {
		exec_force_end(e);
		rows = rows || e->stored;
		drop(t, e, true);
	}
	if (rows)
		(void)store_exec_delete_sandbox(m->store, sandbox_id(s)); /* logged there */
	(void)table_remove(&t->homes, sandbox_id(s));
	home_free(t, h);
}

size_t exec_table_running(const struct manager *m)
{
	return m->execs->running;
}

const char *exec_any_in(const struct manager *m, const struct sandbox *s)
{
	const struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	const struct exec *e;

	if (!h)
		return NULL;
	TAILQ_FOREACH(e, &h->execs, in_home)
	if (e->facts.state != EXEC_STATE_ENDED)
		return e->facts.id;
	return NULL;
}

size_t exec_running_in(const struct manager *m, const struct sandbox *s)
{
	const struct home *h = table_find(&m->execs->homes, sandbox_id(s));

	return h ? h->running : 0;
}

int exec_table_each(struct manager *m, uid_t peer, const char *after, exec_each *fn, void *userdata,
		    struct error *reterr)
{
	struct exec *e = TAILQ_FIRST(&m->execs->all);

	if (after) {
		e = exec_table_find(m->execs, peer, after);
		if (!e)
			return error_set(reterr, ERROR_NOT_FOUND, "after", "begin the list anew",
					 "there is no exec %s any more", after);
		e = TAILQ_NEXT(e, in_all);
	}
	for (; e; e = TAILQ_NEXT(e, in_all))
		if (may_see(e, peer) && !fn(e, userdata))
			break;
	return 0;
}

void exec_table_each_in(struct manager *m, const struct sandbox *s, exec_each *fn, void *userdata)
{
	const struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h)
		return;
	TAILQ_FOREACH(e, &h->execs, in_home)
	if (!fn(e, userdata))
		return;
}

/* ---- what an earlier daemon left ---- */

struct loading {
	struct exec_table *table;
	struct string_list orphans; /* rows whose sandbox is gone */
};

static int restore(struct exec_table *t, struct sandbox *s, const struct store_exec *row,
		   struct exec **ret)
{
	struct exec *e = NULL;
	struct exec_facts *f;
	size_t i;
	int r;

	r = exec_new(&e, t->manager, s);
	if (r < 0)
		return r;
	*ret = e;
	f = &e->facts;
	e->peer = row->peer;
	e->phase = EXEC_PHASE_ENDED;
	e->stored = true;
	f->state = row->state;
	f->detached = row->detached;
	f->streams = row->streams & ((1u << KEEPER_STREAM_MAX) - 1);
	f->spool_dropped = (row->streams & STORE_EXEC_SPOOL_DROPPED) != 0;
	f->created_at_ms = row->created_at_ms;
	f->result = row->result;
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		f->stream[i] = (struct keeper_stream_state){ .end = row->stream_end[i],
							     .start = row->stream_start[i],
							     .eof = 1 };
	f->command = malloc(row->command_size + 1);
	if (!f->command)
		return -ENOMEM;
	memcpy(f->command, row->command, row->command_size);
	f->command[row->command_size] = '\0';
	f->command_size = row->command_size;
	r = string_copy(row->stage, &f->stage);
	if (r == 0)
		r = string_copy(row->story_id, &f->story_id);
	if (r == 0)
		r = string_copy(id_of_key(t, row->peer, row->id), &f->id);
	return r == 0 ? enter(t, e, row->id) : r;
}

/* It ran when the daemon died, and its sandbox died with it. */
static void end_orphan(struct exec_table *t, struct exec *e)
{
	struct exec_result *r = &e->facts.result;

	e->facts.state = EXEC_STATE_ENDED;
	exec_spool_measure(e);
	r->exit_code = -1;
	r->cause = EXEC_CAUSE_SANDBOX_LOST;
	r->completed_at_ms = time_realtime_ms();
	r->duration_ms = r->started_at_ms > 0 ? r->completed_at_ms - r->started_at_ms : 0;
	exec_table_save(t, e);
}

static int load_row(const struct store_exec *row, void *userdata)
{
	struct loading *l = userdata;
	struct exec_table *t = l->table;
	struct exec *e = NULL;
	struct sandbox *s;
	int r;

	s = sandbox_find(t->manager, 0, row->sandbox, NULL);
	if (!s)
		return string_list_add(&l->orphans, row->id);
	r = restore(t, s, row, &e);
	if (r == 0) {
		note_ended(t, e->home);
		if (e->facts.state != EXEC_STATE_ENDED)
			end_orphan(t, e);
		exec_budget_count(&t->budget, e);
		exec_budget_ended(&t->budget, e);
	}
	(void)exec_unref(e);
	return r;
}

static int load(struct exec_table *t)
{
	struct loading l = { .table = t };
	size_t i;
	int r;

	r = store_exec_load(t->manager->store, load_row, &l);
	for (i = 0; r == 0 && i < l.orphans.count; i++)
		(void)store_exec_delete(t->manager->store, l.orphans.items[i]); /* logged there */
	string_list_deinit(&l.orphans);
	return r;
}

static uint64_t choose_spool_max(const struct manager *m)
{
	struct space s;

	if (m->config->spool_max != SPOOL_MAX_DEFAULT)
		return m->config->spool_max;
	return exec_budget_default(space_look(m->state_fd, 0, &s) == 0 ? s.total_bytes
								       : UINT64_MAX);
}

int exec_table_new(struct manager *m, struct exec_table **ret)
{
	struct exec_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->manager = m;
	TAILQ_INIT(&t->all);
	TAILQ_INIT(&t->saves);
	TAILQ_INIT(&t->trims);
	evtimer_assign(&t->save_event, m->base, on_save, t);
	exec_budget_init(&t->budget, choose_spool_max(m));
	t->message = malloc(sizeof(*t->message));
	r = t->message ? load(t) : -ENOMEM;
	if (r < 0) {
		exec_table_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

static bool free_home(void *value, void *userdata)
{
	home_free(userdata, value);
	return true;
}

void exec_table_free(struct exec_table *t)
{
	struct exec *e;

	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->saves))
		save_some(t);
	while ((e = TAILQ_FIRST(&t->all))) {
		if (e->facts.state != EXEC_STATE_ENDED)
			exec_force_end(e);
		drop(t, e, false);
	}
	(void)event_del(&t->save_event);
	table_each(&t->homes, free_home, t);
	table_deinit(&t->homes);
	table_deinit(&t->keys);
	free(t->message);
	free(t);
}
