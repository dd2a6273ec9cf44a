/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Exactly once: what was asked under an idempotency key is written down before its first side
 * effect, and the same call again finds what came of it. Keys are unique per peer and kept for
 * JOURNAL_KEPT_MS after they are done.
 *
 * A key that is begun, and whose command or sandbox is not there, was never run: a daemon that
 * comes back has dropped what was not. Knows no JSON: results are texts. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "macro.h"
#include "params.h"
#include "util/sha256.h"

struct exec;
struct journal; /* in struct manager */
struct manager;

#define JOURNAL_KEPT_MS (24 * 3600 * INT64_C(1000))

enum journal_method { JOURNAL_EXEC_RUN, JOURNAL_LOOP_RUN, JOURNAL_SANDBOX_CREATE };

/* One call. KEY is borrowed. The digest covers what makes two calls the same: not env, secrets,
 * timeouts, labels, descriptors, nor how its output is wanted. */
struct journal_call {
	uid_t peer;
	const char *key;
	enum journal_method method;
	char digest[SHA256_TEXT_SIZE];
};

/* Fill in CALL from the parameters, which have a key. */
void journal_call_exec(struct journal_call *call, uid_t peer, const struct exec_run_params *p);
void journal_call_loop_run(struct journal_call *call, uid_t peer, const struct loop_run_params *p);
void journal_call_create(struct journal_call *call, uid_t peer,
			 const struct sandbox_create_params *p);

/* What is known of a key. Strings are owned by it, NULL when absent. */
struct journal_entry {
	enum journal_method method;
	char *subject; /* the id of the sandbox that it made, or of the loop or sandbox it ran in */
	char *exec;    /* the key of its command in the exec table */
	char *base_sha; /* loop.run: HEAD before */
	char *result;   /* what is answered, when it is done; may be absent even then */
	bool done;
};
void journal_entry_deinit(struct journal_entry *e);
#define CLEANUP_JOURNAL_ENTRY __attribute__((cleanup(journal_entry_deinit)))

/* Whether CALL was made before. Returns 1 and *RET, 0: it was not, or -1 with *RETERR: another call
 * has its key (conflict), or the database cannot be read. */
int journal_look_up(struct manager *m, const struct journal_call *call, struct journal_entry *ret,
		    struct error *reterr);
/* The same for a call that is made of a command: that is *RET_EXEC (borrowed), NULL when it is not
 * known any more. A key that is begun and has none never ran: it is forgotten, and the call is a
 * new one. */
int journal_look_up_exec(struct manager *m, const struct journal_call *call,
			 struct journal_entry *ret, struct exec **ret_exec, struct error *reterr);
/* The same for a key alone, whatever its call was. 1, 0 or -1. */
int journal_find(struct manager *m, uid_t peer, const char *key, struct journal_entry *ret,
		 struct error *reterr);

/* CALL begins; DETAILS says where (strings are borrowed). Returns 0 when that is committed, or -1
 * with *RETERR: then it must not begin. */
int journal_begin(struct manager *m, const struct journal_call *call,
		  const struct journal_entry *details, struct error *reterr);
/* It never ran. */
void journal_forget(struct manager *m, uid_t peer, const char *key);
/* It is done; RESULT is what the same call gets (NULL: that is found elsewhere). */
void journal_done(struct manager *m, uid_t peer, const char *key, const char *result);

/* ---- for the exec table ---- */
/* E, which has a key, has ended: its result is kept, if it was an exec.run. */
void journal_exec_ended(const struct exec *e, const char *exec_key);
/* It is about to be forgotten, with its output. */
void journal_exec_dropped(struct manager *m, const char *exec_key);
/* It never came to run, and is as if it had not been asked for. */
void journal_exec_never_ran(struct manager *m, const char *exec_key);

/* Loads nothing; settles what an earlier daemon left, and drops old keys from time to time. */
int journal_new(struct manager *m, struct journal **ret);
void journal_free(struct journal *j);
