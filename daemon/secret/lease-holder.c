/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a lease is for: whether he is still there, and what it takes to end him. */

#include <errno.h>
#include <string.h>

#include "bounds.h"
#include "loop/loop.h"
#include "sandbox/event-log.h"
#include "sandbox/event.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "sandbox/secret-file.h"
#include "secret/lease-internal.h"
#include "util/strings.h"

static const char *const holder_names[] = {
	[LEASE_HOLDER_CLIENT] = "client",
	[LEASE_HOLDER_EXEC] = "exec",
	[LEASE_HOLDER_SANDBOX] = "sandbox",
	[LEASE_HOLDER_LOOP] = "loop",
};

const char *lease_holder_to_string(enum lease_holder h)
{
	return holder_names[h];
}

int lease_holder_from_string(const char *text, enum lease_holder *ret)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(holder_names); i++) {
		if (string_equal(text, holder_names[i])) {
			*ret = (enum lease_holder)i;
			return 0;
		}
	}
	return -EINVAL;
}

static struct exec *find_exec(struct manager *m, const struct lease *l)
{
	return exec_find(m, l->facts.holder_peer, l->facts.holder_id, NULL);
}

static struct sandbox *find_sandbox(struct manager *m, const struct lease *l)
{
	return sandbox_find(m, l->facts.holder_peer, l->facts.holder_id, NULL);
}

static bool sandbox_lives(const struct sandbox *s)
{
	switch (sandbox_state(s)) {
	case SANDBOX_STATE_CREATING:
	case SANDBOX_STATE_RUNNING:
	case SANDBOX_STATE_PAUSED:
		return true;
	case SANDBOX_STATE_STOPPED:
	case SANDBOX_STATE_FAILED:
	case SANDBOX_STATE_REMOVED:
	case SANDBOX_STATE_MAX:
		break;
	}
	return false;
}

bool lease_holder_lives(struct manager *m, const struct lease *l)
{
	const struct sandbox *s;
	const struct exec *e;
	const struct loop *loop;

	switch (l->facts.holder) {
	case LEASE_HOLDER_CLIENT:
		return true;
	case LEASE_HOLDER_EXEC:
		e = find_exec(m, l);
		return e && exec_facts(e)->state != EXEC_STATE_ENDED;
	case LEASE_HOLDER_SANDBOX:
		s = find_sandbox(m, l);
		return s && sandbox_lives(s);
	case LEASE_HOLDER_LOOP:
		loop = loop_find(m, l->facts.holder_peer, l->facts.holder_id, NULL);
		return loop && loop_facts(loop)->state == LOOP_STATE_ACTIVE;
	}
	return false;
}

bool lease_is_in(const struct lease *l, const struct lease_request *place)
{
	if (l->facts.holder_peer != place->holder_peer)
		return false;
	if (l->facts.holder == place->holder && strcmp(l->facts.holder_id, place->holder_id) == 0)
		return true;
	if (place->holder == LEASE_HOLDER_SANDBOX)
		return string_equal(l->sandbox, place->sandbox);
	return place->holder == LEASE_HOLDER_LOOP && string_equal(l->loop_id, place->loop_id);
}

/* ---- ending him ---- */

static bool kill_in_loop(struct sandbox *s, void *userdata)
{
	const struct sandbox_facts *f = sandbox_facts(s);
	const struct lease *l = userdata;

	if (f->peer == l->facts.holder_peer && string_equal(f->loop_id, l->facts.holder_id))
		exec_table_end_for(sandbox_manager(s), s, EXEC_CAUSE_LEASE_REVOKED, EXEC_GRACE_MS);
	return true;
}

void lease_holder_update(struct manager *m, const struct lease *l, struct secret_value *v)
{
	struct exec *e = l->file ? find_exec(m, l) : NULL;

	if (e)
		secret_file_update(e, l->facts.id, l->file, v);
}

void lease_holder_kill(struct manager *m, const struct lease *l)
{
	struct lease copy = *l; /* its strings are l's */
	struct sandbox *s;
	struct exec *e;

	switch (l->facts.holder) {
	case LEASE_HOLDER_CLIENT:
		return;
	case LEASE_HOLDER_EXEC:
		e = find_exec(m, l);
		if (e)
			exec_end(e, EXEC_CAUSE_LEASE_REVOKED);
		return;
	case LEASE_HOLDER_SANDBOX:
		s = find_sandbox(m, l);
		if (s)
			exec_table_end_for(m, s, EXEC_CAUSE_LEASE_REVOKED, EXEC_GRACE_MS);
		return;
	case LEASE_HOLDER_LOOP:
		manager_each_sandbox(m, kill_in_loop, &copy);
		return;
	}
}

/* ---- telling ---- */

static struct event_note about_holder(struct manager *m, const struct lease *l)
{
	static const char type[] = "lease.ended";
	struct event_note n = { .type = type };
	const struct sandbox *s;
	const struct exec *e;

	switch (l->facts.holder) {
	case LEASE_HOLDER_CLIENT:
		break;
	case LEASE_HOLDER_EXEC:
		e = find_exec(m, l);
		if (e)
			n = event_about_exec(e, type);
		break;
	case LEASE_HOLDER_SANDBOX:
		s = find_sandbox(m, l);
		if (s)
			n = event_about_sandbox(s, type);
		break;
	case LEASE_HOLDER_LOOP:
		n.loop_id = l->facts.holder_id;
		break;
	}
	return n;
}

void lease_tell_end(struct manager *m, const struct lease *l, enum lease_end why)
{
	struct event_note n = about_holder(m, l);

	n.peer = l->facts.owner;
	event_note_text(&n, "leaseId", l->facts.id);
	event_note_text(&n, "secret", l->facts.secret);
	event_note_text(&n, "reason", why == LEASE_END_EXPIRED ? "expired" : "revoked");
	event_log_add(m, &n);
}
