/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The secrets of one command: leased before it starts, handed to it, forgotten. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bounds.h"
#include "error.h"
#include "macro.h"
#include "params.h"
#include "sandbox/exec-payload.h"
#include "sandbox/tool-secret.h"
#include "secret/lease.h"

#define EXEC_VARIABLES_MAX (EXEC_SECRETS_MAX + TOOL_SECRETS_MAX)

struct exec_secrets;
struct manager;
struct sandbox;
struct secret_value;

/* What it becomes. */
enum exec_secret_form { EXEC_SECRET_ENV, EXEC_SECRET_FILE, EXEC_SECRET_STDIN };

struct exec_secret {
	enum exec_secret_form form;
	char *name;
	char *where; /* the variable, or the file below the agent's home; NULL with STDIN */
	char lease[LEASE_ID_SIZE];
	struct secret_value *value; /* referenced; NULL: not yet, or not any more */
	/* inside exec-secrets*.c */
	struct exec_secrets *of;
	uid_t owner;
	int index;      /* among the secrets of the call; -1: it is the tool's */
	int64_t ttl_ms; /* -1: as configured */
	struct lease_pending *pending;
};

typedef void exec_secrets_done(struct exec_secrets *s, struct error *e, void *userdata);

/* The bundle. */
struct exec_secrets {
	struct manager *manager;
	char *exec_id; /* of the command that they are for */
	struct exec_secret *items;
	size_t count;
	/* inside exec-secrets*.c */
	size_t waiting;
	bool bound;
	exec_secrets_done *done;
	void *userdata;
};

/* Who asks, and for what. Borrowed for the call. */
struct exec_secrets_query {
	uid_t peer;
	pid_t pid; /* of the peer, for the audit */
	struct sandbox *sandbox;
	const struct secret_uses_params *uses;
	struct strings command; /* the tool's own program gets the tool's secrets, too */
	const struct pairs *env;
	bool has_stdin; /* the command reads something else */
	const char *exec_id;
	const char *stage;
	bool brief; /* the command's row is not written at once */
};

/* Leases what the call and the tool of its sandbox name. Returns 0 and *RET (NULL: nothing is
 * needed), or -1 with *RETERR: no lease is left. */
int exec_secrets_acquire(struct manager *m, const struct exec_secrets_query *query,
			 struct exec_secrets **ret, struct error *reterr);
/* All are there. */
bool exec_secrets_ready(const struct exec_secrets *s);
/* When they are not: DONE is called once, from the loop, unless S is freed first; with E set when
 * one could not be leased. It may free S. */
void exec_secrets_wait(struct exec_secrets *s, exec_secrets_done *done, void *userdata);
/* NULL is fine. Where no command is bound to them the leases end. */
void exec_secrets_free(struct exec_secrets *s);
DEFINE_CLEANUP(struct exec_secrets *, exec_secrets_free);

/* ---- for the exec ---- */
/* In all of these S may be NULL. */
/* 0, or -1 with *RETERR: a lease has ended since. */
int exec_secrets_check(const struct exec_secrets *s, struct error *reterr);
/* They are its command's from here on: the leases end with it. */
void exec_secrets_bind(struct exec_secrets *s);
/* It has them: no values any more. */
void exec_secrets_forget(struct exec_secrets *s);
/* What the command is to read; NULL: none of them. */
const struct exec_secret *exec_secrets_stdin(const struct exec_secrets *s);
/* One of them becomes a file, which others in the sandbox can read. */
bool exec_secrets_have_file(const struct exec_secrets *s);
/* What no spool of its sandbox is to hold, for the keeper; *RET stays where there is nothing to
 * cover. Returns 0 or negative errno. */
int exec_secrets_masks(const struct exec_secrets *s, int *ret);
/* Those that become variables, at most EXEC_VARIABLES_MAX; returns how many. */
size_t exec_secrets_variables(const struct exec_secrets *s, struct exec_variable *ret);
/* The bytes of one: a newline at the end is not its own. */
struct bytes exec_secret_text(const struct exec_secret *s);

/* ---- inside exec-secrets*.c ---- */
/* Nothing is waited for any more. */
void exec_secrets_cancel(struct exec_secrets *s);
/* Fills items in, without leasing any. Returns 0, or -1 with *RETERR. */
int exec_secrets_plan(struct exec_secrets *s, const struct exec_secrets_query *query,
		      struct error *reterr);
