/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The daemon's configuration: defaults, sandboxd.conf, drop-ins. Read at start, and as a whole
 * again when asked to (reload.h): so it has references, and nobody but a holder of one keeps a
 * pointer into it over a turn of the event loop. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macro.h"
#include "params.h"
#include "sandbox/config-secret.h"
#include "sandbox/runtime.h"
#include "util/log.h"

struct stages;
struct tool_profile;

#define CONFIG_RUNTIME_DEFAULT "crun"
#define SPOOL_MAX_DEFAULT UINT64_MAX /* exec-budget.h says how much */

/* One runtime: built in, or from a [runtime NAME] section. */
struct config_runtime {
	char *name;
	enum runtime_type type;
	char *path; /* NULL: looked up in PATH by the name of its type */
	int64_t timeout_ms;
	char *file; /* where its section begins; NULL: nowhere */
	unsigned line;
	struct config_runtime *next;
};

/* A [pool NAME]: how many spares of a template are kept. */
struct config_pool {
	char *name;
	uint32_t min;
	uint32_t max;
	int64_t max_age_ms; /* -1: never */
	char *file;         /* where the last of its keys is */
	unsigned line;
	struct config_pool *next;
};

/* All strings are owned and never NULL unless said. */
struct config {
	char *state_dir; /* NULL: no HOME, and nobody said */
	char *runtime_dir;
	char *config_dir;
	char *file;                      /* that was asked for; NULL: the standard one */
	char *libexec_dir;               /* NULL: beside the binary or where it was installed */
	char *socket_group;              /* of the system daemon's socket */
	char *runtime;                   /* [daemon] runtime: the default, one of runtimes */
	struct config_runtime *runtimes; /* built-in ones first */
	char *seccomp_profile;           /* NULL: containers-common's */
	enum log_level log_level;
	bool durable;                /* [daemon] durable = full */
	bool git_identity;           /* owners' user.name and user.email are git's inside */
	bool allow_host;             /* runtime `host` may be asked for */
	bool stop_sandboxes;         /* [daemon] on_stop = stop */
	int64_t orphan_ms;           /* how long sandboxes live on without a daemon; > 0 */
	struct limits_params limits; /* where a create does not say; 0: none */
	int64_t ttl_ms;              /* the same; -1: none */
	int64_t idle_timeout_ms;
	uint64_t sandboxes_per_uid;
	uint64_t min_free;      /* of the state directory's file system; SPACE_FLOOR_DEFAULT */
	uint64_t spool_max;     /* of all execs together; 0: no limit */
	int64_t stall_after_ms; /* of a command that does nothing; 0: never told */
	uint64_t events_max;    /* kept of each uid */
	int64_t events_kept_ms;
	int64_t loops_kept_ms;        /* cancelled until swept, receipts until forgotten */
	int64_t failed_loops_kept_ms; /* the same of a loop that failed */
	enum network_mode network_default;
	struct tool_profile *tools; /* the built-in ones first; tool.h finds one */
	struct stages *stages;      /* the built-in ones, as [stage NAME] changes them */
	struct config_pool *pools;  /* [pool NAME], as the files have them */
	struct config_secrets secrets;
	uint64_t pool_memory_bytes; /* of all spares together; 0: there are none */
	unsigned problems;          /* unknown keys, bad values: all were logged with file:line */
	char *first_problem;        /* "FILE:LINE: what"; NULL: none */
	unsigned refs;
};

/* Defaults for a daemon of UID. Returns 0 or negative errno. */
int config_new(struct config **ret, uid_t uid);
/* Reads FILE (NULL: the default place, where absence is fine) and its drop-ins
 * FILE.d/<*.conf>, in name order. What is wrong is logged and counted in problems, and the
 * default stays. Returns 0 or negative errno (a given FILE that cannot be read). */
int config_load(struct config *c, const char *file);
struct config *config_ref(const struct config *c);
void config_unref(struct config *c); /* NULL is fine */
DEFINE_CLEANUP(struct config *, config_unref);

/* The runtime NAME or NULL. */
const struct config_runtime *config_runtime(const struct config *c, const char *name);
/* How many spares of all templates fit into pool_memory. */
uint32_t config_pool_room(const struct config *c);

/* For config_new(): the built-in ones. Returns 0 or -ENOMEM. */
int config_add_runtimes(struct config *c);
int config_add_secrets(struct config *c);
int config_parse_level(const char *text, enum log_level *ret);
/* From the command line: an absolute path, or one below the working directory. Logged. */
int config_set_dir(char **field, const char *option, const char *path);
