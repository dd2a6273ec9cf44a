/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A sandbox and the table of all of them. Knows no JSON. See sandbox.c for states and ownership. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"
#include "params.h"

struct init_client;
struct keeper_client;
struct manager; /* everything the daemon has: manager.h */
struct sandbox;
struct string_list;

enum sandbox_state {
	SANDBOX_STATE_CREATING,
	SANDBOX_STATE_RUNNING,
	SANDBOX_STATE_PAUSED,
	SANDBOX_STATE_STOPPED,
	SANDBOX_STATE_FAILED,
	SANDBOX_STATE_REMOVED,
	SANDBOX_STATE_MAX,
};
const char *sandbox_state_to_string(enum sandbox_state s);
size_t manager_sandbox_count_in(const struct manager *m, enum sandbox_state state);
/* What brings a sandbox from state S to running; NULL: nothing, or it runs. */
const char *sandbox_state_hint(enum sandbox_state s);

/* What its first run was made from. */
enum sandbox_launch {
	SANDBOX_LAUNCH_COLD, /* from nothing */
	SANDBOX_LAUNCH_WARM, /* from a spare */
};
const char *sandbox_launch_to_string(enum sandbox_launch l);

/* Called once with the outcome of a verb that takes time. On failure E says why (callee keeps it).
 */
typedef void sandbox_done(struct sandbox *s, struct error *e, void *userdata);

/* Verbs. Return 0 and call DONE later (never from inside the call), or -1 with *RETERR set and
 * never call DONE. */
int sandbox_create(struct manager *m, uid_t peer, const struct sandbox_create_params *params,
		   sandbox_done *done, void *userdata, struct sandbox **ret, struct error *reterr);
/* While S is being created: who hears what a build of its tool's layer has to say (until DONE), and
 * giving it up: DONE follows with CANCELLED, unless it is too late. */
void sandbox_on_progress(struct sandbox *s, void (*fn)(const char *message, void *userdata),
			 void *userdata);
void sandbox_cancel_create(struct sandbox *s);
/* How its execs end. */
struct sandbox_end_how {
	const char *cause; /* stop: of the sandbox */
	int64_t grace_ms;  /* between TERM and KILL; -1: stop their own, EXEC_GRACE_MS at most;
			      remove none */
	bool force;        /* stop: no grace; remove: even if some run */
};
/* It runs, and takes commands; else it may be that it is being taken over. */
bool sandbox_is_ready(const struct sandbox *s);
/* True: S is being taken over, by this daemon or for a new keeper, and DONE is called when that is
 * over, however it went. False: there is nothing to wait for. */
bool sandbox_await(struct sandbox *s, sandbox_done *done, void *userdata);
/* The DONE that was given with USERDATA is not called. */
void sandbox_await_forget(struct sandbox *s, const void *userdata);
int sandbox_stop(struct sandbox *s, const struct sandbox_end_how *how, sandbox_done *done,
		 void *userdata, struct error *reterr);
/* TIMEOUT_MS for the runtime; -1: the configured one. */
int sandbox_start(struct sandbox *s, int64_t timeout_ms, sandbox_done *done, void *userdata,
		  struct error *reterr);
/* Freezes everything in it, or lets it go on. Done already: fine. */
int sandbox_pause(struct sandbox *s, sandbox_done *done, void *userdata, struct error *reterr);
int sandbox_resume(struct sandbox *s, sandbox_done *done, void *userdata, struct error *reterr);
int sandbox_remove(struct sandbox *s, const struct sandbox_end_how *how, sandbox_done *done,
		   void *userdata, struct error *reterr);

/* Copies what S changed into LAYER of its owner's templates; S stays in its state. COPY is the
 * caller's and lives until DONE. */
struct sandbox_copy {
	const char *layer;
	uint64_t size_bytes; /* set on success */
};
int sandbox_copy(struct sandbox *s, struct sandbox_copy *copy, sandbox_done *done, void *userdata,
		 struct error *reterr);

/* By name (of PEER's own; root: anyone's by id, its own by name first) or id; sets NOT_FOUND. */
struct sandbox *sandbox_find(struct manager *m, uid_t peer, const char *name_or_id,
			     struct error *reterr);

struct sandbox *sandbox_ref(struct sandbox *s);
struct sandbox *sandbox_unref(struct sandbox *s); /* returns NULL */

/* ---- what the exec side needs of a running sandbox ---- */
enum sandbox_state sandbox_state(const struct sandbox *s);
const char *sandbox_id(const struct sandbox *s);
const char *sandbox_name(const struct sandbox *s);
uid_t sandbox_owner(const struct sandbox *s);
struct manager *sandbox_manager(const struct sandbox *s);
struct init_client *sandbox_init(const struct sandbox *s);     /* NULL unless running */
struct keeper_client *sandbox_keeper(const struct sandbox *s); /* NULL unless running */
const char *sandbox_home(const struct sandbox *s);             /* the agent's */
const char *sandbox_default_workdir(const struct sandbox *s);  /* first workspace, else home */
/* The base environment of an exec as uid (PATH with the tool's, HOME, USER, git's GIT_CONFIG_*, the
 * sandbox's own env), then EXTRA on top. "K=V" strings, NULL-terminated, freed with strings_free().
 */
int sandbox_environment(const struct sandbox *s, uid_t uid, const struct pairs *extra, char ***ret);
uint32_t sandbox_nproc_limit(const struct sandbox *s); /* 0: the cgroup limits */
/* oom kills so far, from the cgroup's own counter; 0 when there is none. Cheap (one pread). */
uint64_t sandbox_oom_kills(struct sandbox *s);
/* Those since this was asked last. */
uint64_t sandbox_new_oom_kills(struct sandbox *s);
/* Its last command has ended, or it began to run: it is idle from now on. */
void sandbox_note_activity(struct sandbox *s);
/* Notes that an exec ran as another user than the agent (files must be given back at release). */
void sandbox_note_foreign_user(struct sandbox *s);
/* When its init was started, CLOCK_MONOTONIC, or somewhat before; it runs. */
int64_t sandbox_run_since_ms(const struct sandbox *s);

/* What is shown of a sandbox (docs/rpc.md, Sandbox). Strings are owned by the sandbox and live as
 * long as it does; NULL when absent. */
struct sandbox_facts {
	char *id;
	char *name;
	char *tool;
	char *template_name;
	char *cause;
	char *runtime; /* what set it up */
	char *loop_id; /* the loop that owns it */
	uid_t peer;    /* who made it */
	uid_t owner;   /* of its workspaces: whose keeper runs it */
	enum sandbox_state state;
	enum sandbox_launch launch;
	enum network_mode network;
	struct limits_params limits; /* as in force */
	struct workspaces_params workspaces;
	struct pairs env;
	struct pairs labels;
	int64_t created_at_ms;   /* CLOCK_REALTIME */
	int64_t ttl_ms;          /* removed so long after created_at_ms; -1: never */
	int64_t idle_timeout_ms; /* stopped after this time without an exec; -1: never */
	bool remove_on_stop;
	pid_t pid; /* of init as the host sees it; 0: none */
};
const struct sandbox_facts *sandbox_facts(const struct sandbox *s);

bool sandbox_is_hidden(const struct sandbox *s);
/* Nobody's sandbox yet: hidden, and made for the pool. */
bool sandbox_is_spare(const struct sandbox *s);
/* The layers that it stands on, directory names in its owner's templates, topmost first. */
const struct string_list *sandbox_layers(const struct sandbox *s);

/* A sandbox that the daemon makes for itself, for instance to build a tool's layer:
 * sandbox_create() with OWNER's keeper instead of the workspaces' owner, exactly LAYERS below (no
 * template is resolved), and HIDDEN from lists and names of clients (exec_start() works;
 * params->name is not needed). Its owner removes it with sandbox_remove(); the daemon's stop does
 * too. */
struct sandbox_origin {
	uid_t peer; /* on whose behalf: must own the workspaces; it does not count as his */
	uid_t owner;
	struct strings layers;
	bool hidden;
};
int sandbox_create_own(struct manager *m, const struct sandbox_origin *origin,
		       const struct sandbox_create_params *params, sandbox_done *done,
		       void *userdata, struct sandbox **ret, struct error *reterr);
