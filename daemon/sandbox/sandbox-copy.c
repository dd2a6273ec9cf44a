/* SPDX-License-Identifier: Apache-2.0 */
/* The op that copies what a sandbox changed into a layer. Its place in the queue keeps other verbs
 * away meanwhile. One that runs is frozen first and thawed after, whatever comes of the copy; it
 * may still end by itself. */

#include <errno.h>
#include <string.h>

#include "sandbox/keeper-client.h"
#include "sandbox/sandbox-internal.h"
#include "util/log.h"

static void explain(const struct sandbox *s, int error, const char *reason, struct error *ret)
{
	switch (-error) {
	case ENOSPC:
	case EDQUOT:
		error_set(ret, ERROR_LIMIT_REACHED, NULL,
			  "free some space for the state directory; the sandbox goes on",
			  "the disk is too full for a copy of sandbox %s", s->facts.name);
		break;
	case ENOENT:
		error_set(ret, ERROR_INVALID_STATE, "sandbox", NULL,
			  "the files of sandbox %s are gone", s->facts.name);
		break;
	case ETIMEDOUT:
		error_set(ret, ERROR_TIMEOUT, NULL, "try again, or stop it first",
			  "sandbox %s cannot be held still", s->facts.name);
		break;
	default:
		error_set(ret, ERROR_RUNTIME_FAILED, NULL, NULL, "sandbox %s cannot be copied: %s",
			  s->facts.name, reason ? reason : strerror(-error));
	}
	error_set_resource(ret, "sandbox %s", s->facts.name);
}

static void on_thawed(struct sandbox *s, int error, void *userdata)
{
	(void)userdata;
	if (error < 0 && sandbox_is_up(s))
		log_errno(LOG_LEVEL_ERROR, error, "sandbox %s was copied and does not go on",
			  s->facts.name);
	sandbox_op_end(s, s->ops->error.kind == ERROR_NONE ? NULL : &s->ops->error);
}

/* The op's error says what came of it. */
static void end(struct sandbox *s)
{
	int r = 0;

	if (s->ops->frozen && sandbox_is_up(s)) {
		r = sandbox_freeze(s, false, on_thawed, NULL);
		if (r == 0)
			return;
	}
	on_thawed(s, r, NULL);
}

static void fail(struct sandbox *s, int error, const char *reason)
{
	explain(s, error, reason, &s->ops->error);
	end(s);
}

static void want_keeper(struct sandbox *s);

static void on_copied(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	const struct keeper_layer_reply *reply = m ? (const void *)m->data : NULL;
	struct sandbox *s = userdata;
	const char *reason = NULL;
	bool bad = false;

	(void)k;
	if (error == 0 && (!m || m->size < sizeof(*reply)))
		error = -EBADMSG;
	if (error == -ECONNRESET && !s->retried && s->facts.state == SANDBOX_STATE_STOPPED) {
		s->retried = true; /* it had just decided to end for lack of work */
		want_keeper(s);
		return;
	}
	if (error == 0) {
		s->ops->copy->size_bytes = reply->size_bytes;
		end(s);
		return;
	}
	if (m && m->size >= sizeof(*reply))
		reason = wire_string(m, reply->reason, &bad);
	fail(s, error, reason);
}

static void call_copy(struct sandbox *s, struct keeper_client *k)
{
	struct wire_message *m = keeper_scratch(s->manager);
	int r;

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_LAYER_COPY, 0, sizeof(struct keeper_layer));
	r = wire_add_string(m, offsetof(struct keeper_layer, id), s->facts.id);
	if (r == 0)
		r = wire_add_string(m, offsetof(struct keeper_layer, layer), s->ops->copy->layer);
	if (r == 0)
		r = keeper_client_call(k, m, on_copied, s);
	if (r < 0)
		fail(s, r, NULL);
}

static void on_frozen(struct sandbox *s, int error, void *userdata)
{
	(void)userdata;
	s->ops->frozen = error == 0;
	if (!sandbox_is_up(s))
		fail(s, -ECONNRESET, "it ended meanwhile");
	else if (error == 0)
		call_copy(s, s->keeper);
	else if (!sandbox_freeze_again(s, error))
		fail(s, error, NULL);
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;

	if (k)
		call_copy(s, k);
	else
		sandbox_op_end(s, e);
}

static void want_keeper(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (manager_keeper(s->manager, s->facts.owner, on_keeper, s, &e) < 0)
		sandbox_op_end(s, &e);
}

/* In which states there is something whole to copy. */
static int check_state(const struct sandbox *s, struct error *reterr)
{
	switch (s->facts.state) {
	case SANDBOX_STATE_RUNNING:
	case SANDBOX_STATE_PAUSED:
	case SANDBOX_STATE_STOPPED:
		return 0;
	case SANDBOX_STATE_CREATING:
	case SANDBOX_STATE_FAILED:
	case SANDBOX_STATE_REMOVED:
	case SANDBOX_STATE_MAX:
		break;
	}
	(void)error_set(reterr, ERROR_INVALID_STATE, "sandbox", "running, paused or stopped",
			"sandbox %s is %s", s->facts.name, sandbox_state_to_string(s->facts.state));
	error_set_resource(reterr, "sandbox %s", s->facts.name);
	return -1;
}

void sandbox_copy_begin(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };
	int r;

	s->retried = false;
	if (check_state(s, &e) < 0) {
		sandbox_op_end(s, &e);
	} else if (sandbox_waits_for_keeper(s)) {
		return;
	} else if (s->facts.state == SANDBOX_STATE_RUNNING) {
		r = sandbox_freeze(s, true, on_frozen, NULL);
		if (r < 0)
			on_frozen(s, r, NULL);
	} else if (s->keeper) { /* paused */
		call_copy(s, s->keeper);
	} else {
		want_keeper(s);
	}
}

int sandbox_copy(struct sandbox *s, struct sandbox_copy *copy, sandbox_done *done, void *userdata,
		 struct error *reterr)
{
	int r;

	if (check_state(s, reterr) < 0)
		return -1;
	r = sandbox_submit(s, SANDBOX_VERB_COPY, done, userdata, NULL, s->facts.state);
	if (r < 0)
		return error_set_errno(reterr, r, "sandbox %s cannot be copied", s->facts.name);
	sandbox_last_op(s)->copy = copy;
	return 0;
}
