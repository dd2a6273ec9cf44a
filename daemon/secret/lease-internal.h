/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bodies behind lease.h, for the lease-*.c files only: lease-ask.c gets one from its provider
 * or longer, lease.c ends it, lease-timer.c knows when, lease-holder.c for whom it is. */

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "secret/lease.h"
#include "secret/provider.h"
#include "util/id.h"
#include "util/strings.h"
#include "util/table.h"

#define LEASE_BUCKETS 64 /* a command that ends asks for its own */

struct lease {
	struct lease_facts facts; /* its strings are these */
	char *id;
	char *secret;
	char *holder_id;
	char *loop_id;
	char *sandbox;
	char *stage;
	char *file;
	char *remote_id; /* the provider's own lease; NULL: it has none */
	pid_t pid;       /* of the peer who asked for it; 0: the daemon, or an earlier one did */
	int64_t ttl_ms;  /* of each renewal */
	int64_t over_ms; /* when it expires, and is renewed, by CLOCK_BOOTTIME, which nobody sets */
	int64_t renew_ms;
	bool brief; /* its row is written with those of others, if it lives so long */
	bool stored;
	bool outlived; /* in that of the table, else in all */
	TAILQ_ENTRY(lease) in_all;
	TAILQ_ENTRY(lease) in_holders;
	TAILQ_ENTRY(lease) in_young;
	bool young; /* it is in that */
};

/* A provider was asked. */
struct lease_pending {
	struct manager *manager;
	struct login_pending *asked; /* NULL: not yet, or it has answered */
	struct lease *lease;         /* ours as long as it is new */
	bool is_new;                 /* else it is to be renewed */
	int64_t ttl_ms;
	lease_done *done; /* NULL: the daemon itself renews it */
	void *userdata;
	LIST_ENTRY(lease_pending) in_all;
};

struct lease_table {
	struct manager *manager;
	struct table by_id;
	TAILQ_HEAD(leases, lease) all; /* oldest first */
	struct leases outlived; /* over before its command is, which keeps what it has read */
	struct leases holders[LEASE_BUCKETS]; /* both, by holder_id */
	LIST_HEAD(, lease_pending) pending;
	struct event timer;
	int timer_fd;
	int64_t timer_at_ms;       /* when it goes off, CLOCK_BOOTTIME; INT64_MAX: never */
	TAILQ_HEAD(, lease) young; /* whose rows are still to be written */
	struct string_list over;   /* ids whose rows are still to go */
	struct event rows_event;
};

/* ---- lease.c ---- */
/* A new one, not entered, its times unset. ID NULL: one is made. Returns 0 or negative errno. */
int lease_new(const struct lease_request *r, const char *id, struct lease **ret);
/* Enters L: it has begun. Returns 0 or negative errno. */
int lease_enter(struct lease_table *t, struct lease *l);
void lease_free(struct lease *l); /* one that is in no table; accepts NULL */
/* PEER's, or all are root's to see. */
bool lease_may_see(const struct lease *l, uid_t peer);

/* ---- lease-ask.c ---- */
/* The daemon renews L by itself. What fails is logged. */
void lease_renew_again(struct lease_table *t, struct lease *l);
/* L is about to end: whoever waits for its renewal is told that. */
void lease_drop_pending(struct lease_table *t, const struct lease *l);
/* The same for those of PEER's that are not there yet and are for PLACE (NULL: all), as of
 * lease_revoke_in(). */
void lease_drop_new(struct lease_table *t, uid_t peer, const struct lease_request *place);
/* The provider's own lease of L is not needed any more. */
void lease_give_back(struct manager *m, const struct lease *l);

/* ---- lease-audit.c ---- */
/* By the peer's process PID; 0: by the daemon itself. 0, or -1 with *RETERR: it must not happen. */
int lease_audit(struct manager *m, const struct lease *l, const char *action, pid_t pid,
		struct error *reterr);
/* These are tried once. */
void lease_audit_failure(struct manager *m, const struct lease *l, const struct error *e);
void lease_audit_end(struct manager *m, const struct lease *l, enum lease_end why);

/* ---- lease-timer.c ---- */
int lease_timer_init(struct lease_table *t);
void lease_timer_deinit(struct lease_table *t);
/* L's expires_at_ms is another. */
void lease_timer_set(struct lease_table *t, struct lease *l);
bool lease_is_over(const struct lease *l);

/* ---- lease-row.c ---- */
/* That of a brief one soon, with others. */
int lease_row_insert(struct manager *m, struct lease *l);
int lease_row_update(struct manager *m, const struct lease *l);
void lease_row_delete(struct manager *m, struct lease *l); /* what fails is logged */
/* Those of all that PEER may see and are in PLACE (NULL: anywhere), at once. */
void lease_rows_delete(struct lease_table *t, uid_t peer, const struct lease_request *place);
/* The same soon, with others: where the next daemon would see by itself that it is over. */
void lease_row_delete_later(struct lease_table *t, struct lease *l);
void lease_rows_init(struct lease_table *t);
void lease_rows_settle(struct lease_table *t); /* what is due soon is done now */
void lease_rows_deinit(struct lease_table *t);
/* Loads what has neither expired nor lost its holder; the rest ends. */
int lease_rows_load(struct lease_table *t);

/* ---- lease-holder.c ---- */
const char *lease_holder_to_string(enum lease_holder h);
int lease_holder_from_string(const char *text, enum lease_holder *ret); /* 0, or -EINVAL */
/* False for an exec that does not run yet, too. */
bool lease_holder_lives(struct manager *m, const struct lease *l);
/* A command that has it as a file gets the new value V, or (NULL) has none any more. */
void lease_holder_update(struct manager *m, const struct lease *l, struct secret_value *v);
/* The execs that may use L end with cause lease_revoked. */
void lease_holder_kill(struct manager *m, const struct lease *l);
/* Events: it is over before its holder was. */
void lease_tell_end(struct manager *m, const struct lease *l, enum lease_end why);
