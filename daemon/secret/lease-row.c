/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of leases. One is written before its value is handed over, but for those of commands
 * that have no row yet themselves: most are over before either is due, and what has none is ended
 * by the next daemon. That of a command goes a moment after it: no reply waits for that, and a
 * daemon that finds it knows how the command ended. */

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "sandbox/manager.h"
#include "secret/lease-internal.h"
#include "store/leases.h"
#include "store/store.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

#define ROWS_DELAY_MS 20

static struct store_lease row_of(const struct lease *l)
{
	const struct lease_facts *f = &l->facts;

	return (struct store_lease){ .id = f->id,
				     .owner = f->owner,
				     .secret = f->secret,
				     .holder = lease_holder_to_string(f->holder),
				     .holder_peer = f->holder_peer,
				     .holder_id = f->holder_id,
				     .loop_id = l->loop_id,
				     .sandbox = l->sandbox,
				     .stage = l->stage,
				     .file = l->file,
				     .remote_id = l->remote_id,
				     .ttl_ms = l->ttl_ms,
				     .renew = f->renew,
				     .created_at_ms = f->created_at_ms,
				     .expires_at_ms = f->expires_at_ms };
}

static int insert(struct manager *m, struct lease *l)
{
	const struct store_lease row = row_of(l);
	int r = store_lease_insert(m->store, &row);

	l->stored = r == 0;
	return r;
}

static int schedule(struct lease_table *t)
{
	static const struct timeval delay = { .tv_usec = ROWS_DELAY_MS * 1000 };

	return evtimer_pending(&t->rows_event, NULL) ? 0 : event_add(&t->rows_event, &delay);
}

int lease_row_insert(struct manager *m, struct lease *l)
{
	if (!l->brief || schedule(m->leases) < 0)
		return insert(m, l);
	l->young = true;
	TAILQ_INSERT_TAIL(&m->leases->young, l, in_young);
	return 0;
}

int lease_row_update(struct manager *m, const struct lease *l)
{
	const struct store_lease row = row_of(l);

	return l->stored ? store_lease_update(m->store, &row) : 0;
}

/* ---- the end ---- */

static void cannot_delete(int error)
{
	if (log_ratelimit())
		log_errno(LOG_LEVEL_ERROR, error,
			  "the end of a lease cannot be recorded: it ends again with the next "
			  "daemon, or expires");
}

static void delete_row(struct manager *m, const char *id)
{
	int r = store_lease_delete(m->store, id);

	if (r < 0)
		cannot_delete(r);
}

static void outgrow(struct lease_table *t, struct lease *l)
{
	if (l->young)
		TAILQ_REMOVE(&t->young, l, in_young);
	l->young = false;
}

void lease_row_delete(struct manager *m, struct lease *l)
{
	outgrow(m->leases, l);
	if (l->stored)
		delete_row(m, l->facts.id);
	l->stored = false;
}

void lease_rows_delete(struct lease_table *t, uid_t peer, const struct lease_request *place)
{
	struct store *s = t->manager->store;
	struct lease *l;
	int r;

	(void)store_batch_begin(s); /* else one by one */
	TAILQ_FOREACH (l, &t->all, in_all)
		if (lease_may_see(l, peer) && (!place || lease_is_in(l, place)))
			lease_row_delete(t->manager, l);
	r = store_batch_end(s);
	if (r < 0)
		cannot_delete(r);
}

void lease_rows_settle(struct lease_table *t)
{
	struct store *s = t->manager->store;
	struct lease *l;
	size_t i;
	int r;

	if (t->over.count == 0 && TAILQ_EMPTY(&t->young))
		return;
	(void)store_batch_begin(s); /* else one by one */
	while ((l = TAILQ_FIRST(&t->young))) {
		outgrow(t, l);
		r = insert(t->manager, l);
		if (r < 0 && log_ratelimit())
			log_errno(LOG_LEVEL_WARNING, r,
				  "a lease cannot be stored, a restart forgets it");
	}
	for (i = 0; i < t->over.count; i++)
		delete_row(t->manager, t->over.items[i]);
	r = store_batch_end(s);
	if (r < 0)
		cannot_delete(r);
	string_list_deinit(&t->over);
}

static void on_rows(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	lease_rows_settle(userdata);
}

void lease_row_delete_later(struct lease_table *t, struct lease *l)
{
	outgrow(t, l);
	if (!l->stored)
		return;
	if (string_list_add(&t->over, l->facts.id) < 0 || schedule(t) < 0) {
		lease_row_delete(t->manager, l);
		lease_rows_settle(t);
	}
}

void lease_rows_init(struct lease_table *t)
{
	TAILQ_INIT(&t->young);
	evtimer_assign(&t->rows_event, t->manager->base, on_rows, t);
}

void lease_rows_deinit(struct lease_table *t)
{
	(void)event_del(&t->rows_event);
}

/* ---- loading ---- */

static int load(const struct store_lease *row, void *userdata)
{
	struct lease_table *t = userdata;
	struct lease_request request = { .owner = row->owner,
					 .secret = row->secret,
					 .ttl_ms = row->ttl_ms,
					 .holder_peer = row->holder_peer,
					 .holder_id = row->holder_id,
					 .loop_id = row->loop_id,
					 .sandbox = row->sandbox,
					 .stage = row->stage,
					 .file = row->file,
					 .renew = row->renew };
	struct lease *l;
	int r;

	if (lease_holder_from_string(row->holder, &request.holder) < 0) {
		log_warning("a lease of an unknown kind is in the database, ignoring it");
		return 0;
	}
	r = lease_new(&request, row->id, &l);
	if (r == 0)
		r = string_copy(row->remote_id, &l->remote_id);
	if (r == 0) {
		l->stored = true;
		l->facts.created_at_ms = row->created_at_ms;
		l->facts.expires_at_ms = row->expires_at_ms;
		r = lease_enter(t, l);
	}
	if (r < 0)
		lease_free(l);
	return r;
}

int lease_rows_load(struct lease_table *t)
{
	return store_lease_load(t->manager->store, load, t);
}
