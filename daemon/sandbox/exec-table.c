/* SPDX-License-Identifier: Apache-2.0 */
/* An exec's key names its spool and its row. It is the id, but where a client of another uid than
 * the daemon's chose the id: then "UID.ID", because ids chosen by clients are unique per uid only.
 *
 * Rows are written from a timer (exec-row.c); ended execs beyond kept_max() are dropped there too,
 * those of the sandboxes where one has ended since, so that one who runs many costs others
 * nothing. */

#include "sandbox/exec-table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "hash.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/disk-watch.h"
#include "sandbox/event-log.h"
#include "sandbox/exec-activity.h"
#include "sandbox/exec-table-internal.h"
#include "sandbox/journal.h"
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

#define TRIM_DELAY_MS 20

/* What runs in a sandbox of the daemon's own is nobody's to see. */
static bool may_see(const struct exec *e, uid_t peer)
{
	return (peer == 0 || e->peer == peer) && !sandbox_is_hidden(e->sandbox);
}

static struct exec **bucket(struct exec_table *t, const char *key)
{
	return &t->by_key[hash_id(key, ARRAY_SIZE(t->by_key))];
}

struct exec *exec_table_by_key(struct exec_table *t, const char *key)
{
	struct exec *e = *bucket(t, key);

	while (e && strcmp(e->key, key) != 0)
		e = e->next_by_key;
	return e;
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

/* The end of KEY, which make_key() may have made. */
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

	TAILQ_FOREACH (e, &t->all, in_all)
		if (strcmp(e->facts.id, id) == 0)
			return e;
	return NULL;
}

struct exec *exec_table_find(struct exec_table *t, uid_t peer, const char *id)
{
	char key[KEY_SIZE];
	struct exec *e = NULL;

	if (make_key(t, peer, id, key))
		e = exec_table_by_key(t, key);
	if (!e)
		e = exec_table_by_key(t, id);
	if (!e && peer == 0)
		e = find_by_id(t, id); /* one that another uid's client named */
	return e && may_see(e, peer) ? e : NULL;
}

struct exec *exec_of_key(struct manager *m, const char *exec_key)
{
	return exec_table_by_key(m->execs, exec_key);
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

void exec_table_schedule(struct exec_table *t, int64_t ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000,
				       .tv_usec = (suseconds_t)(ms % 1000) * 1000 };

	if (!event_pending(&t->save_event, EV_TIMEOUT, NULL))
		(void)event_add(&t->save_event, &delay); /* no memory: with the next one */
}

static void schedule(struct exec_table *t)
{
	exec_table_schedule(t, TRIM_DELAY_MS);
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

/* Forgets an ended one; its files are removed, its row and its key in the journal are the
 * caller's. */
static void drop(struct exec_table *t, struct exec *e, bool remove_files)
{
	struct exec **at = bucket(t, e->key);

	while (*at != e)
		at = &(*at)->next_by_key;
	*at = e->next_by_key;
	TAILQ_REMOVE(&e->home->execs, e, in_home);
	TAILQ_REMOVE(&t->all, e, in_all);
	exec_rows_forget(t, e);
	e->home->ended--;
	t->ended--;
	e->home = NULL;
	exec_budget_forget(&t->budget, e);
	if (remove_files)
		exec_spool_remove(e);
	(void)exec_unref(e);
}

/* The same for good: nobody finds it again by its key. */
static void drop_for_good(struct exec_table *t, struct exec *e)
{
	if (e->keyed)
		journal_exec_dropped(t->manager, e->key);
	drop(t, e, true);
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

void exec_table_count_running(struct exec_table *t, struct exec *e)
{
	t->running++;
	e->home->running++;
	exec_stand_still(e, e->home->still);
}

void exec_table_count_ended(struct exec_table *t, struct exec *e)
{
	note_ended(t, e->home);
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
		drop_for_good(t, e);
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
	(void)exec_rows_write(t); /* comes back for the rest by itself */
	if (!TAILQ_EMPTY(&t->trims))
		trim_all(t);
	trim_spools(t);
}

/* Events are about to be written: the rows of the execs that they tell of go with them. */
static void write_rows(void *userdata)
{
	(void)exec_rows_write(userdata); /* comes back for the rest by itself */
}

int exec_table_enter(struct exec_table *t, struct exec *e, const char *key)
{
	struct home *h = home_of(t, e->sandbox);
	struct exec **first = bucket(t, key);

	e->key = strdup(key);
	if (!h || !e->key)
		return -ENOMEM;
	e->facts.id = id_of_key(t, e->peer, e->key);
	if (exec_table_by_key(t, key))
		return -EEXIST;
	e->next_by_key = *first;
	*first = e;
	e->home = h;
	TAILQ_INSERT_TAIL(&h->execs, e, in_home);
	TAILQ_INSERT_TAIL(&t->all, e, in_all);
	(void)exec_ref(e);
	if (e->facts.state != EXEC_STATE_ENDED)
		exec_activity_begin(e);
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
	r = exec_table_enter(t, e, key);
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

/* Nobody is told. */
static void drop_running(struct exec_table *t, struct exec *e, bool remove_files)
{
	t->running--;
	if (--e->home->running == 0 && e->home->done)
		event_active(&e->home->empty, 0, 0);
	t->ended++;
	e->home->ended++; /* drop() takes it for one */
	e->phase = EXEC_PHASE_ENDED;
	e->facts.state = EXEC_STATE_ENDED;
	drop(t, e, remove_files);
}

void exec_table_withdraw(struct exec_table *t, struct exec *e)
{
	drop_running(t, e, false);
}

void exec_table_erase(struct exec_table *t, struct exec *e)
{
	if (e->stored)
		(void)store_exec_delete(t->manager->store, e->key); /* logged there */
	drop_running(t, e, true);
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
	TAILQ_FOREACH (e, &h->execs, in_home) {
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
	TAILQ_FOREACH (e, &h->execs, in_home) {
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
	TAILQ_FOREACH (e, &h->execs, in_home)
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
	TAILQ_FOREACH (e, &h->execs, in_home)
		exec_stand_still(e, held);
}

void exec_table_sandbox_lost(struct manager *m, struct sandbox *s, enum exec_cause cause)
{
	struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	struct exec *e;

	if (!h)
		return;
	TAILQ_FOREACH (e, &h->execs, in_home)
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
		drop_for_good(t, e);
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

bool exec_table_is_starting(const struct manager *m)
{
	const struct exec *e;

	TAILQ_FOREACH (e, &m->execs->all, in_all)
		if (e->facts.state == EXEC_STATE_STARTING && !e->adopting)
			return true;
	return false;
}

const char *exec_any_in(const struct manager *m, const struct sandbox *s)
{
	const struct home *h = table_find(&m->execs->homes, sandbox_id(s));
	const struct exec *e;

	if (!h)
		return NULL;
	TAILQ_FOREACH (e, &h->execs, in_home)
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
			return error_set(reterr, ERROR_NOT_FOUND, "after",
					 "list from the start again",
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
	TAILQ_FOREACH (e, &h->execs, in_home)
		if (!fn(e, userdata))
			return;
}

static uint64_t choose_spool_max(const struct manager *m)
{
	struct space s;

	if (m->config->spool_max != SPOOL_MAX_DEFAULT)
		return m->config->spool_max;
	return exec_budget_default(space_look(m->state_fd, 0, &s) == 0 ? s.total_bytes
								       : UINT64_MAX);
}

void exec_table_reconfigure(struct manager *m)
{
	struct exec_table *t = m->execs;

	t->budget.max_bytes = choose_spool_max(m);
	if (exec_budget_is_over(&t->budget) && !TAILQ_EMPTY(&t->budget.ended))
		schedule(t);
}

int exec_table_new(struct manager *m, struct exec_table **ret)
{
	struct exec_table *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->manager = m;
	TAILQ_INIT(&t->all);
	TAILQ_INIT(&t->trims);
	exec_rows_init(t);
	evtimer_assign(&t->save_event, m->base, on_save, t);
	exec_budget_init(&t->budget, choose_spool_max(m));
	t->message = malloc(sizeof(*t->message));
	r = t->message ? exec_rows_load(t) : -ENOMEM;
	if (r < 0) {
		exec_table_free(t);
		return r;
	}
	event_log_set_writer(m, write_rows, t);
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
	event_log_set_writer(t->manager, NULL, NULL);
	TAILQ_FOREACH (e, &t->all, in_all)
		if (!t->manager->leaving && e->facts.state != EXEC_STATE_ENDED)
			exec_force_end(e);
	exec_rows_flush(t); /* their ends, too: they are told once */
	while ((e = TAILQ_FIRST(&t->all))) {
		if (e->facts.state == EXEC_STATE_ENDED) {
			drop(t, e, false);
		} else {
			exec_leave(e);
			drop_running(t, e, false);
		}
	}
	(void)event_del(&t->save_event);
	exec_rows_deinit(t);
	table_each(&t->homes, free_home, t);
	table_deinit(&t->homes);
	free(t->message);
	free(t);
}
