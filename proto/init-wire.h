/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sandboxd <-> sandbox-init.
 *
 * init listens on fd INIT_FD_SOCKET (bound on the host side, so nobody inside can reach it), loads
 * the seccomp filter from INIT_FD_SECCOMP (raw struct sock_filter array; empty = none), writes one
 * byte to INIT_FD_READY when it listens and is fenced, and closes it. It accepts up to
 * INIT_CONNECTIONS_MAX connections. Where descriptors cannot be inherited (gVisor) it connects
 * itself, once, and answers there what it is asked; descriptors can come in but not go out. The one
 * that sent INIT_HELLO last is the controller: exec requests come from it and events go to it. Any
 * connection may ask INIT_LISTEN. Who sends anything malformed, asks what only the controller may,
 * or does not read, loses its connection.
 *
 * An exec is numbered by sandboxd (never reused in a sandbox's life). Its end is told as
 * INIT_EXITED and remembered until INIT_ACK, so that a sandboxd that comes back still learns it.
 *
 * Who belongs to an exec: init gives each its own UTS namespace. Every descendant inherits it and
 * nobody but init may make or join one (that takes CAP_SYS_ADMIN in the sandbox's user namespace,
 * which no exec has, and new user namespaces cannot be made), so setsid, double forks, closed fds
 * and a cleared environment hide nothing. */

#include "wire.h"

#define INIT_WIRE_VERSION 1

#define INIT_FD_SOCKET 3  /* listening seqpacket socket */
#define INIT_FD_SECCOMP 4 /* memfd: BPF program */
#define INIT_FD_READY 5   /* pipe, write end */
#define INIT_FD_COUNT 3

#define INIT_CONNECTIONS_MAX 4

enum init_message_type {
	/* requests */
	INIT_HELLO = 1, /* header only: is it there? Answered by INIT_HELLO, then INIT_EXITED for
			 * each remembered end. Or struct init_hello, see there */
	INIT_EXEC,      /* struct init_exec; answered by INIT_STARTED */
	INIT_SIGNAL, /* struct init_signal; answered by INIT_DONE (-ESRCH: no such exec or ended) */
	INIT_KILL,   /* struct init_exec_ref; KILL to every process of it, until none is left;
		      * answered by   INIT_GONE. If the leader was alive, INIT_EXITED comes first */
	INIT_ACK,    /* struct init_exec_ref; no answer; forgets an ended exec */
	INIT_LISTEN, /* struct init_listen; answered by INIT_DONE with one fd */
	INIT_SHUTDOWN, /* header only; no answer: init exits, and the kernel ends everything in the
			  sandbox */
	/* replies and events */
	INIT_STARTED,
	INIT_DONE, /* header only; the error is in the header */
	INIT_EXITED,
	INIT_GONE,
	/* requests again, header only, answered by INIT_DONE */
	INIT_STOP_ALL, /* stops every other process with SIGSTOP and waits until they stand still.
			  -EOPNOTSUPP: not PID 1; -ETIMEDOUT: they did not, and go on */
	INIT_CONT_ALL, /* lets them go on, but those that were stopped before */
	/* events again */
	INIT_RUNNING, /* struct init_running */
	INIT_LISTED,  /* header only: all was told that a struct init_hello asks for */
	/* requests again, answered by INIT_DONE */
	INIT_PUT_FILE,  /* struct init_put_file */
	INIT_DROP_FILE, /* struct init_drop_file; -ENOENT: the exec does not hold it */
};

/* How a daemon takes a sandbox over, its own or that of the daemon before it. Answered by struct
 * init_hello_reply; then, in any order, INIT_RUNNING for each exec that runs and INIT_EXITED for
 * each remembered end (for one that ends just then perhaps both), then INIT_LISTED. */
struct init_hello {
	struct wire_header header;
	uint64_t orphan_ms; /* how long init lives without a controller from now on */
};

struct init_hello_reply {
	struct wire_header header;
	uint64_t next_exec; /* greater than every number that was used so far; 0: none was */
	uint32_t n_running;
	uint32_t n_exited;
};

struct init_running {
	struct wire_header header;
	uint64_t exec;
	int32_t pid; /* as the sandbox sees it */
	uint32_t reserved;
};

enum init_exec_flags {
	INIT_EXEC_TTY =
		1 << 0, /* a pty from the sandbox's devpts; its master rides with INIT_STARTED */
	INIT_EXEC_HAS_STDIN =
		1 << 1, /* fds in this order: [payload memfd][stdin][stdout][stderr]; */
	INIT_EXEC_HAS_STDOUT =
		1 << 2, /* what is not there is the sandbox's /dev/null, with TTY the pty */
	INIT_EXEC_HAS_STDERR = 1 << 3,
	INIT_EXEC_PAYLOAD_FD =
		1 << 4, /* the payload is in a sealed memfd, else behind the struct */
	INIT_EXEC_STDERR_TO_STDOUT = 1 << 5, /* one pipe for both (capture: merged) */
	/* behind the others, in this order: namespaces that the command enters before it starts */
	INIT_EXEC_HAS_MOUNTS = 1 << 6,
	INIT_EXEC_HAS_NETWORK = 1 << 7,
	/* there are secrets in the payload: no core file of the command, and the message is
	 * overwritten when it is done with */
	INIT_EXEC_SECRET = 1 << 8,
};

/* The payload, unaligned and without padding: workdir NUL, argc strings each with NUL, envc strings
 * "K=V" each with NUL, then filec times: struct init_file, path with NUL, data. */
struct init_exec {
	struct wire_header header;
	uint64_t exec;
	uint32_t flags;
	uint32_t uid;
	uint32_t gid;
	uint16_t rows;
	uint16_t cols;
	uint32_t argc;
	uint32_t envc;
	uint32_t filec;
	uint32_t nproc_limit; /* RLIMIT_NPROC, 0 = leave (the cgroup limits) */
	uint64_t payload_size;
	uint64_t payload_offset; /* from the start of the message; 0 with PAYLOAD_FD */
};

struct init_file {
	uint32_t mode;
	uint32_t path_size; /* with the NUL */
	uint64_t data_size;
};

#define INIT_FILE_PATH_MAX 256
#define INIT_FILE_SIZE_MAX (2 * 1024 * 1024)

enum init_put_flags {
	INIT_PUT_FIRST = 1 << 0, /* INIT_EXEC for `exec` follows, and fails if this does */
};

/* Writes a file as uid and gid, by rename, in a file system that is memory (else -EXDEV). It is
 * removed when `exec` ends and no other exec holds it that was given the same path; exec 0: it
 * stays. Without FIRST `exec` has to run, else -ESRCH. fds: [0] a sealed memfd with the data, when
 * there is any. */
struct init_put_file {
	struct wire_header header;
	uint64_t exec;
	uint32_t flags; /* enum init_put_flags */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	char path[INIT_FILE_PATH_MAX]; /* absolute, with its NUL */
};

struct init_drop_file {
	struct wire_header header;
	uint64_t exec;
	char path[INIT_FILE_PATH_MAX];
};

struct init_exec_ref {
	struct wire_header header;
	uint64_t exec;
};

enum init_signal_target { INIT_TARGET_LEADER, INIT_TARGET_GROUP, INIT_TARGET_ALL };

struct init_signal {
	struct wire_header header;
	uint64_t exec;
	int32_t signal;
	uint32_t target;
};

struct init_listen {
	struct wire_header header;
	uint32_t address; /* IPv4, network order; 127.0.0.0/8 only */
	uint16_t port;    /* host order; 0: any */
	uint16_t backlog;
};

/* Why a command could not be started: ExecResult.startError.kind. */
enum init_start_error {
	INIT_START_OK,
	INIT_START_NOT_FOUND,
	INIT_START_NOT_EXECUTABLE,
	INIT_START_BAD_WORKDIR,
	INIT_START_BAD_USER,
	INIT_START_TOO_BIG,
	INIT_START_BAD_FILE,  /* files[]: told as bad_workdir's sibling, with errno */
	INIT_START_INTERNAL,  /* fork, pty, …: header.error has the errno */
	INIT_START_BAD_STAGE, /* its namespaces cannot be made or entered */
};

/* header.error is 0 or negative errno; then start_error says what failed and the exec is forgotten.
 */
struct init_started {
	struct wire_header header;
	uint64_t exec;
	uint32_t start_error;
	int32_t pid; /* as the sandbox sees it */
};

struct init_exited {
	struct wire_header header;
	uint64_t exec;
	int32_t exit_code; /* -1 when a signal ended it */
	int32_t signal;    /* 0 when it exited */
	uint64_t cpu_usec; /* user + system, of the leader and what it waited for */
	uint64_t max_rss_bytes;
	/* processes of this exec that outlive the leader. 0: nothing is left, for sure; else at
	 * least so many, some of which may already be dying */
	uint32_t alive;
	uint32_t reserved;
};

/* header.error: -ESRCH no such exec, -EBUSY too many kills of it at once. */
struct init_gone {
	struct wire_header header;
	uint64_t exec;
	uint32_t killed; /* processes beside the leader that had to be killed, by all its kills */
	uint32_t reserved;
};
