/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a provider, for a new lease or to make one last longer. A lease that is waited for is in
 * no table; one that is renewed ends as it would without that, and who waits is told.
 *
 * A new one is in the database and in the audit before anybody gets its value. The value itself is
 * nothing that is kept here: a reference goes to who asked. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/audit.h"
#include "secret/lease-internal.h"
#include "secret/login.h"
#include "store/store.h"
#include "util/log.h"
#include "util/quantity.h"
#include "util/strings.h"
#include "util/time.h"

/* ---- what may be asked for ---- */

static int check_ttl(const struct provider_call *call, int64_t ttl_ms, struct error *reterr)
{
	char from[QUANTITY_TEXT_SIZE], to[QUANTITY_TEXT_SIZE];
	int64_t max = call->m->config->secrets.max_ttl_ms;

	if (call->config && call->config->max_ttl_ms > 0 && call->config->max_ttl_ms < max)
		max = call->config->max_ttl_ms;
	if (ttl_ms >= LEASE_TTL_MIN_MS && ttl_ms <= max)
		return 0;
	quantity_duration_text(LEASE_TTL_MIN_MS, from);
	quantity_duration_text(max, to);
	return error_set(reterr, ERROR_INVALID_PARAMS, "ttlMs", NULL,
			 "a lease of %s lasts from %s to %s (%d to %lld ms)", call->name, from, to,
			 LEASE_TTL_MIN_MS, (long long)max);
}

static int check_room(const struct lease_table *t, uid_t owner, struct error *reterr)
{
	const struct lease_pending *p;
	const struct lease *l;
	size_t count = 0;

	TAILQ_FOREACH (l, &t->outlived, in_all)
		count += l->facts.owner == owner;
	LIST_FOREACH (p, &t->pending, in_all)
		count += p->is_new && p->lease->facts.owner == owner;
	if (count + t->by_id.count < LEASES_PER_UID_MAX)
		return 0; /* whosever they are */
	TAILQ_FOREACH (l, &t->all, in_all)
		count += l->facts.owner == owner;
	if (count < LEASES_PER_UID_MAX)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL,
			 "revoke some, or wait until they expire", "there are %zu leases already",
			 count);
}

/* One user's calls are not to take all that providers may be asked at once. The daemon's own
 * renewals are not his. */
static int check_asked(const struct lease_pending *mine, struct error *reterr)
{
	const uid_t owner = mine->lease->facts.owner;
	const struct lease_pending *p;
	unsigned count = 0;

	LIST_FOREACH (p, &mine->manager->leases->pending, in_all)
		count += p->done && p->lease->facts.owner == owner && p->asked &&
			 login_is_asking(p->asked);
	if (!mine->done || count < LEASES_ASKED_PER_UID_MAX)
		return 0;
	return error_set(reterr, ERROR_LIMIT_REACHED, NULL, "wait for one of them",
			 "providers are being asked for %u secrets of yours already", count);
}

/* ---- what comes of it ---- */

static int set_ended(const struct lease *l, struct error *reterr)
{
	(void)error_set(reterr, ERROR_CANCELLED, NULL, NULL,
			"the lease of %s was ended while it was waited for", l->facts.secret);
	error_set_resource(reterr, "secret %s", l->facts.secret);
	return -1;
}

void lease_give_back(struct manager *m, const struct lease *l)
{
	const struct provider *p;
	struct provider_call call;

	if (!l->remote_id)
		return;
	/* with another configuration, or none, there is nobody to tell */
	p = provider_of(m, l->facts.owner, l->facts.secret, &call, NULL);
	call.ttl_ms = l->ttl_ms;
	if (p && p->revoke)
		p->revoke(&call, l->remote_id);
}

/* As the provider granted it. The remote lease before runs out by itself: what it stands for may
 * still be in use. */
static int take_grant(struct lease *l, int64_t ttl_ms, const struct provider_grant *g,
		      struct error *reterr)
{
	int64_t now = time_realtime_ms(), expires = now + ttl_ms;
	char *remote_id = NULL;

	if (g->expires_at_ms > 0 && g->expires_at_ms < expires)
		expires = g->expires_at_ms;
	if (expires <= now)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret", NULL,
				 "what the provider of %s gives has expired", l->facts.secret);
	if (g->remote_id[0] && string_copy(g->remote_id, &remote_id) < 0)
		return error_set_errno(reterr, -ENOMEM, "the lease cannot be made");
	free(l->remote_id);
	l->remote_id = remote_id;
	l->ttl_ms = ttl_ms;
	l->facts.expires_at_ms = expires;
	return 0;
}

/* L is there from now on, or nothing of it. */
static int begin(struct manager *m, struct lease *l, struct error *reterr)
{
	int r;

	l->facts.created_at_ms = time_realtime_ms();
	if (l->facts.holder != LEASE_HOLDER_EXEC && !lease_holder_lives(m, l))
		return set_ended(l, reterr);
	r = lease_row_insert(m, l);
	if (r < 0)
		return store_refuse(r, "the lease", reterr);
	if (lease_audit(m, l, "lease", l->pid, reterr) < 0) {
		lease_row_delete(m, l);
		return -1;
	}
	r = lease_enter(m->leases, l);
	if (r < 0) {
		lease_row_delete(m, l);
		return error_set_errno(reterr, r, "the lease cannot be made");
	}
	return 0;
}

static int finish_new(struct lease_pending *p, const struct provider_grant *g, struct error *reterr)
{
	struct lease *l = p->lease;

	if (secret_value_size(g->value) == 0)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret", NULL,
				 "what the provider of %s gives is empty", l->facts.secret);
	if (take_grant(l, p->ttl_ms, g, reterr) < 0)
		return -1;
	if (begin(p->manager, l, reterr) < 0) {
		lease_give_back(p->manager, l);
		return -1;
	}
	p->is_new = false; /* the table's from now on */
	return 0;
}

static int finish_renewal(struct lease_pending *p, const struct provider_grant *g,
			  struct error *reterr)
{
	struct lease *l = p->lease;
	int r;

	if (lease_audit(p->manager, l, "renew", p->done ? l->pid : 0, reterr) < 0 ||
	    take_grant(l, p->ttl_ms, g, reterr) < 0)
		return -1;
	r = lease_row_update(p->manager, l);
	lease_timer_set(p->manager->leases, l);
	lease_holder_update(p->manager, l, g->value);
	return r < 0 ? store_refuse(r, "the lease", reterr) : 0;
}

static int finish(struct lease_pending *p, struct provider_grant *g, struct error *reterr)
{
	return p->is_new ? finish_new(p, g, reterr) : finish_renewal(p, g, reterr);
}

/* ---- asking ---- */

static void pending_free(struct lease_pending *p)
{
	LIST_REMOVE(p, in_all);
	if (p->asked)
		login_cancel(p->asked);
	if (p->is_new)
		lease_free(p->lease);
	free(p);
}

static void log_unrenewed(const struct lease *l, const struct error *e)
{
	if (log_ratelimit())
		log_warning("the lease of %s for %s %s cannot be renewed: %s", l->facts.secret,
			    lease_holder_to_string(l->facts.holder), l->facts.holder_id,
			    e->message ? e->message : "no memory");
}

/* Whoever waits is told, and P is gone. */
static void answer(struct lease_pending *p, struct secret_value *v, struct error *e)
{
	struct lease *l = e ? NULL : p->lease;
	lease_done *done = p->done;
	void *userdata = p->userdata;

	if (p->is_new && e)
		lease_audit_failure(p->manager, p->lease, e);
	if (!done && e && e->kind != ERROR_CANCELLED) /* it ended meanwhile, like most do */
		log_unrenewed(p->lease, e);
	pending_free(p);
	if (done)
		done(l, v, e, userdata);
}

static void on_granted(struct provider_grant *g, struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct lease_pending *p = userdata;
	struct secret_value *v = g ? g->value : NULL;
	bool is_new = p->is_new;

	p->asked = NULL;
	if (g && finish(p, g, &error) < 0)
		e = &error;
	answer(p, is_new && !e ? v : NULL, e);
	(void)secret_value_unref(v);
}

/* Returns as lease_acquire(). */
static int ask(struct lease_pending *p, struct provider_grant *g, struct error *reterr)
{
	const struct lease_facts *f = &p->lease->facts;
	const struct provider *provider;
	struct provider_call call;
	int r;

	provider = provider_of(p->manager, f->owner, f->secret, &call, reterr);
	if (!provider || audit_check(p->manager, f->owner, reterr) < 0 ||
	    check_ttl(&call, p->ttl_ms, reterr) < 0 ||
	    (provider->cancel && check_asked(p, reterr) < 0))
		return -1;
	call.ttl_ms = p->ttl_ms;
	r = login_lease(provider, &call, on_granted, p, g, &p->asked, reterr);
	if (r == 1 && finish(p, g, reterr) < 0) {
		g->value = secret_value_unref(g->value);
		return -1;
	}
	return r;
}

static int pending_new(const struct lease_pending *like, struct lease_pending **ret)
{
	struct lease_pending *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = *like;
	LIST_INSERT_HEAD(&p->manager->leases->pending, p, in_all);
	*ret = p;
	return 0;
}

int lease_acquire(struct manager *m, const struct lease_request *request, lease_done *done,
		  void *userdata, struct lease **ret, struct secret_value **ret_value,
		  struct lease_pending **ret_pending, struct error *reterr)
{
	struct lease_pending like = { .manager = m,
				      .is_new = true,
				      .ttl_ms = request->ttl_ms,
				      .done = done,
				      .userdata = userdata };
	struct provider_grant grant = { 0 };
	struct lease_pending *p = NULL;
	int r;

	if (check_room(m->leases, request->owner, reterr) < 0)
		return -1;
	r = lease_new(request, NULL, &like.lease);
	if (r == 0)
		r = pending_new(&like, &p);
	if (r < 0) {
		lease_free(like.lease);
		return error_set_errno(reterr, r, "the lease cannot be made");
	}
	r = ask(p, &grant, reterr);
	if (r == 0) {
		*ret_pending = p;
		return 0;
	}
	if (r < 0 && reterr)
		lease_audit_failure(m, like.lease, reterr);
	pending_free(p); /* with the lease, if there is none */
	if (r == 1) {
		*ret = like.lease;
		*ret_value = grant.value;
	}
	return r;
}

int lease_renew(struct manager *m, struct lease *l, int64_t ttl_ms, lease_done *done,
		void *userdata, struct lease_pending **ret_pending, struct error *reterr)
{
	const struct lease_pending like = {
		.manager = m, .lease = l, .ttl_ms = ttl_ms, .done = done, .userdata = userdata
	};
	struct provider_grant grant = { 0 };
	struct lease_pending *p;
	int r = pending_new(&like, &p);

	if (r < 0)
		return error_set_errno(reterr, r, "the lease cannot be renewed");
	r = ask(p, &grant, reterr);
	if (r == 0) {
		*ret_pending = p;
		return 0;
	}
	pending_free(p);
	(void)secret_value_unref(grant.value);
	return r;
}

void lease_forget(struct lease_pending *p)
{
	pending_free(p);
}

/* ---- the table's ---- */

static struct lease_pending *find_pending(const struct lease_table *t, const struct lease *l)
{
	struct lease_pending *p;

	LIST_FOREACH (p, &t->pending, in_all)
		if (p->lease == l)
			return p;
	return NULL;
}

void lease_renew_again(struct lease_table *t, struct lease *l)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct lease_pending *p;

	if (!find_pending(t, l) &&
	    lease_renew(t->manager, l, l->ttl_ms, NULL, NULL, &p, &error) < 0)
		log_unrenewed(l, &error);
}

static void refuse(struct lease_pending *p)
{
	CLEANUP_ERROR struct error error = { 0 };

	(void)set_ended(p->lease, &error);
	answer(p, NULL, &error);
}

/* Who is told may forget others. */
void lease_drop_pending(struct lease_table *t, const struct lease *l)
{
	struct lease_pending *p;

	while ((p = find_pending(t, l)))
		refuse(p);
}

void lease_drop_new(struct lease_table *t, uid_t peer, const struct lease_request *place)
{
	struct lease_pending *p;

	do {
		LIST_FOREACH (p, &t->pending, in_all)
			if (p->is_new && lease_may_see(p->lease, peer) &&
			    (!place || lease_is_in(p->lease, place)))
				break;
		if (p)
			refuse(p);
	} while (p);
}
