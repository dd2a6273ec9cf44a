/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Everything the daemon has, in one object that handlers get as userdata (struct manager *).
 * main.c makes it; each module below owns its own table in it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "error.h"
#include "macro.h"
#include "params.h"
#include "util/unit.h"

struct activity; /* exec-activity.c */
struct audit;    /* secret/audit.c */
struct cgroups;
struct config;
struct env_secrets; /* secret/provider-env.c */
struct event_base;
struct event_log;  /* event-log.c */
struct exec_table; /* exec.c */
struct exec;
struct home_cache;    /* sandbox-home.c */
struct journal;       /* journal.c */
struct keeper_client; /* keeper-client.c */
struct keeper_table;  /* keeper-client.c */
struct lease_table;   /* secret/lease.c */
struct login_table;   /* secret/login.c */
struct loop_table;    /* loop/loop.c */
struct pool_table;    /* pool.c */
struct provider_pending;
struct manager;
struct sandbox;
struct secret_input;
struct sandbox_table;       /* sandbox.c */
struct pool_settings_table; /* pool-settings.c */
struct server;
struct store;
struct string_list;
struct template_table; /* template.c */
struct vault;          /* secret/vault.c */
struct workspace_policy;

#define INSTANCE_ID_SIZE 9 /* 8 characters and NUL */

struct manager {
	struct event_base *base;
	const struct config *config;
	struct store *store;
	struct event_log *events;
	struct activity *activity;
	struct sandbox_table *sandboxes;
	struct keeper_table *keepers;
	struct exec_table *execs;
	struct home_cache *homes;
	struct loop_table *loops;
	struct lease_table *leases;
	struct login_table *logins;
	struct env_secrets *env_secrets;
	struct pool_table *pools;
	struct template_table *templates;
	struct pool_settings_table *pool_settings;
	struct journal *journal;
	struct audit *audit;
	struct vault *vault;
	struct cgroups *cgroups;
	struct provider_pending *agent_secrets;  /* revocations under way */
	LIST_HEAD(, secret_input) secret_inputs; /* api/secret-input.c */
	unsigned provider_commands;              /* under way: secret/run.c */
	unsigned provider_writes;                /* files being replaced: secret/provider-file.c */
	struct server *server;
	char instance[INSTANCE_ID_SIZE]; /* of the state dir; in every cgroup and directory name */
	uid_t uid;                       /* whose daemon this is; 0: the system daemon */
	bool is_root;
	enum unit_manager units; /* who starts keepers as services; none: we start them */
	bool stopping;           /* a clean stop is under way: nothing new is begun */
	bool leaving;            /* its end: sandboxes and keepers live on */
	bool same_boot;          /* the last daemon ran since the machine was started */
	int64_t stop_at_ms;      /* when it began, CLOCK_MONOTONIC */
	int64_t started_at_ms;   /* CLOCK_MONOTONIC */
	bool project_quota;      /* disk-quota.c */
	unsigned disk_looks;     /* under way: disk-watch.c */
	int state_fd;            /* the state directory, O_PATH */
	int runtime_fd;          /* the runtime directory */
	struct own_places {      /* canonical, for no workspace may hold one or be in one */
		char *state;
		char *runtime;
		char *config;
	} places;
	const char *libexec_dir;
	/* The result of an exec that has ended as the api shows it, to be kept with its key; NULL:
	 * no memory. Set by whoever wires us. */
	char *(*describe_result)(const struct exec *e);
};

/* M is zeroed by the caller and has base, config, store, server's fields unset. Fills the rest in:
 * tables, instance id, cgroups; loads what the last run left and sweeps it. Returns 0 or negative
 * errno. */
int manager_init(struct manager *m);
/* True while what an earlier daemon left is being taken over, or what it had half made removed:
 * clients are better not let in. */
bool manager_is_adopting(const struct manager *m);
/* It is, or was given up: what nobody has taken over of cgroups and runtime directories goes. */
void manager_adopted(struct manager *m);
/* Undoes it; what is to be stopped must be before. */
void manager_deinit(struct manager *m);

/* Begins a clean stop, or goes on with it: what was begun is finished; with [daemon] on_stop = stop
 * all sandboxes are stopped (cause daemon_stopped, files stay), else those that run, and their
 * keepers, are left to the next daemon. True while something is still to be waited for; call again.
 */
bool manager_stop(struct manager *m);

/* The keeper of workspace owner OWNER, started when there is none. Returns 0 and calls DONE later
 * (never from inside the call; K NULL: E says why, the callee keeps E), or -1 with *RETERR. K stays
 * valid until it dies (its pending calls get -ECONNRESET); do not keep it longer than that. */
typedef void manager_keeper_done(struct keeper_client *k, struct error *e, void *userdata);
int manager_keeper(struct manager *m, uid_t owner, manager_keeper_done *done, void *userdata,
		   struct error *reterr);

/* Calls FN for every sandbox in order of creation until it returns false. FN must not free any. */
void manager_each_sandbox(struct manager *m, bool (*fn)(struct sandbox *s, void *userdata),
			  void *userdata);
/* The same for those made after AFTER. */
void manager_each_sandbox_after(struct sandbox *after,
				bool (*fn)(struct sandbox *s, void *userdata), void *userdata);
size_t manager_sandbox_count(const struct manager *m);

/* How a workspace of PEER's is judged; ignore_git is unset. Borrows M's strings. */
struct workspace_policy manager_workspace_policy(const struct manager *m, uid_t peer);

/* ---- Templates, as sandbox.c needs them: implemented by template.c ---- */

/* Made and freed by template.c; valid only during the callback. */
struct template_resolved {
	const char *name;      /* Sandbox.template */
	struct strings layers; /* directory names in <owner>/templates, topmost first; none: host */
};

struct template_query {
	uid_t peer;
	uid_t owner;               /* whose keeper and templates directory */
	const char *tool;          /* NULL, "shell", "claude", "claude@2.1.42" */
	const char *template_name; /* NULL: the tool's own; "host" */
};

/* Finds the layers, building the tool's first where it does not exist yet. Unknown tool or
 * template: -1 with *RETERR at once. Else 0, and DONE is called once, later (T NULL: E says why).
 * PROGRESS may be NULL; it is called with a sentence while a build runs. The query's strings are
 * copied. */
typedef void template_resolve_done(const struct template_resolved *t, struct error *e,
				   void *userdata);
typedef void template_progress(const char *message, void *userdata);
int template_resolve(struct manager *m, const struct template_query *query,
		     template_resolve_done *done, template_progress *progress, void *userdata,
		     struct error *reterr);
/* What template_resolve() would answer, if that is known at once: true, with name and layers, which
 * the caller frees. Else false, and nothing was begun. */
bool template_peek(struct manager *m, const struct template_query *query, char **ret_name,
		   struct string_list *ret_layers);
/* Removes the layers of removed templates whose last user is gone, later. Something that stood on
 * one is gone; the start counts, too. */
void template_sweep(struct manager *m);
/* The tool that a sandbox made from TEMPLATE_NAME has if no other is named; NULL: none. Borrowed.
 */
const char *template_tool(const struct manager *m, uid_t owner, const char *template_name);
int template_table_new(struct manager *m, struct template_table **ret);
void template_table_free(struct template_table *t);

/* ---- implemented by sandbox-home.c ---- */
int home_cache_new(struct home_cache **ret);
void home_cache_free(struct home_cache *c);

/* ---- implemented by exec.c ---- */
int exec_table_new(struct manager *m, struct exec_table **ret); /* loads what can be found again */
void exec_table_free(struct exec_table *t);

/* ---- implemented by loop/loop.c ---- */
int loop_table_new(struct manager *m, struct loop_table **ret); /* loads what can be found again */
void loop_table_free(struct loop_table *t);
