/* SPDX-License-Identifier: Apache-2.0 */
/* All leases, from the moment when they are there to their end. The table owns them; whoever ends
 * one must not touch it any more. Nobody is asked whether one may end: the provider is told, and
 * that the row is gone is tried once. */

#include "secret/lease.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "sandbox/manager.h"
#include "secret/lease-internal.h"
#include "util/strings.h"

const struct lease_facts *lease_facts(const struct lease *l)
{
	return &l->facts;
}

bool lease_may_see(const struct lease *l, uid_t peer)
{
	return peer == 0 || l->facts.owner == peer;
}

struct lease *lease_find(struct manager *m, uid_t peer, const char *id, struct error *reterr)
{
	struct lease *l = m->leases ? table_find(&m->leases->by_id, id) : NULL;

	if (l && lease_may_see(l, peer) && !lease_is_over(l))
		return l;
	(void)error_set(reterr, ERROR_NOT_FOUND, "leaseId", NULL,
			"there is no lease %s, or not any more", id);
	error_set_resource(reterr, "lease %s", id);
	return NULL;
}

/* ---- ending ---- */

static struct leases *held_by(struct lease_table *t, const char *holder_id)
{
	return &t->holders[hash_id(holder_id, LEASE_BUCKETS)];
}

/* LIST: all or outlived. */
static void enter(struct lease_table *t, struct leases *list, struct lease *l)
{
	TAILQ_INSERT_TAIL(list, l, in_all);
	TAILQ_INSERT_TAIL(held_by(t, l->facts.holder_id), l, in_holders);
}

static void leave(struct lease_table *t, struct leases *list, struct lease *l)
{
	TAILQ_REMOVE(list, l, in_all);
	TAILQ_REMOVE(held_by(t, l->facts.holder_id), l, in_holders);
}

static void end(struct lease_table *t, struct lease *l, enum lease_end why, bool kill)
{
	struct manager *m = t->manager;

	lease_drop_pending(t, l);
	(void)table_remove(&t->by_id, l->facts.id);
	leave(t, &t->all, l);
	if (why == LEASE_END_RELEASED && l->facts.holder == LEASE_HOLDER_EXEC)
		lease_row_delete_later(t, l);
	else
		lease_row_delete(m, l);
	lease_audit_end(m, l, why);
	lease_give_back(m, l);
	if (why != LEASE_END_RELEASED) {
		lease_tell_end(m, l, why);
		lease_holder_update(m, l, NULL);
	}
	if (kill)
		lease_holder_kill(m, l);
	else if (why != LEASE_END_RELEASED && l->facts.holder == LEASE_HOLDER_EXEC &&
		 lease_holder_lives(m, l)) {
		enter(t, &t->outlived, l);
		l->outlived = true;
		return;
	}
	lease_free(l);
}

void lease_end(struct manager *m, struct lease *l, enum lease_end why, bool kill)
{
	end(m->leases, l, why, kill);
}

static bool is_held_by(const struct lease *l, enum lease_holder holder, uid_t peer, const char *id)
{
	return l->facts.holder == holder && l->facts.holder_peer == peer &&
	       strcmp(l->facts.holder_id, id) == 0;
}

static void drop_outlived(struct lease_table *t, struct lease *l)
{
	leave(t, &t->outlived, l);
	lease_free(l);
}

void lease_end_for(struct manager *m, enum lease_holder holder, uid_t holder_peer,
		   const char *holder_id, enum lease_end why, bool kill)
{
	struct lease_table *t = m->leases;
	struct lease *l, *next;

	for (l = t ? TAILQ_FIRST(held_by(t, holder_id)) : NULL; l; l = next) {
		next = TAILQ_NEXT(l, in_holders);
		if (!is_held_by(l, holder, holder_peer, holder_id))
			continue;
		if (l->outlived)
			drop_outlived(t, l);
		else
			end(t, l, why, kill);
	}
}

/* ---- revoking ---- */

static void revoke_one(struct lease_table *t, struct lease *l, bool kill, struct lease_revoked *ret)
{
	ret->count++;
	if (!kill && l->facts.holder == LEASE_HOLDER_EXEC && lease_holder_lives(t->manager, l))
		ret->running++;
	end(t, l, LEASE_END_REVOKED, kill);
}

struct lease_revoked lease_revoke(struct manager *m, struct lease *l, bool kill)
{
	struct lease_revoked ret = { 0 };

	revoke_one(m->leases, l, kill, &ret);
	return ret;
}

/* Commands whose leases ended before they did end, too. */
static void kill_outlived(struct lease_table *t, uid_t peer, const struct lease_request *place)
{
	struct lease *l, *next;

	for (l = TAILQ_FIRST(&t->outlived); l; l = next) {
		next = TAILQ_NEXT(l, in_all);
		if (!lease_may_see(l, peer) || (place && !lease_is_in(l, place)))
			continue;
		lease_holder_kill(t->manager, l);
		drop_outlived(t, l);
	}
}

/* PLACE NULL: all. Those that are still to come are told last: who hears of it may give back
 * others.
 */
static struct lease_revoked revoke_some(struct lease_table *t, uid_t peer,
					const struct lease_request *place, bool kill)
{
	struct lease_revoked ret = { 0 };
	struct lease *l, *next;

	lease_rows_delete(t, peer, place);
	for (l = TAILQ_FIRST(&t->all); l; l = next) {
		next = TAILQ_NEXT(l, in_all);
		if (lease_may_see(l, peer) && (!place || lease_is_in(l, place)))
			revoke_one(t, l, kill, &ret);
	}
	if (kill)
		kill_outlived(t, peer, place);
	lease_drop_new(t, peer, place);
	return ret;
}

struct lease_revoked lease_revoke_in(struct manager *m, uid_t peer,
				     const struct lease_request *place, bool kill)
{
	return revoke_some(m->leases, peer, place, kill);
}

struct lease_revoked lease_revoke_all(struct manager *m, uid_t peer, bool kill)
{
	return revoke_some(m->leases, peer, NULL, kill);
}

int lease_each(struct manager *m, uid_t peer, const char *after, lease_seen *fn, void *userdata,
	       struct error *reterr)
{
	const struct lease *l = TAILQ_FIRST(&m->leases->all);

	if (after) {
		l = table_find(&m->leases->by_id, after);
		if (!l || !lease_may_see(l, peer))
			return error_set(reterr, ERROR_NOT_FOUND, "after",
					 "list from the start again",
					 "there is no lease %s any more", after);
		l = TAILQ_NEXT(l, in_all);
	}
	for (; l; l = TAILQ_NEXT(l, in_all))
		if (lease_may_see(l, peer) && !lease_is_over(l) && !fn(l, userdata))
			break;
	return 0;
}

/* ---- one ---- */

void lease_free(struct lease *l)
{
	if (!l)
		return;
	free(l->id);
	free(l->secret);
	free(l->holder_id);
	free(l->loop_id);
	free(l->sandbox);
	free(l->stage);
	free(l->file);
	free(l->remote_id);
	free(l);
}

static int copy_strings(struct lease *l, const struct lease_request *r, const char *id)
{
	const struct {
		const char *from;
		char **to;
	} strings[] = {
		{ id, &l->id },
		{ r->secret, &l->secret },
		{ r->holder_id ? r->holder_id : "", &l->holder_id },
		{ r->loop_id, &l->loop_id },
		{ r->sandbox, &l->sandbox },
		{ r->stage, &l->stage },
		{ r->file, &l->file },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(strings); i++)
		if (string_copy(strings[i].from, strings[i].to) < 0)
			return -ENOMEM;
	return 0;
}

int lease_new(const struct lease_request *r, const char *id, struct lease **ret)
{
	struct lease *l = calloc(1, sizeof(*l));
	char made[ID_SIZE];
	int error = l ? 0 : -ENOMEM;

	if (error == 0 && !id)
		error = id_make(made);
	if (error == 0)
		error = copy_strings(l, r, id ? id : made);
	if (error < 0) {
		lease_free(l);
		return error;
	}
	l->facts = (struct lease_facts){ .id = l->id,
					 .secret = l->secret,
					 .owner = r->owner,
					 .holder = r->holder,
					 .holder_peer = r->holder_peer,
					 .holder_id = l->holder_id,
					 .loop_id = l->loop_id,
					 .sandbox = l->sandbox,
					 .stage = l->stage,
					 .file = l->file,
					 .renew = r->renew };
	l->pid = r->pid;
	l->ttl_ms = r->ttl_ms;
	l->brief = r->brief;
	*ret = l;
	return 0;
}

/* ---- the table ---- */

int lease_enter(struct lease_table *t, struct lease *l)
{
	int r = table_add(&t->by_id, l->id, l);

	if (r < 0)
		return r;
	enter(t, &t->all, l);
	lease_timer_set(t, l);
	return 0;
}

/* What expired while there was no daemon has expired, and what its holder did not survive ends. */
static void end_lost(struct lease_table *t)
{
	struct lease *l, *next;

	for (l = TAILQ_FIRST(&t->all); l; l = next) {
		next = TAILQ_NEXT(l, in_all);
		if (lease_is_over(l))
			end(t, l, LEASE_END_EXPIRED, false);
		else if (!lease_holder_lives(t->manager, l))
			end(t, l, LEASE_END_RELEASED, false);
	}
}

int lease_table_new(struct manager *m, struct lease_table **ret)
{
	struct lease_table *t = calloc(1, sizeof(*t));
	size_t i;
	int r;

	if (!t)
		return -ENOMEM;
	t->manager = m;
	TAILQ_INIT(&t->all);
	TAILQ_INIT(&t->outlived);
	for (i = 0; i < LEASE_BUCKETS; i++)
		TAILQ_INIT(&t->holders[i]);
	LIST_INIT(&t->pending);
	lease_rows_init(t);
	r = lease_timer_init(t);
	if (r == 0)
		r = lease_rows_load(t);
	if (r < 0) {
		lease_table_free(t);
		return r;
	}
	end_lost(t);
	*ret = t;
	return 0;
}

void lease_table_free(struct lease_table *t)
{
	struct lease_pending *p;
	struct lease *l;

	if (!t)
		return;
	while ((p = LIST_FIRST(&t->pending)))
		lease_forget(p); /* its client is gone already */
	lease_rows_settle(t);
	while ((l = TAILQ_FIRST(&t->all))) {
		leave(t, &t->all, l);
		lease_free(l);
	}
	while ((l = TAILQ_FIRST(&t->outlived)))
		drop_outlived(t, l);
	table_deinit(&t->by_id);
	lease_rows_deinit(t);
	lease_timer_deinit(t);
	free(t);
}
