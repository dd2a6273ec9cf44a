/* SPDX-License-Identifier: Apache-2.0 */
/* secret.lease, renew, revoke, revokeAll and leases. A value is in an answer only where that was
 * asked. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/values.h"
#include "loop/loop.h"
#include "macro.h"
#include "params.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "secret/audit.h"
#include "secret/lease.h"
#include "util/strings.h"

/* docs/rpc.md, Lease, without its value. */
static struct json_object *value_lease(const struct lease *l)
{
	static const char *const kinds[] = { [LEASE_HOLDER_CLIENT] = "client",
					     [LEASE_HOLDER_EXEC] = "exec",
					     [LEASE_HOLDER_SANDBOX] = "sandbox",
					     [LEASE_HOLDER_LOOP] = "loop" };
	const struct lease_facts *f = lease_facts(l);
	struct json_object *o = json_object_new_object();
	struct json_object *holder = json_object_new_object();
	CLEANUP_STR char *file = f->file ? string_format("~/%s", f->file) : NULL;

	value_add_string(holder, "kind", kinds[f->holder]);
	json_object_object_add(holder, "id", value_string(f->holder_id[0] ? f->holder_id : NULL));
	value_add_string(o, "leaseId", f->id);
	value_add_string(o, "secret", f->secret);
	value_add_int(o, "uid", f->owner);
	json_object_object_add(o, "holder", holder);
	value_add_string(o, "loopId", f->loop_id);
	value_add_string(o, "sandbox", f->sandbox);
	value_add_string(o, "stage", f->stage);
	value_add_string(o, "file", file);
	json_object_object_add(o, "createdAt", value_time(f->created_at_ms));
	json_object_object_add(o, "expiresAt", value_time(f->expires_at_ms));
	json_object_object_add(o, "renew", json_object_new_boolean(f->renew));
	return o;
}

/* V NULL: without its value. */
static void reply(struct request *r, const struct lease *l, const struct secret_value *v)
{
	if (v)
		request_reply_secret(r, value_lease(l), "value", secret_value_data(v),
				     secret_value_size(v));
	else
		request_reply(r, value_lease(l));
}

/* ---- whom it is for ---- */

/* What a call names; at most one of them. */
struct named {
	const char *exec_id;
	const char *sandbox;
	const char *loop_id;
};

static int set_ended(struct error *reterr, const char *field, const char *what)
{
	return error_set(reterr, ERROR_INVALID_STATE, field, NULL, "%s", what);
}

static int use_exec(struct manager *m, uid_t peer, const char *id, struct lease_request *q,
		    struct error *reterr)
{
	struct exec *e = exec_find(m, peer, id, reterr);
	const struct sandbox_facts *f = e ? sandbox_facts(exec_sandbox(e)) : NULL;

	if (!e)
		return -1;
	q->holder = LEASE_HOLDER_EXEC;
	q->holder_peer = f->peer;
	q->holder_id = exec_facts(e)->id;
	q->stage = exec_facts(e)->stage;
	q->sandbox = f->name;
	q->loop_id = f->loop_id;
	return exec_facts(e)->state == EXEC_STATE_ENDED
		       ? set_ended(reterr, "execId", "the command has ended")
		       : 0;
}

static int use_sandbox(struct manager *m, uid_t peer, const char *name, struct lease_request *q,
		       struct error *reterr)
{
	struct sandbox *s = sandbox_find(m, peer, name, reterr);
	const struct sandbox_facts *f = s ? sandbox_facts(s) : NULL;

	if (!s)
		return -1;
	q->holder = LEASE_HOLDER_SANDBOX;
	q->holder_peer = f->peer;
	q->holder_id = f->id;
	q->sandbox = f->name;
	q->loop_id = f->loop_id;
	return sandbox_state_hint(f->state) && f->state != SANDBOX_STATE_PAUSED
		       ? set_ended(reterr, "sandbox", "the sandbox does not run")
		       : 0;
}

static int use_loop(struct manager *m, uid_t peer, const char *id, struct lease_request *q,
		    struct error *reterr)
{
	const struct loop *l = loop_find(m, peer, id, reterr);

	if (!l)
		return -1;
	q->holder = LEASE_HOLDER_LOOP;
	q->holder_peer = loop_facts(l)->peer;
	q->holder_id = q->loop_id = loop_facts(l)->id;
	return loop_facts(l)->state != LOOP_STATE_ACTIVE
		       ? set_ended(reterr, "loopId", "the loop has ended")
		       : 0;
}

/* Fills in whom Q is for. Returns 0, or -1 with *RETERR: of kind INVALID_STATE he is found, but has
 * ended. */
static int use_named(struct manager *m, uid_t peer, const struct named *n, struct lease_request *q,
		     struct error *reterr)
{
	if (!!n->exec_id + !!n->sandbox + !!n->loop_id > 1)
		return error_set(reterr, ERROR_INVALID_PARAMS, n->exec_id ? "execId" : "sandbox",
				 "one of execId, sandbox and loopId",
				 "a lease ends with one thing only");
	if (n->exec_id)
		return use_exec(m, peer, n->exec_id, q, reterr);
	if (n->sandbox)
		return use_sandbox(m, peer, n->sandbox, q, reterr);
	if (n->loop_id)
		return use_loop(m, peer, n->loop_id, q, reterr);
	q->holder = LEASE_HOLDER_CLIENT;
	return 0;
}

/* ---- those that wait for a provider ---- */

struct waiting {
	struct request *request;
	struct lease_pending *pending;
	bool reveal;
};

static void on_done(struct lease *l, struct secret_value *v, struct error *e, void *userdata)
{
	struct waiting *w = userdata;
	struct request *r = w->request;
	bool reveal = w->reveal;

	free(w);
	if (l)
		reply(r, l, reveal ? v : NULL);
	else
		request_fail(r, e);
}

static void on_gone(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct waiting *w = userdata;

	lease_forget(w->pending);
	free(w);
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the call was cancelled");
	request_fail(r, &e);
}

static struct waiting *waiting_new(struct request *r, bool reveal)
{
	CLEANUP_ERROR struct error error = { 0 };
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w) {
		(void)error_set_errno(&error, -ENOMEM, "the call cannot wait");
		request_fail(r, &error);
		return NULL;
	}
	w->request = r;
	w->reveal = reveal;
	return w;
}

/* The lease side answered with STATUS, and gave L and V if that is 1. */
static void go_on(struct waiting *w, int status, const struct lease *l,
		  const struct secret_value *v, struct error *e)
{
	static const struct request_watch watch = { on_gone, on_gone, NULL };
	struct request *r = w->request;

	if (status == 0) {
		request_watch(r, &watch, w);
		return;
	}
	if (status > 0)
		reply(r, l, w->reveal ? v : NULL);
	else
		request_fail(r, e);
	free(w);
}

static int check_renew(const struct secret_lease_params *p, const struct lease_request *q,
		       struct error *reterr)
{
	if (!p->renew || q->holder != LEASE_HOLDER_CLIENT)
		return 0;
	return error_set(reterr, ERROR_INVALID_PARAMS, "renew",
			 "name an execId, a sandbox or a loopId, or call secret.renew",
			 "a lease that ends with nothing is not renewed by itself");
}

void method_secret_lease(struct request *r, void *userdata)
{
	const struct secret_lease_params *p = request_params(r);
	const struct named named = { p->exec_id, p->sandbox, p->loop_id };
	struct lease_request q = { .owner = request_uid(r),
				   .pid = request_pid(r),
				   .secret = p->secret,
				   .ttl_ms = p->ttl_ms,
				   .renew = p->renew };
	CLEANUP(secret_value_unrefp) struct secret_value *v = NULL;
	CLEANUP_ERROR struct error e = { 0 };
	struct manager *m = userdata;
	struct lease *l = NULL;
	struct waiting *w;
	int status;

	if (use_named(m, q.owner, &named, &q, &e) < 0 || check_renew(p, &q, &e) < 0) {
		request_fail(r, &e);
		return;
	}
	w = waiting_new(r, p->reveal);
	if (!w)
		return;
	status = lease_acquire(m, &q, on_done, w, &l, &v, &w->pending, &e);
	go_on(w, status, l, v, &e);
}

void method_secret_renew(struct request *r, void *userdata)
{
	const struct lease_ref_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };
	struct manager *m = userdata;
	struct lease *l = lease_find(m, request_uid(r), p->lease_id, &e);
	struct waiting *w;
	int status;

	if (!l) {
		request_fail(r, &e);
		return;
	}
	w = waiting_new(r, false);
	if (!w)
		return;
	status = lease_renew(m, l, p->ttl_ms, on_done, w, &w->pending, &e);
	go_on(w, status, l, NULL, &e);
}

/* ---- revoking ---- */

static void reply_revoked(struct request *r, const struct lease_revoked *revoked)
{
	struct json_object *o = json_object_new_object();

	value_add_int(o, "revoked", revoked->count);
	value_add_int(o, "running", revoked->running);
	request_reply(r, o);
}

/* Who it was: the ends of the leases themselves are written down as the daemon's. Nobody's lease
 * goes on because this cannot be. */
static void note_revoked(struct request *r, struct manager *m, const struct lease_ref_params *p,
			 const struct lease_revoked *revoked)
{
	const struct audit_entry entry = {
		.action = "revoke",
		.result = "ok",
		.uid = request_uid(r),
		.pid = request_pid(r),
		.lease = p->lease_id,
		.loop_id = p->loop_id,
		.sandbox = p->sandbox,
		.exec_id = p->exec_id,
	};

	if (revoked->count > 0)
		(void)audit_write(m, &entry, NULL);
}

static int revoke_one(struct manager *m, uid_t peer, const struct lease_ref_params *p,
		      struct lease_revoked *ret, struct error *reterr)
{
	struct lease *l = lease_find(m, peer, p->lease_id, reterr);

	if (!l)
		return -1;
	*ret = lease_revoke(m, l, p->kill);
	return 0;
}

static int revoke_named(struct manager *m, uid_t peer, const struct lease_ref_params *p,
			struct lease_revoked *ret, struct error *reterr)
{
	const struct named named = { p->exec_id, p->sandbox, p->loop_id };
	struct lease_request place = { 0 };

	if (use_named(m, peer, &named, &place, reterr) == 0) {
		*ret = lease_revoke_in(m, peer, &place, p->kill);
		return 0;
	}
	if (reterr->kind != ERROR_INVALID_STATE)
		return -1;
	error_clear(reterr); /* it has ended, and so have they */
	return 0;
}

void method_secret_revoke(struct request *r, void *userdata)
{
	const struct lease_ref_params *p = request_params(r);
	bool of_holder = p->exec_id || p->sandbox || p->loop_id;
	struct lease_revoked revoked = { 0 };
	CLEANUP_ERROR struct error e = { 0 };
	int result;

	if (!p->lease_id == !of_holder)
		result = error_set(&e, ERROR_INVALID_PARAMS, "leaseId",
				   "one of leaseId, execId, sandbox and loopId; all: "
				   "secret.revokeAll",
				   "which leases are to end?");
	else if (p->lease_id)
		result = revoke_one(userdata, request_uid(r), p, &revoked, &e);
	else
		result = revoke_named(userdata, request_uid(r), p, &revoked, &e);
	if (result < 0) {
		request_fail(r, &e);
		return;
	}
	note_revoked(r, userdata, p, &revoked);
	reply_revoked(r, &revoked);
}

void method_secret_revoke_all(struct request *r, void *userdata)
{
	const struct lease_ref_params *p = request_params(r);
	const struct lease_revoked revoked = lease_revoke_all(userdata, request_uid(r), p->kill);

	note_revoked(r, userdata, p, &revoked);
	reply_revoked(r, &revoked);
}

/* ---- listing ---- */

struct listing {
	const struct lease_list_params *params;
	const struct lease_request *place; /* NULL: any */
	struct json_object *list;
	int64_t left;
};

static bool list_one(const struct lease *l, void *userdata)
{
	struct listing *listing = userdata;
	const char *secret = listing->params->secret;

	if ((secret && strcmp(secret, lease_facts(l)->secret) != 0) ||
	    (listing->place && !lease_is_in(l, listing->place)))
		return true;
	(void)json_object_array_add(listing->list, value_lease(l)); /* no memory: shorter */
	return --listing->left > 0;
}

void method_secret_leases(struct request *r, void *userdata)
{
	const struct lease_list_params *p = request_params(r);
	const struct named named = { p->exec_id, p->sandbox, p->loop_id };
	struct lease_request place = { 0 };
	struct listing l = { .params = p, .left = p->limit };
	struct json_object *result;
	CLEANUP_ERROR struct error e = { 0 };

	/* whoever has ended has none */
	if (use_named(userdata, request_uid(r), &named, &place, &e) < 0 &&
	    e.kind != ERROR_INVALID_STATE) {
		request_fail(r, &e);
		return;
	}
	error_clear(&e);
	l.place = place.holder != LEASE_HOLDER_CLIENT ? &place : NULL;
	l.list = json_object_new_array();
	if (lease_each(userdata, request_uid(r), p->after, list_one, &l, &e) < 0) {
		json_object_put(l.list);
		request_fail(r, &e);
		return;
	}
	result = json_object_new_object();
	json_object_object_add(result, "leases", l.list);
	request_reply(r, result);
}
