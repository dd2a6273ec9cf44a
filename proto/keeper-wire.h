/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sandboxd <-> sandbox-keeper: the closed list of what sandboxd may ask of the process that holds
 * the namespaces of one workspace owner. Every request is answered by a reply of the same type and
 * serial, in any order; events have serial 0.
 *
 * Ids in this protocol: "keeper ids" are ids inside the keeper's user namespace:
 *   0        the owner (mode shifted: stands for the owner through idmapped workspaces)
 *   1..1000  a sandbox's uids 0..999          (sandbox root is keeper 1)
 *   0        a sandbox's uid 1000, the agent
 *   1001..   a sandbox's uids 1001.. unchanged
 *   65535    in no sandbox: owns the init binary and the cgroup files
 * With a single mapped id (no subordinate ids) there is only 0. */

#include "wire.h"

#define KEEPER_WIRE_VERSION 1

#define KEEPER_LOWERS_MAX 8
#define KEEPER_ROOTS_MAX 48
#define KEEPER_MOUNTS_MAX 192
#define KEEPER_CGROUPS_MAX 8
#define KEEPER_VIEW_WRITABLE_MAX 8

/* Ids in a keeper's user namespace: who the agent and root of its sandboxes are there, and one that
 * is in no sandbox. */
#define KEEPER_ID_AGENT 0
#define KEEPER_ID_ROOT 1
#define KEEPER_ID_FENCE 65535
#define SANDBOX_ID_AGENT 1000 /* the agent, uid and gid, as a sandbox sees it */

enum keeper_message_type {
	KEEPER_HELLO = 1,
	KEEPER_CREATE,
	KEEPER_CLAIM,
	KEEPER_KILL,
	KEEPER_REMOVE,
	KEEPER_STATS,
	KEEPER_SPOOL_OPEN,
	KEEPER_SPOOL_FINISH,
	KEEPER_SPOOL_REMOVE,
	KEEPER_LAYER_SAVE,
	KEEPER_LAYER_REMOVE,
	KEEPER_SHUTDOWN, /* header only: kill all, end */
	/* events */
	KEEPER_ENDED,
	KEEPER_SPOOL_DATA,
	/* a request again */
	KEEPER_SPOOL_HOLD,
	KEEPER_FREEZE,
	KEEPER_THAW,
	KEEPER_VIEW,
	KEEPER_LAYER_COPY,
	KEEPER_ROOT_BUILD,
	KEEPER_NUDGE,
	KEEPER_LIST, /* header only */
	KEEPER_ADOPT,
	KEEPER_SPOOL_ADOPT,
	KEEPER_SPOOL_DROP_STDIN,
	KEEPER_SPOOL_MASK,
	KEEPER_RECALL,
};

/* How the owner's ids are mapped; keeper command line --map. */
enum keeper_map {
	KEEPER_MAP_OWNER,   /* 0 -> owner, 1.. -> subordinate */
	KEEPER_MAP_SHIFTED, /* all subordinate; owner is host uid 0 */
	KEEPER_MAP_SINGLE,  /* 0 -> owner and nothing else */
};

/* One cgroup hierarchy in which the keeper may make directories. fds[fd] is the directory. */
struct keeper_cgroup {
	uint32_t fd;
	uint32_t controllers; /* enum keeper_controller bits that this hierarchy has */
	uint32_t version;     /* 1 or 2 */
	uint32_t reserved;
};

enum keeper_controller {
	KEEPER_CONTROLLER_MEMORY = 1 << 0,
	KEEPER_CONTROLLER_CPU = 1 << 1,
	KEEPER_CONTROLLER_PIDS = 1 << 2,
	KEEPER_CONTROLLER_FREEZER = 1 << 3,
	KEEPER_CONTROLLER_CPUACCT = 1 << 4,
};

/* First request on a connection. A keeper listens on its named socket for as long as it lives and
 * talks to who connected last; what earlier ones asked is not answered to the new one. Requests of
 * a later daemon may have any serial below KEEPER_SERIAL_END. It sends HELLO again with the same
 * instance (else -EEXIST); the new seccomp program and init are for sandboxes made from then on.
 * Reply: struct keeper_hello_reply.
 * fds: [0] the seccomp program (memfd), [1] the owner's state directory: a detached mount when the
 * daemon is root (its path may not be searchable for the owner), else an O_PATH directory; then
 * cgroups. */
struct keeper_hello {
	struct wire_header header;
	struct wire_str instance; /* instance id: in every cgroup, container and directory name */
	struct wire_str init;     /* absolute path of sandbox-init */
	uint32_t state_is_mount;
	uint32_t n_cgroups;
	struct keeper_cgroup cgroups[KEEPER_CGROUPS_MAX];
	/* how long its sandboxes and execs live on without a connection; then all is killed and it
	 * ends. 0: not at all. Without any it ends at once */
	uint64_t orphan_ms;
};

#define KEEPER_SERIAL_END (UINT64_C(1) << 48)

struct keeper_hello_reply {
	struct wire_header header;
	uint64_t unused[2];   /* older keepers say something here */
	uint32_t controllers; /* enum keeper_controller bits that really work */
	uint32_t reserved;
	struct wire_str reason; /* on error */
};

struct keeper_limits { /* 0: no limit */
	uint64_t memory_bytes;
	uint64_t shm_bytes;
	uint32_t cpu_milli;
	uint32_t pids;
};

/* What sets a sandbox up. */
enum keeper_runtime {
	KEEPER_RUNTIME_CRUN,
	KEEPER_RUNTIME_RUNC,
	KEEPER_RUNTIME_RUNSC,
	KEEPER_RUNTIME_HOST, /* nothing: a process on the host */
};

enum keeper_create_flags {
	KEEPER_CREATE_NETWORK_HOST = 1 << 0,
	KEEPER_CREATE_REUSE = 1 << 1,   /* upper/<id> exists (start of a stopped sandbox) */
	KEEPER_CREATE_DISCARD = 1 << 2, /* on failure also remove upper/<id> */
};

/* Makes a sandbox without identity and answers when its init is fenced and listens.
 * fds: [0] the listening socket for init. Reply: struct keeper_create_reply, fds [0] a file with
 * the cgroup's oom counter (absent without memory controller), and for RUNSC, which does not use
 * the listening socket, the connection to init. On error nothing is left behind, and
 * reason (a sentence, from the runtime where it said something) is set. */
struct keeper_create {
	struct wire_header header;
	struct wire_str id; /* sandbox id */
	uint32_t flags;
	uint32_t n_lowers;
	uint32_t timeout_ms;     /* how long the runtime may take */
	uint32_t runtime;        /* enum keeper_runtime */
	struct wire_str program; /* absolute path of the runtime's binary; none for HOST */
	struct keeper_limits limits;
	/* read-only layers below the writable one, topmost first: names in <state>/templates; the
	 * host template's skeleton is always the lowest and not listed */
	struct wire_str lowers[KEEPER_LOWERS_MAX];
};

/* What a create goes through in the keeper, in this order. */
enum keeper_step {
	KEEPER_STEP_RECEIVED,
	KEEPER_STEP_CGROUP,
	KEEPER_STEP_WORKER, /* runs */
	KEEPER_STEP_UPPER,
	KEEPER_STEP_ROOT,
	KEEPER_STEP_BUNDLE,
	KEEPER_STEP_RUNTIME, /* has ended */
	KEEPER_STEP_INIT,    /* is ready */
	KEEPER_STEP_FENCED,
	KEEPER_STEP_MAX
};

struct keeper_create_reply {
	struct wire_header header;
	struct wire_str reason;
	int32_t pid;             /* of init, as the host sees it; RUNSC: of gVisor's kernel */
	uint32_t memory_version; /* 1 or 2: how to read the oom counter; 0: none */
	int32_t init_fd;         /* its index; -1: init listens */
	uint32_t reserved;
	/* when each step was done, CLOCK_MONOTONIC in us; 0: this kind of runtime has none */
	int64_t step_us[KEEPER_STEP_MAX];
};

/* A directory (or file) of the owner's from which mounts are taken.
 * fd >= 0: fds[fd] is a detached (idmapped) mount of it, made by the root daemon. Else the keeper
 * opens path itself, without following symlinks, and compares dev and ino: else -ESTALE. */
struct keeper_root {
	struct wire_str path;
	int32_t fd;
	uint32_t optional; /* what cannot be opened is left out, with its mounts */
	uint64_t dev;
	uint64_t ino;
};

enum keeper_mount_flags {
	KEEPER_MOUNT_READONLY = 1 << 0,
	KEEPER_MOUNT_MAKE_FILE =
		1 << 1, /* make source as a file with `content` if absent, owned by the
			 * owner; unmade at release if it still holds just that */
	KEEPER_MOUNT_MAKE_DIR = 1 << 2, /* make source as an empty directory if absent (kept) */
	KEEPER_MOUNT_OPTIONAL = 1 << 3, /* absent: skip */
	KEEPER_MOUNT_EMPTY = 1 << 4,    /* not source: an empty read-only directory covers target */
	KEEPER_MOUNT_ONLY_MAKE = 1 << 5, /* make it, but mount nothing */
	/* A workspace: nested .git that were made or steered inside are renamed at release. */
	KEEPER_MOUNT_QUARANTINE = 1 << 6,
	KEEPER_MOUNT_NO_GIT = 1 << 7, /* with it: its own .git, too, for it had none */
	/* A part of a repository: symbolic links that were made inside are removed at release, for
	 * the host's git would write through them. */
	KEEPER_MOUNT_NO_LINKS = 1 << 8,
	/* Not a source, and no root: a file system in memory, empty, which is the agent's. What is
	 * to be mounted below its target comes later. */
	KEEPER_MOUNT_MEMORY = 1 << 9,
};

/* Mounts, in order: roots[root]/source (beneath it, no symlinks; "" is the root itself) appears at
 * target, absolute in the sandbox. nosuid, nodev always. */
struct keeper_mount {
	uint32_t root;
	uint32_t flags;
	struct wire_str source;
	struct wire_str target;
	struct wire_str content; /* MAKE_FILE */
};

enum keeper_claim_flags {
	/* Nothing runs: what an earlier keeper's claim of it left outside is undone as KILL would
	 * have, and its cgroups are removed. The mounts say where to look. */
	KEEPER_CLAIM_UNDO = 1 << 0,
	KEEPER_CLAIM_GIVE_BACK = 1 << 1, /* with it: as in struct keeper_end */
	/* A runtime that nothing can enter afterwards: CREATE follows, and takes mounts and host
	 * name from here. KILL and REMOVE take it back. */
	KEEPER_CLAIM_BEFORE = 1 << 2,
};

/* Gives a created sandbox its identity. Reply: header, with reason. All or nothing is not promised:
 * after an error the daemon kills the sandbox. */
struct keeper_claim {
	struct wire_header header;
	struct wire_str id;
	uint32_t flags;
	uint32_t reserved;
	struct wire_str hostname;
	struct wire_str git_config; /* added to the sandbox's own /etc/gitconfig; may be absent */
	/* instead of create's: what differs is written into the cgroup, /dev/shm is resized */
	struct keeper_limits limits;
	uint32_t n_roots;
	uint32_t n_mounts;
	struct keeper_root roots[KEEPER_ROOTS_MAX];
	struct keeper_mount mounts[KEEPER_MOUNTS_MAX];
};

/* RECALL: a struct keeper_claim of a running sandbox that was taken over from a keeper which has
 * died. Nothing is mounted or made: what the CLAIM did outside is found by its record, and undone
 * by this keeper from now on; what VIEW needs to know is looked up inside. -EEXIST: it knows all
 * that. Reply: with reason. */

struct keeper_reason_reply { /* CLAIM, RECALL, LAYER_SAVE, VIEW */
	struct wire_header header;
	struct wire_str reason;
};

/* KILL: SIGKILL to init; answered when it is reaped, cgroups are removed and worktree locks
 * released; upper stays. KEEPER_ENDED is not sent for it. -ESRCH: not running (also fine).
 * give_back: files of subordinate ids in the workspaces go back to the owner first (an exec ran as
 * another user than the agent). REMOVE: the same, and upper goes to trash, emptied in the
 * background. */
struct keeper_end {
	struct wire_header header;
	struct wire_str id;
	uint32_t give_back;
	uint32_t reserved;
};

struct keeper_counters {
	uint64_t memory_bytes;
	uint64_t memory_peak_bytes;
	uint64_t cpu_usec;
	uint64_t oom_kills;
	uint64_t pids;
	uint64_t pids_max_events;
};

struct keeper_counters_reply { /* KILL, REMOVE */
	struct wire_header header;
	struct keeper_counters counters;
};

/* An init ended by itself (or was killed by someone). Everything of it is cleaned up but upper. */
struct keeper_ended {
	struct wire_header header;
	struct wire_str id;
	int32_t exit_code;
	int32_t signal;
	struct keeper_counters counters;
};

/* LIST: what the keeper has: sandboxes, also those that have ended since a daemon was told of them
 * (ADOPT tells how), and open spools. Their names lie behind the struct, each with its NUL, first
 * n_sandboxes ids, then n_spools execs. truncated: there are more than fit. */
struct keeper_list_reply {
	struct wire_header header;
	uint32_t n_sandboxes;
	uint32_t n_spools;
	uint32_t truncated;
	uint32_t names_offset;
	uint64_t names_size;
};

/* A daemon that came back takes a sandbox over that an earlier one made. -ESRCH: the keeper does
 * not know it (any more: one that was killed or removed is forgotten). fds of the request: none, or
 * [0] a pidfd of its init, which the keeper takes over when it does not know the sandbox: that of a
 * keeper that died, whose user namespace it has joined (--join). What that one had claimed is told
 * by RECALL; and how its init ends is not known. */
struct keeper_adopt {
	struct wire_header header;
	struct wire_str id;
	uint32_t runtime; /* enum keeper_runtime, and limits: for one that it does not know */
	uint32_t reserved;
	struct keeper_limits limits;
};

enum keeper_adopt_flags {
	KEEPER_ADOPT_CLAIMED = 1 << 0,
	KEEPER_ADOPT_FROZEN = 1 << 1, /* by FREEZE */
	KEEPER_ADOPT_ENDED = 1 << 2,  /* its init has; it is forgotten now */
	KEEPER_ADOPT_ENDING = 1 << 3, /* it is being killed or made: KILL or REMOVE waits for it */
};

/* fds: [0] the oom counter, unless memory_version is 0 or it has ended. */
struct keeper_adopt_reply {
	struct wire_header header;
	int32_t pid; /* as in struct keeper_create_reply */
	uint32_t memory_version;
	uint32_t flags;    /* enum keeper_adopt_flags */
	int32_t exit_code; /* these three as in struct keeper_ended */
	int32_t signal;
	uint32_t reserved;
	struct keeper_counters counters;
};

/* NUDGE has a struct keeper_end as request too: init does not start what it was asked to, and what
 * it is starting may have been stopped by the agent. It is let go on. Header only. */

/* FREEZE and THAW also have a struct keeper_end as request (give_back does not count). FREEZE: the
 * reply, header only, comes when all of the sandbox stands still, its init too, or after
 * KEEPER_FREEZE_MAX_MS with -ETIMEDOUT and it runs on. -EOPNOTSUPP: there is no writable freezer
 * (no KEEPER_CONTROLLER_FREEZER in HELLO's reply). -ESRCH: it does not run. Whoever kills a frozen
 * sandbox need not thaw it. */
#define KEEPER_FREEZE_MAX_MS 2000

enum keeper_spool_stream {
	KEEPER_STREAM_STDOUT,
	KEEPER_STREAM_STDERR,
	KEEPER_STREAM_OUTPUT,
	KEEPER_STREAM_MAX
};

/* Starts spooling for an exec. The keeper makes a pipe for each stream in `streams` (bits 1 <<
 * stream), owned by keeper id `uid`, and answers with the write ends in stream order. With pty,
 * fds[0] of the request is a pty master, streams is 1 << OUTPUT, and no fd is answered. With
 * keep_stdin, fds[0] is the write end of the command's stdin: a copy that the keeper holds for a
 * daemon that comes back, until DROP_STDIN, FINISH or REMOVE; streams may be 0 then. The file
 * <state>/spool/<exec>.<stdout|stderr|output> is made at the first byte. Beyond max_bytes the
 * oldest bytes are punched out; offsets stay.
 *
 * With has_masks, the last fd is a memfd, sealed against everything: what the files must not hold,
 * KEEPER_MASKS_SIZE_MAX bytes at most: again and again a uint32_t, KEEPER_MASK_MIN to
 * KEEPER_MASK_MAX, and so many bytes, unaligned. Each of these is stars in the file. */
#define KEEPER_MASK_MIN 8
#define KEEPER_MASK_MAX 4096
#define KEEPER_MASKS_SIZE_MAX (64 * 1024 * 1024)

struct keeper_spool_open {
	struct wire_header header;
	struct wire_str exec;
	uint32_t streams;
	uint32_t uid; /* keeper id */
	uint32_t pty;
	uint32_t keep_stdin;
	uint64_t max_bytes;
	uint32_t has_masks; /* for all spools of the sandbox, as with MASK */
	uint32_t reserved;
	struct wire_str sandbox;
};

/* Reads what is still coming until every pipe is at its end or wait_ms went by, closes, and answers
 * with the final state. remove: forget the files too. */
struct keeper_spool_finish {
	struct wire_header header;
	struct wire_str exec;
	uint32_t wait_ms;
	uint32_t remove;
};

struct keeper_stream_state {
	uint64_t end;   /* bytes ever written */
	uint64_t start; /* oldest byte still there */
	uint32_t eof;
	int32_t error; /* negative errno when appending failed (-ENOSPC, -EDQUOT: the producer is
			  blocked) */
};

struct keeper_spool_finish_reply {
	struct wire_header header;
	struct keeper_stream_state streams[KEEPER_STREAM_MAX];
};

/* There is more, or a stream ended. At most one is under way per exec and direction: the next is
 * sent when something changed after it. */
struct keeper_spool_data {
	struct wire_header header;
	struct wire_str exec;
	struct keeper_stream_state streams[KEEPER_STREAM_MAX];
};

/* Someone reads along and must miss nothing: bytes from offset[stream] on are not punched out. When
 * max_bytes of them are there, the producer waits until the offset moves. KEEPER_HOLD_NONE: nobody
 * does any more; FINISH ends it too. Reply: header. */
#define KEEPER_HOLD_NONE UINT64_MAX

struct keeper_spool_hold {
	struct wire_header header;
	struct wire_str exec;
	uint64_t offset[KEEPER_STREAM_MAX];
};

/* ADOPT: for a daemon that came back. -ENOENT: there is none. fds, in this order, those that are
 * there: the write end of stdin, the pty master. A HOLD stays as it was. */
struct keeper_spool_adopt_reply {
	struct wire_header header;
	struct keeper_stream_state streams[KEEPER_STREAM_MAX];
	uint32_t has_stdin;
	uint32_t has_pty;
};

/* There is more that no spool of a sandbox must hold, until it has none. fds: [0] as with
 * has_masks. When it is answered all that comes is looked at. reply: header. */
struct keeper_spool_mask {
	struct wire_header header;
	struct wire_str sandbox;
	uint32_t stays; /* it is for one without a spool: until the sandbox ends */
	uint32_t reserved;
};

struct keeper_spool_ref { /* SPOOL_REMOVE, SPOOL_DROP_STDIN; reply: header. SPOOL_ADOPT */
	struct wire_header header;
	struct wire_str exec;
};

/* SAVE: the (stopped) sandbox's changes become <state>/templates/<layer>, atomically; work files,
 * /tmp and run are left out. The sandbox's upper is used up. COPY: the same, but a copy: the
 * sandbox keeps its changes, and may run, but is better held still. Nothing is left behind on
 * failure; -ENOSPC, -EDQUOT: the disk is full. REMOVE: the layer goes to trash. Reply: reason. */
struct keeper_layer {
	struct wire_header header;
	struct wire_str id; /* SAVE, COPY: sandbox id */
	struct wire_str layer;
};

/* Makes a whole root file system of Debian (debian.h) as a layer, with a sandbox's ids. Its name
 * ends in KEEPER_ROOT_SUFFIX: where such a layer is the lowest, there is no skeleton below it and
 * nothing of the host's is bound over it. fds: [0] a pipe that gets what the recipe prints; when
 * nobody reads it any more, the build is given up (-ECANCELED). Environment: "K=V", the first
 * n_env. Nothing is left behind on failure; -EOPNOTSUPP: there is but one id. Reply: struct
 * keeper_layer_reply. */
#define KEEPER_ROOT_SUFFIX ".root"
#define KEEPER_ROOT_ENV_MAX 16
#define KEEPER_ROOT_BUILD_MS (30 * 60 * 1000)

struct keeper_root_build {
	struct wire_header header;
	struct wire_str layer;
	struct wire_str suite;
	uint32_t n_env;
	uint32_t reserved;
	struct wire_str env[KEEPER_ROOT_ENV_MAX];
};

struct keeper_layer_reply { /* all three */
	struct wire_header header;
	struct wire_str reason;
	uint64_t size_bytes;
};

enum keeper_view_flags {
	KEEPER_VIEW_READ_ONLY = 1 << 0,  /* what is not the sandbox's own, but for `writable` */
	KEEPER_VIEW_NO_NETWORK = 1 << 1, /* a network with nothing but lo */
};

/* Makes namespaces for commands that may do less than the sandbox. `writable` are directories of
 * the workspace `base`, relative, made when they are missing. Reply: struct keeper_reason_reply;
 * fds: the mount namespace (READ_ONLY), the network namespace (NO_NETWORK). -EROFS: base is not
 * writable; -ENOTDIR, -ELOOP: what is there is no directory. */
struct keeper_view {
	struct wire_header header;
	struct wire_str id;
	uint32_t flags;
	uint32_t n_writable;
	struct wire_str base;
	struct wire_str writable[KEEPER_VIEW_WRITABLE_MAX];
};

/* STATS: what a sandbox uses, running or not. What its cgroup does not know is summed up over its
 * processes, which takes a moment, as does KEEPER_STATS_DISK: at most KEEPER_STATS_MAX_MS, then
 * that is missing. -EBUSY: KEEPER_STATS_AT_ONCE of them are under way. */
#define KEEPER_STATS_MAX_MS 60000
#define KEEPER_STATS_AT_ONCE 8

enum keeper_stats_flags {
	KEEPER_STATS_DISK = 1 << 0, /* what it wrote outside its workspaces, too */
};

struct keeper_stats {
	struct wire_header header;
	struct wire_str id; /* empty: disk space of all sandboxes of this owner */
	uint32_t flags;
	uint32_t reserved;
};

/* Which numbers are there; the others are 0. */
enum keeper_known {
	KEEPER_KNOWN_MEMORY = 1 << 0,
	KEEPER_KNOWN_MEMORY_PEAK = 1 << 1,
	KEEPER_KNOWN_CPU = 1 << 2,
	KEEPER_KNOWN_PIDS = 1 << 3,
	KEEPER_KNOWN_OOM_KILLS = 1 << 4,
	KEEPER_KNOWN_DISK = 1 << 5,
};

struct keeper_stats_reply {
	struct wire_header header;
	struct keeper_counters counters;
	uint32_t known;
	uint32_t reserved;
	uint64_t disk_bytes;
	uint64_t spool_bytes; /* these two for all only */
	uint64_t trash_bytes;
};
