/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every cap of the project, in one place. Hitting one is an outcome with an error, never a growth.
 * Those that a client can see are in system.info.limits (docs/protocol.md, Limits). Not named
 * limits.h: this folder is on the include path and the C library's <limits.h> would not be found
 * any more. */

/* ---- RPC transport (per connection) ---- */
#define RPC_LINE_MAX (16u * 1024 * 1024)    /* bytes in one request line; longer: skipped, -32600 */
#define RPC_BATCH_MAX 64                    /* calls in one batch */
#define RPC_IN_FLIGHT_MAX 1024              /* requests without an answer yet */
#define RPC_FDS_MAX 64                      /* descriptors waiting in the queue */
#define RPC_NESTING_MAX 32                  /* JSON depth */
#define RPC_VALUES_MAX 262144               /* values in one line: each costs memory */
#define RPC_CONTAINERS_MAX 16384            /* objects and arrays among them: some 700 bytes each */
#define RPC_ID_MAX 128                      /* bytes in a string id */
#define RPC_OUTPUT_HIGH (4u * 1024 * 1024)  /* unsent reply bytes: above it we stop reading */
#define RPC_OUTPUT_LOW (1u * 1024 * 1024)   /* and below it we go on */
#define RPC_OUTPUT_MAX (128u * 1024 * 1024) /* unsent: the client is not reading, it is dropped */
#define RPC_CONNECTIONS_MAX 1024            /* connections to the daemon */
#define RPC_CONNECTIONS_PER_UID_MAX 256     /* of one uid (root: no such limit) */
/* unread and unsent bytes of all connections of one uid (root: no such limit) */
#define RPC_BUFFERED_PER_UID_MAX (256u * 1024 * 1024)
#define CHANNELS_PER_CONNECTION_MAX 16 /* subscriptions */
#define RPC_ACCEPT_RETRY_MS 200        /* listener pause after EMFILE and its kin */

/* ---- values ---- */
#define NAME_LENGTH_MAX 128
#define WORKSPACES_MAX 16
#define LABELS_MAX 64
#define ENV_MAX 4096                       /* variables in one exec */
#define ARGV_MAX 65536                     /* arguments in one exec */
#define EXEC_ARGS_BYTES_MAX (1024u * 1024) /* argv + env, bytes with their NULs */
#define ENV_STRING_MAX (128u * 1024)       /* one "K=V" and its NUL: the kernel's */
#define EXEC_SECRETS_MAX 32                /* secrets[] of one exec */
#define FILES_MAX 64                       /* files[] of one exec; their bytes: within the line */
#define STAGES_MAX 64                      /* profiles in one table */
#define STAGE_WRITABLE_MAX 8               /* directories that one leaves writable */
#define STAGE_TOOLS_MAX 16                 /* tools that one is for */
#define STAGE_PATH_MAX 1024                /* bytes of such a directory's path */
#define LOOP_TOOLS_MAX 16
#define LOOPS_PER_UID_MAX 4096                  /* those destroyed a while ago included */
#define LOOPS_KEPT_MS (24 * 3600 * 1000)        /* [limits] loops_kept */
#define FAILED_LOOPS_KEPT_MS (72 * 3600 * 1000) /* [limits] failed_loops_kept */
#define VERIFICATIONS_MAX 64
#define OUTPUT_CHARS_DEFAULT 50000 /* of each text in a LoopRunResult */
#define OUTPUT_CHARS_MAX 1000000
#define LIST_LIMIT_DEFAULT 200
#define LIST_LIMIT_MAX 1000

/* ---- sandboxes and execs ---- */
#define SANDBOXES_PER_UID_MAX 4096
#define EXECS_RUNNING_PER_SANDBOX_MAX 256
#define EXECS_KEPT_PER_SANDBOX_MAX 1000      /* ended ones that can still be asked for */
#define EXECS_KEPT_MAX 8192                  /* of all: beyond, each sandbox has an equal share */
#define EXECS_KEPT_PER_SANDBOX_MIN 16        /* however many sandboxes there are */
#define EXEC_DRAIN_MS 200                    /* after the leader's end, for output still in pipes */
#define EXEC_GRACE_MS 5000                   /* between TERM and KILL */
#define EXEC_RESULT_BYTES_MAX (1024u * 1024) /* of each stream, in the result */
#define EXEC_SPOOL_BYTES_MAX (64u * 1024 * 1024)   /* default maxOutputBytes, per stream */
#define EXEC_STDIN_PENDING_MAX (16u * 1024 * 1024) /* bytes of exec.write not yet taken */
#define EXEC_READ_BYTES_MAX (1024u * 1024)         /* one exec.read */
#define EXEC_STALL_MS (5 * 60 * 1000)              /* [limits] stall_after */
#define EVENTS_MAX 20000                           /* [limits] events_max: kept of each uid */
#define EVENTS_KEPT_MS (72LL * 3600 * 1000)        /* [limits] events_kept */
#define EVENTS_PENDING_MAX 4096                    /* that wait for the disk; more are lost */
#define EVENT_TYPES_MAX 32                         /* in one subscription */
#define LEASES_PER_UID_MAX 4096                    /* of secrets, those waited for included */
#define LEASES_ASKED_PER_UID_MAX 128 /* calls that wait for the answer of a provider */
#define LEASE_TTL_MIN_MS 1000
/* What limits may be asked for. Below the least nothing starts; above the most the kernel refuses.
 */
#define SANDBOX_MEMORY_MIN (8 * 1024 * 1024)
#define SANDBOX_CPU_MILLI_MIN 10 /* a quota is at least 1 ms of each 100 */
#define SANDBOX_CPU_MILLI_MAX 1000000
#define SANDBOX_PIDS_MIN 4
#define SANDBOX_PIDS_MAX 4194304 /* the kernel's own, PID_MAX_LIMIT */
#define SANDBOX_SHM_MIN 4096     /* a page */
#define SANDBOX_DISK_MIN (1024 * 1024)
#define SANDBOX_PIDS_DEFAULT 4096 /* the pids limit is always on */
#define SANDBOX_SHM_DEFAULT (64u * 1024 * 1024)

/* [limits] pool_memory where it is not configured: a sixteenth of the machine's, at most this */
#define POOL_MEMORY_DEFAULT_MAX (256u * 1024 * 1024)

#define SANDBOX_VIEWS_MAX 8 /* views of stages that are kept for the next command */
/* Its own, the views, and those that execs still run in when theirs is made anew. */
#define SANDBOX_MNT_NAMESPACES_MAX 32

#define JOURNAL_KEYS_MAX 100000 /* idempotency keys that are kept at once */

/* ---- secrets ---- */
#define SECRET_NAME_MAX 64 /* bytes */
#define SECRET_VALUE_MAX (1024 * 1024)
#define SECRET_INPUTS_PER_UID_MAX 32     /* values that come through pipes at once */
#define SECRET_INPUT_SECONDS 10          /* that a value may take to come through a pipe */
#define AUDIT_ENTRIES_PER_UID_MAX 100000 /* at once, of 700,000 kept; one more each second */
#define VAULT_SECRETS_PER_UID_MAX 256
#define VAULT_BYTES_PER_UID_MAX (4u * 1024 * 1024)
#define VAULT_BYTES_MAX (32u * 1024 * 1024) /* of all users */

/* ---- processes of ours ---- */
#define KEEPER_IDLE_MS 60000              /* a keeper without sandboxes ends after this */
#define SANDBOX_LIFE_MIN_MS 1000          /* of ttlMs and idleTimeoutMs */
#define SANDBOX_LIFE_MAX_MS 31622400000LL /* 366 days */
#define KEEPER_CREATE_TIMEOUT_MS 30000    /* the runtime did not answer; [runtime crun] timeout */
#define KEEPER_CREATE_TIMEOUT_MAX_MS 3600000
#define KEEPER_SLACK_MS 5000 /* on top, before who does not answer is killed */
#define ORPHAN_MS                                                                                  \
	(60 * 60 * 1000) /* [daemon] orphan_timeout: sandboxes without a daemon end then */
#define ORPHAN_MIN_MS 1000
#define RETURN_MS 60000      /* an exec's client is back this long after a restart, or is no more */
#define INIT_ORPHAN_MS 10000 /* init without a controller ends its sandbox after this */
#define INIT_SLOW_MS 1000    /* init did not start a command: the keeper has a look */
#define INIT_START_MS 30000  /* init did not start a command: its sandbox is given up */
#define INIT_EXECS_MAX 512   /* execs that init can remember at once */
