/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Leases: who has which secret until when. The value itself is not kept here. They survive a
 * restart in the store; times are CLOCK_REALTIME, so that what expired while the machine slept has
 * expired. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "secret/value.h"

#define LEASE_ID_SIZE 40

struct lease;
struct lease_pending; /* one that is waited for */
struct lease_table;   /* in struct manager */
struct manager;

enum lease_holder {
	LEASE_HOLDER_CLIENT,
	LEASE_HOLDER_EXEC,
	LEASE_HOLDER_SANDBOX,
	LEASE_HOLDER_LOOP
};

/* Whoever asks, and for whom. Strings are copied; NULL: does not apply. */
struct lease_request {
	uid_t owner; /* whose secret: the peer */
	pid_t pid;   /* of the peer, for the audit; 0: the daemon itself */
	const char *secret;
	int64_t ttl_ms; /* LEASE_TTL_MIN_MS to max_ttl of the secret or of [secrets] */
	enum lease_holder holder;
	uid_t holder_peer;     /* whose exec or loop, for their ids are his own */
	const char *holder_id; /* exec id (it need not run yet), sandbox id or loop id; NULL with
				* CLIENT */
	const char *loop_id;   /* the rest is for the audit */
	const char *sandbox;
	const char *stage;
	const char *file; /* that an EXEC has it as, below the agent's home; NULL: none */
	bool renew;       /* again and again near its end, as long as the holder lives */
	bool brief;       /* for a command whose own row is not written at once, either */
};

/* When its holder ends a lease does, by itself: an exec from exec.c, a sandbox when it does not run
 * any more, a loop when it is cancelled or destroyed. Only an exec that was never begun has to be
 * told of, by lease_end(). */

/* L NULL: E says why. V is borrowed. Never called from inside lease_acquire(). */
typedef void lease_done(struct lease *l, struct secret_value *v, struct error *e, void *userdata);

/* Returns 1: *RET and a reference in *RET_VALUE are there at once, DONE is not called; 0: DONE
 * comes later, unless *RET_PENDING is given to lease_forget() first; -1 with *RETERR. It is in the
 * audit before it is handed over. */
int lease_acquire(struct manager *m, const struct lease_request *request, lease_done *done,
		  void *userdata, struct lease **ret, struct secret_value **ret_value,
		  struct lease_pending **ret_pending, struct error *reterr);
void lease_forget(struct lease_pending *p);

struct lease_facts {
	const char *id;
	const char *secret;
	uid_t owner;
	enum lease_holder holder;
	uid_t holder_peer;
	const char *holder_id; /* "" with CLIENT */
	const char *loop_id;   /* for whom it is; NULL: does not apply */
	const char *sandbox;   /* by name */
	const char *stage;
	const char *file;      /* that an EXEC has it as, below the agent's home; NULL: none */
	int64_t created_at_ms; /* CLOCK_REALTIME */
	int64_t expires_at_ms;
	bool renew;
};
const struct lease_facts *lease_facts(const struct lease *l);
struct lease *lease_find(struct manager *m, uid_t peer, const char *id, struct error *reterr);
/* Asks the provider again; the value is dropped. Returns and calls as lease_acquire() does, V is
 * NULL. */
int lease_renew(struct manager *m, struct lease *l, int64_t ttl_ms, lease_done *done,
		void *userdata, struct lease_pending **ret_pending, struct error *reterr);

enum lease_end { LEASE_END_RELEASED, LEASE_END_EXPIRED, LEASE_END_REVOKED };
/* It is over, and freed. KILL: the exec that holds it ends with cause lease_revoked. */
void lease_end(struct manager *m, struct lease *l, enum lease_end why, bool kill);
/* All of a holder, when it ends. */
void lease_end_for(struct manager *m, enum lease_holder holder, uid_t holder_peer,
		   const char *holder_id, enum lease_end why, bool kill);
/* How many ended, and how many of them were of execs that run on with what they have. */
struct lease_revoked {
	unsigned count;
	unsigned running;
};
/* PEER revokes L. */
struct lease_revoked lease_revoke(struct manager *m, struct lease *l, bool kill);
/* Whether L's holder is that of PLACE (its holder, holder_peer and holder_id, and sandbox or
 * loop_id) or is in it, or is going to be: of a sandbox also its execs, of a loop its sandboxes and
 * their execs, too. */
bool lease_is_in(const struct lease *l, const struct lease_request *place);
/* The same for all in PLACE that PEER may end. */
struct lease_revoked lease_revoke_in(struct manager *m, uid_t peer,
				     const struct lease_request *place, bool kill);
/* The same for all of PEER's; of everybody's for root. */
struct lease_revoked lease_revoke_all(struct manager *m, uid_t peer, bool kill);
/* Calls FN for each that PEER may see, in order of creation, those behind the lease AFTER (NULL:
 * all), until it returns false. Returns 0, or -1 with *RETERR: there is no AFTER. */
typedef bool lease_seen(const struct lease *l, void *userdata);
int lease_each(struct manager *m, uid_t peer, const char *after, lease_seen *fn, void *userdata,
	       struct error *reterr);

int lease_table_new(struct manager *m, struct lease_table **ret); /* loads what is left */
void lease_table_free(struct lease_table *t);
