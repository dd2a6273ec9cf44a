/* SPDX-License-Identifier: Apache-2.0 */
/* A spare becomes somebody's sandbox: its object, id, init and cgroup stay, everything else comes
 * from the request. Its row is written first; then the keeper is sent the claim and, at the same
 * time, init is asked whether it is there.
 *
 * Where either fails, the client need not know: what ran is removed, and the sandbox is made anew
 * under the same id. If it was the request that could not be, that fails in the same way, and with
 * the same words as if there had been no spare; only what then succeeds is held against the pool.
 */

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/event.h"
#include "sandbox/init-client.h"
#include "sandbox/keeper-client.h"
#include "sandbox/pool-internal.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/workspace.h"
#include "store/sandboxes.h"
#include "util/log.h"
#include "util/strings.h"

bool sandbox_is_spare(const struct sandbox *s)
{
	return s->spare && s->spare->state != SPARE_STATE_TAKEN;
}

bool sandbox_is_claimed(const struct sandbox *s)
{
	return s->spare && s->spare->state == SPARE_STATE_TAKEN;
}

/* ---- becoming ---- */

#define SWAP(a, b)                                                                                 \
	do {                                                                                       \
		__typeof__(a) swap_ = (a);                                                         \
		(a) = (b);                                                                         \
		(b) = swap_;                                                                       \
	} while (0)

/* What a client says of a sandbox; what runs stays where it is. Undoes itself. */
static void swap_identity(struct sandbox *spare, struct sandbox *s)
{
	size_t i;

	SWAP(spare->facts, s->facts);
	SWAP(spare->facts.id, s->facts.id);
	SWAP(spare->facts.pid, s->facts.pid); /* pid_since stays, too */
	SWAP(spare->hidden, s->hidden);
	SWAP(spare->template_given, s->template_given);
	for (i = 0; i < WORKSPACES_MAX; i++)
		SWAP(spare->workspaces[i], s->workspaces[i]);
	SWAP(spare->n_workspaces, s->n_workspaces);
}

/* Into the table under its new name, as the newest, and into the database. */
static int enter(struct sandbox *s)
{
	int r = sandbox_enter(s);

	if (r == 0) {
		r = sandbox_row_claim(s);
		if (r < 0)
			sandbox_leave(s);
	}
	return r;
}

/* What it was; WRITTEN: its row has to be, too. Only without memory or disk space it cannot be a
 * spare any more, and goes. */
static void unbecome(struct sandbox *spare, struct sandbox *s, bool written)
{
	int r;

	swap_identity(spare, s);
	r = sandbox_enter(spare);
	if (r == 0) {
		pool_give_back(spare);
		r = written ? sandbox_row_claim(spare) : 0;
	}
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "a spare cannot be given back, removing it");
	if (r < 0 && spare->in_table)
		spare_end(spare->spare);
}

int sandbox_become(struct sandbox *spare, struct sandbox *s, sandbox_done *done, void *userdata)
{
	int r;

	(void)sandbox_ref(spare);
	sandbox_leave(spare);
	swap_identity(spare, s);
	spare->facts.launch = SANDBOX_LAUNCH_WARM;
	r = enter(spare);
	if (r < 0) {
		unbecome(spare, s, false);
	} else {
		r = sandbox_submit(spare, SANDBOX_VERB_CREATE, done, userdata, NULL,
				   SANDBOX_STATE_RUNNING);
		if (r == 0) {
			pool_note_warm(spare->spare);
			event_sandbox_state(spare, NULL);
		} else {
			sandbox_leave(spare);
			unbecome(spare, s, true);
		}
	}
	(void)sandbox_unref(spare);
	return r;
}

/* ---- the claim ---- */

void sandbox_warm_boot(struct sandbox *s)
{
	s->warm_claimed = false;
	s->phase = SANDBOX_PHASE_CLAIM;
	sandbox_home_begin(s);
	spare_check(s->spare);
	sandbox_boot_claim(s);
}

void sandbox_warm_step(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (s->warm_claimed && s->spare->late) {
		(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL, NULL, "the spare does not answer");
		sandbox_warm_fail(s, &e);
		return;
	}
	if (!s->warm_claimed || s->spare->asked)
		return; /* the other answer is still to come */
	spare_free(s->spare);
	sandbox_boot_done(s);
}

void sandbox_warm_lost(struct sandbox *s)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (!s->warm_claimed)
		return; /* the keeper says so in its answer, or init does not answer */
	(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL, NULL, "the spare ended");
	sandbox_warm_fail(s, &e);
}

/* ---- falling back ---- */

static void fail(struct sandbox *s, int r, const char *what)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set_errno(&e, r, "%s", what);
	sandbox_boot_fail(s, &e);
}

static void on_removed(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = userdata;

	(void)k;
	(void)m;
	if (error < 0 && error != -ESRCH && error != -ENOENT)
		fail(s, error, "what was left of a spare cannot be removed");
	else if (sandbox_open_workspaces(s, &e) < 0)
		sandbox_boot_fail(s, &e);
	else
		sandbox_boot_cold(s);
}

static void call_remove(struct sandbox *s, struct keeper_client *k)
{
	int r = sandbox_call_end(s, k, KEEPER_REMOVE, on_removed);

	if (r < 0)
		fail(s, r, "the keeper cannot be asked");
}

static void on_undone(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct sandbox *s = userdata;

	(void)m;
	if (error == -ECONNRESET || error == -ETIMEDOUT) {
		fail(s, error, "the keeper ended again");
		return;
	}
	sandbox_undone(s, error);
	call_remove(s, k);
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct sandbox *s = userdata;

	if (!k)
		sandbox_boot_fail(s, e);
	else if (!s->undo_due || sandbox_call_undo(s, k, on_undone) < 0)
		call_remove(s, k);
}

void sandbox_warm_judge(struct sandbox *s, bool good)
{
	if (s->suspect && good)
		pool_on_failure(s->suspect, s->suspicion ? s->suspicion : "cannot be claimed");
	s->suspect = NULL;
	free(TAKE_PTR(s->suspicion));
}

void sandbox_warm_fail(struct sandbox *s, const struct error *e)
{
	CLEANUP_ERROR struct error own = { 0 };
	struct spare *sp = s->spare;
	struct pool *p = sp->pool;

	sandbox_log(s, LOG_LEVEL_WARNING, "%s, starting it anew",
		    e->message ? e->message : "its spare cannot be claimed");
	s->facts.launch = SANDBOX_LAUNCH_COLD;
	s->undo_due = s->facts.workspaces.count > 0;
	p->claims_warm--;
	s->suspect = p; /* pools stay */
	s->suspicion = e->message ? strdup(e->message) : NULL;
	s->init = init_client_free(s->init); /* before the one that it would tell */
	spare_free(sp);
	sandbox_release(s);
	s->retried = false;
	if (manager_keeper(s->manager, s->facts.owner, on_keeper, s, &own) < 0)
		sandbox_boot_fail(s, &own);
}
