/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who did what with which secret: an append-only log, each entry chained to the one before by an
 * HMAC under a key of the vault's. Its head is in the store and the journal, too: a cut tail
 * shows. Never a value. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "macro.h"
#include "secret/audit-line.h"

#define AUDIT_DIRECTORY "audit" /* of the state directory */

struct audit;
struct audit_reading; /* a list or a check under way */
struct manager;

/* Strings are borrowed for the call; NULL: does not apply. */
struct audit_entry {
	const char *action; /* "set", "remove", "lease", "renew", "release", "expire", "revoke",
			     * "refresh" */
	const char *result; /* "ok", or an error's kind */
	uid_t uid;
	pid_t pid; /* of the peer; 0: the daemon itself. Its executable is looked up */
	const char *secret;
	const char *lease;
	const char *provider;
	const char *loop_id;
	const char *sandbox;
	const char *exec_id;
	const char *stage;
};

/* Whether UID may do something more that has to be written: 0, or -1 with *RETERR, LIMIT_REACHED,
 * when that was so much already that it would drive out of the log what others did. */
int audit_check(struct manager *m, uid_t uid, struct error *reterr);

/* Appends it. 0, or -1 with *RETERR: it could not be written, so what it tells of must not happen.
 */
int audit_write(struct manager *m, const struct audit_entry *e, struct error *reterr);

/* ---- reading: in small steps, from the loop. DONE is never called from inside the call that
 * begins, and not any more after audit_reading_end(). E: it could not be done, the rest is unset.
 * ---- */

struct audit_query {
	uid_t peer; /* 0: sees everybody's */
	int64_t limit;
	int64_t after; /* the first behind this entry; -1: the newest */
};
/* LINES as they are in the log, by number; they need not be true. */
typedef void audit_listed(char *const *lines, size_t count, struct error *e, void *userdata);
int audit_list(struct manager *m, const struct audit_query *q, audit_listed *done, void *userdata,
	       struct audit_reading **ret, struct error *reterr);

struct audit_report {
	int64_t first;          /* the oldest entry that is kept */
	int64_t checked;        /* how many are as they were written, from there on */
	struct audit_mark head; /* what they had to lead to */
	int64_t bad;            /* the first entry that is not as it was; 0: all are */
	const char *file;       /* where it is or should be */
	const char *reason;     /* "missing", "damaged", "changed", "key", "unreadable" */
	bool by_given;          /* only GIVEN says so */
};
/* GIVEN (NULL: nothing) is a head that somebody noted earlier. */
typedef void audit_verified(const struct audit_report *report, struct error *e, void *userdata);
int audit_verify(struct manager *m, uid_t peer, const struct audit_mark *given,
		 audit_verified *done, void *userdata, struct audit_reading **ret,
		 struct error *reterr);

/* What is known of it without reading it. */
struct audit_state {
	int64_t entries;       /* all that were ever written */
	int64_t checked_at_ms; /* CLOCK_REALTIME, by this daemon; 0: never */
	int64_t bad;           /* what that found: an entry, or 0 */
};
/* 0, or -1 with *RETERR: it cannot be written. */
int audit_look(struct manager *m, struct audit_state *ret, struct error *reterr);

void audit_reading_end(struct audit_reading *r);

/* The vault's key need not be there yet: until it is, audit_write() says why. */
int audit_new(struct manager *m, struct audit **ret);
void audit_free(struct audit *a); /* NULL is fine */
