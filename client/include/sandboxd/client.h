/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* libsandboxd: speak to a sandboxd over its Unix socket.
 *
 * A client is one connection. It is used by one thread at a time and starts none. Several requests
 * may be in flight on it; replies come in any order.
 *
 * Return values, unless a function says otherwise: 0 is success; SANDBOXD_REFUSED means that the
 * daemon answered with an error, which is then in *RETERR; negative is -errno, from the transport:
 *   -ECONNRESET  the daemon closed the connection (see sandboxd_set_reconnect(); and -EBADMSG: it
 *                sent something that is no JSON-RPC, -EMSGSIZE: a line beyond all limits)
 *   -EINVAL      an argument is malformed, nothing was sent
 *   -EMSGSIZE    the request is beyond the daemon's line limit, nothing was sent
 *   -ENOBUFS     too much is in flight or unsent, nothing was sent
 *   -EDEADLK     a blocking call from inside a callback
 *   -ENOMEM
 * Out-parameters are written only on success, errors only when refused.
 * Bytes that a command wrote are always a pointer and a length. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SANDBOXD_REFUSED 1

struct sandboxd_client;

/* ---- errors of the daemon ---- */

/* Owned strings; NULL when absent (message and kind never are, once set). */
struct sandboxd_error {
	int code;      /* JSON-RPC: -32001 */
	char *kind;    /* "not_found" */
	char *message; /* one sentence for a person */
	char *field;   /* the parameter that is wrong: "limits.memoryBytes" */
	char *hint;    /* what would be right, or the command that mends it */
};

#define SANDBOXD_ERROR_INIT                                                                        \
	{                                                                                          \
		0, NULL, NULL, NULL, NULL                                                          \
	}

/* Frees the strings and makes it empty; not the struct. Accepts an empty one. Wherever a function
 * takes RETERR, NULL may be passed; what is in it is overwritten, not freed. */
void sandboxd_error_clear(struct sandboxd_error *e);

/* ---- connection ---- */

/* The place number INDEX where a daemon's socket is looked for: GIVEN if not NULL, else
 * $SANDBOXD_SOCKET if set, and then nothing else; else $XDG_RUNTIME_DIR/sandboxd/sandboxd.sock,
 * /run/user/UID/..., /run/sandboxd/sandboxd.sock, /tmp/sandboxd-UID/sandboxd.sock (the last only if
 * its directory is ours alone). Writes it to BUFFER. Returns 0, -ENOENT when there are no more
 * places, -ENAMETOOLONG (go on with the next) when it does not fit in a socket address. */
int sandboxd_socket_candidate(const char *given, unsigned index, char *buffer, size_t size);

/* Connects to the first candidate at which a daemon answers. *RET is freed with
 * sandboxd_client_free(). Returns 0 or what connecting ended with: -ENOENT no daemon anywhere,
 * -ECONNREFUSED a socket without a daemon, -EACCES, ... */
int sandboxd_connect(struct sandboxd_client **ret, const char *path);

/* The same over a connected stream socket; FD belongs to the client, also on failure. */
int sandboxd_connect_fd(struct sandboxd_client **ret, int fd);

/* Closes the connection and frees the client; callbacks of what is in flight are not called. Not
 * from inside a callback. Accepts NULL, returns NULL. */
struct sandboxd_client *sandboxd_client_free(struct sandboxd_client *c);

/* Borrowed; "" for sandboxd_connect_fd(). */
const char *sandboxd_client_path(const struct sandboxd_client *c);

/* ---- when the connection is lost ---- */

/* A daemon that restarts keeps its sandboxes and their commands, and for so long the commands of
 * clients that are away. */
#define SANDBOXD_RECONNECT_MS 60000

/* Blocking calls connect again by themselves when the connection has ended, and wait at most
 * TIMEOUT_MS (SANDBOXD_RECONNECT_MS unless this is called; 0: they do not) for a daemon to be
 * there.
 *   - What only asks (sandbox.get, exec.wait, ...: read-only in rpc.discover) is asked again, and
 * so is what no daemon has read.
 *   - sandboxd_exec_run() and sandboxd_exec_attach() find their command again and go on; no byte of
 *     output is delivered twice.
 *   - Any other call returns -ECONNRESET, and may or may not have had its effect; the next one
 *     connects. With an idempotency key it can be repeated.
 * Requests of sandboxd_send() are answered with -ECONNRESET. When no daemon came, the result is
 * what connecting ended with: -ECONNREFUSED, -ENOENT. */
void sandboxd_set_reconnect(struct sandboxd_client *c, int timeout_ms);

/* For event loops: connects a client whose connection has ended again, at its place of before, and
 * waits at most TIMEOUT_MS (0: one attempt) for a daemon. The descriptor changes; callbacks stay.
 * Returns 0 (also if nothing had ended), what connecting ended with, or -EDEADLK from inside a
 * callback. A client of sandboxd_connect_fd() cannot. */
int sandboxd_reconnect(struct sandboxd_client *c, int timeout_ms);

/* ---- calls ---- */

/* Calls METHOD and waits for the reply. PARAMS is the text of a JSON object, or NULL. FDS (N_FDS,
 * at most 64) are sent along and params.fds is set to their count; they stay the caller's and may
 * be closed afterwards. *RET_RESULT (may be NULL) is the result's JSON text, NUL-terminated, freed
 * with free(). Callbacks for notifications and other replies are called while waiting. */
int sandboxd_call(struct sandboxd_client *c, const char *method, const char *params, const int *fds,
		  size_t n_fds, char **ret_result, struct sandboxd_error *reterr);

/* What a callback gets; everything is borrowed and lives until it returns. */
struct sandboxd_reply {
	uint64_t id;
	int status;         /* 0, SANDBOXD_REFUSED, or negative errno: the connection ended first */
	const char *result; /* JSON text, when status is 0 */
	size_t result_size;
	const struct sandboxd_error *error; /* when refused */
};
typedef void sandboxd_reply_callback(struct sandboxd_client *c, const struct sandboxd_reply *reply,
				     void *userdata);

struct sandboxd_request {
	const char *method;
	const char *params; /* text of a JSON object, or NULL */
	const int *fds;     /* duplicated if they cannot be sent at once */
	size_t n_fds;
};

/* Sends without waiting: DONE (may be NULL) is called exactly once from a later dispatch, unless
 * the client is freed first. *RET_ID (may be NULL) is for sandboxd_cancel(). */
int sandboxd_send(struct sandboxd_client *c, const struct sandboxd_request *request,
		  sandboxd_reply_callback *done, void *userdata, uint64_t *ret_id);

/* Asks the daemon to give the request up; its reply (mostly -32009) still comes. */
int sandboxd_cancel(struct sandboxd_client *c, uint64_t id);

/* ---- notifications ---- */

struct sandboxd_started {
	const char *exec_id;
	const char *sandbox;
	uint64_t request; /* the id of the request, 0 if it is none of this client's */
	pid_t pid;
};

struct sandboxd_output {
	const char *exec_id;
	const char *stream; /* "stdout", "stderr", "output" */
	uint64_t offset;    /* of the first byte in its stream */
	const void *data;
	size_t size;
};

struct sandboxd_progress {
	uint64_t request;
	const char *message;
};

/* Any may be NULL. What has no callback of its own goes to on_notification, with its params as JSON
 * text. All arguments are borrowed. */
struct sandboxd_callbacks {
	void (*on_started)(struct sandboxd_client *c, const struct sandboxd_started *started,
			   void *userdata);
	void (*on_output)(struct sandboxd_client *c, const struct sandboxd_output *output,
			  void *userdata);
	void (*on_progress)(struct sandboxd_client *c, const struct sandboxd_progress *progress,
			    void *userdata);
	void (*on_notification)(struct sandboxd_client *c, const char *method, const char *params,
				size_t params_size, void *userdata);
};

/* CALLBACKS (copied; NULL: none) for every notification from now on. */
void sandboxd_set_callbacks(struct sandboxd_client *c, const struct sandboxd_callbacks *callbacks,
			    void *userdata);

/* ---- event loops ---- */

/* The descriptor to poll, and for what (POLLIN, with POLLOUT while something is unsent). */
int sandboxd_get_fd(const struct sandboxd_client *c);
short sandboxd_get_events(const struct sandboxd_client *c);

/* Sends and receives what is possible and calls callbacks; waits at most TIMEOUT_MS for something
 * to happen (-1: as long as it takes). Returns how many messages were handled (0: none yet),
 * -EINTR, or the errno with which the connection ended: then every reply callback was called with
 * it. */
int sandboxd_dispatch(struct sandboxd_client *c, int timeout_ms);

/* How many requests have no reply yet. */
size_t sandboxd_in_flight(const struct sandboxd_client *c);

/* ---- sandboxes ---- */

struct sandboxd_workspace {
	const char *path; /* absolute */
	int read_only;
};

/* Zero or NULL: not given, the daemon's default. */
struct sandboxd_sandbox_options {
	const char *name;
	const char *tool;
	const char *template_name;
	const struct sandboxd_workspace *workspaces; /* the first is the main one */
	size_t n_workspaces;
	const char *network;    /* "none", "host" */
	const char *const *env; /* "K=V", NULL-terminated */
	const char *runtime;
	uint64_t memory_bytes;
	uint64_t shm_bytes;
	uint64_t disk_bytes; /* what it may write outside its workspaces */
	unsigned cpu_milli;
	unsigned pids;
	const char *idempotency_key;
};

/* Strings belong to the object; NULL when absent. JSON is the daemon's whole answer. */
struct sandboxd_sandbox {
	const char *name;
	const char *id;
	const char *tool;
	const char *template_name;
	const char *runtime;
	const char *state;
	const char *cause;
	const char *network;
	const char *created_at;
	const char *json;
	pid_t pid;
};

/* *RET is freed with sandboxd_sandbox_free(). */
int sandboxd_sandbox_create(struct sandboxd_client *c,
			    const struct sandboxd_sandbox_options *options,
			    struct sandboxd_sandbox **ret, struct sandboxd_error *reterr);
int sandboxd_sandbox_get(struct sandboxd_client *c, const char *name, struct sandboxd_sandbox **ret,
			 struct sandboxd_error *reterr);
/* All of the caller's, however many: *RET is an array of *RET_COUNT, freed with
 * sandboxd_sandbox_list_free(). */
int sandboxd_sandbox_list(struct sandboxd_client *c, struct sandboxd_sandbox ***ret,
			  size_t *ret_count, struct sandboxd_error *reterr);
int sandboxd_sandbox_stop(struct sandboxd_client *c, const char *name,
			  struct sandboxd_error *reterr);
int sandboxd_sandbox_start(struct sandboxd_client *c, const char *name,
			   struct sandboxd_error *reterr);
int sandboxd_sandbox_remove(struct sandboxd_client *c, const char *name, int force,
			    struct sandboxd_error *reterr);
struct sandboxd_sandbox *sandboxd_sandbox_free(struct sandboxd_sandbox *s); /* returns NULL */
void sandboxd_sandbox_list_free(struct sandboxd_sandbox **list, size_t count);

/* ---- commands ---- */

/* Start from SANDBOXD_EXEC_OPTIONS_INIT: a descriptor that is not given is -1. */
struct sandboxd_exec_options {
	const char *sandbox;
	const char *const *command; /* NULL-terminated */
	const char *const *env;     /* "K=V", NULL-terminated */
	const char *work_dir;
	const char *user;
	const void *stdin_data; /* what the command reads, unless stdin_fd is given */
	size_t stdin_size;
	int stdin_fd;  /* pipe, socket, terminal or /dev/null; stays the caller's */
	int stdout_fd; /* output that goes here is not in the result */
	int stderr_fd;
	int64_t timeout_ms; /* 0: none */
	int64_t grace_ms;   /* 0: the daemon's */
	int merged;         /* stdout and stderr as one, in order, in result->output */
	const char *idempotency_key;
	const char *const *secrets; /* "NAME", or "NAME=VARIABLE" where it goes; NULL-terminated */
};

#define SANDBOXD_EXEC_OPTIONS_INIT                                                                 \
	{                                                                                          \
		.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1                                   \
	}

/* Strings and bytes belong to the object; NULL when absent. JSON is the daemon's whole answer. */
struct sandboxd_exec_result {
	const char *exec_id;
	const char *cause;       /* "exited", "signaled", "timeout", ... */
	const char *start_error; /* "not_found", "not_executable", ...: it was never started */
	const char *start_message;
	const void *out;
	size_t out_size;
	const void *err;
	size_t err_size;
	const void *output; /* merged */
	size_t output_size;
	const char *json;
	int exit_code; /* -1: a signal ended it, or it never ran */
	int signal;    /* 0: none */
	int truncated;
	int64_t duration_ms;
};

/* Runs a command and waits for its end. A command that fails, or cannot be started, is a result.
 * *RET is freed with sandboxd_exec_result_free(). When the connection was lost and the daemon does
 * not know the command any more: -ECONNRESET, unless there is an idempotency key: then it is run
 * again if it never ran. */
int sandboxd_exec_run(struct sandboxd_client *c, const struct sandboxd_exec_options *options,
		      struct sandboxd_exec_result **ret, struct sandboxd_error *reterr);

/* Waits for the end of a command, at most TIMEOUT_MS (-1: for ever; then refused, "timeout"). */
int sandboxd_exec_wait(struct sandboxd_client *c, const char *exec_id, int64_t timeout_ms,
		       struct sandboxd_exec_result **ret, struct sandboxd_error *reterr);

/* Replays what the command wrote from FROM on (NULL: from the start; "end"; or a JSON object), then
 * follows, calling on_output, until its end. After a lost connection it goes on behind the last
 * byte that on_output got; an offset beyond that is what the daemon does not keep any more. */
int sandboxd_exec_attach(struct sandboxd_client *c, const char *exec_id, const char *from,
			 struct sandboxd_exec_result **ret, struct sandboxd_error *reterr);

/* A piece of stored output; DATA is freed with free(). */
struct sandboxd_chunk {
	void *data;
	size_t size;
	uint64_t next; /* where to go on */
	int eof;       /* nothing will follow */
};

/* Reads stored output: at most LIMIT (0: the daemon's) bytes of STREAM from FROM on. */
int sandboxd_exec_read(struct sandboxd_client *c, const char *exec_id, const char *stream,
		       uint64_t from, size_t limit, struct sandboxd_chunk *ret,
		       struct sandboxd_error *reterr);

/* Sends bytes to the stdin of a command that runs with stdin "stream", without waiting; DONE as for
 * sandboxd_send(). The daemon answers when it has room again: at most one of these in flight is
 * enough back-pressure. */
int sandboxd_exec_write(struct sandboxd_client *c, const char *exec_id, const void *data,
			size_t size, sandboxd_reply_callback *done, void *userdata);

/* The result of an exec.run, attach or wait that was sent with sandboxd_send(). Returns 0, -EBADMSG
 * when TEXT is none, -ENOMEM. */
int sandboxd_exec_result_parse(const char *text, size_t size, struct sandboxd_exec_result **ret);
struct sandboxd_exec_result *
sandboxd_exec_result_free(struct sandboxd_exec_result *result); /* returns NULL */

/* ---- secrets ---- */

/* Puts a value into the daemon's store, or another one in its place; 1 byte to 1 MiB. What of DATA
 * was copied on its way is not zeroed: a process that minds sends {"value": {"fd": 0}} with a pipe,
 * by sandboxd_call(). */
int sandboxd_secret_set(struct sandboxd_client *c, const char *name, const void *data, size_t size,
			struct sandboxd_error *reterr);
/* Takes it out again; leases of it go on. */
int sandboxd_secret_remove(struct sandboxd_client *c, const char *name,
			   struct sandboxd_error *reterr);

/* Never its value. Strings belong to the object; NULL when absent. JSON is all that the daemon says
 * of it. */
struct sandboxd_secret {
	const char *name;
	const char *provider; /* "store", "env", ... */
	const char *updated_at;
	const char *json;
	int64_t size;  /* of the value; -1: not known */
	int available; /* a lease of it would probably be given */
};

/* All that the caller can lease: *RET is an array of *RET_COUNT, freed with
 * sandboxd_secret_list_free(). */
int sandboxd_secret_list(struct sandboxd_client *c, struct sandboxd_secret ***ret,
			 size_t *ret_count, struct sandboxd_error *reterr);
void sandboxd_secret_list_free(struct sandboxd_secret **list, size_t count);

/* Of exec_id, sandbox and loop_id at most one is not NULL: the lease ends with it. */
struct sandboxd_lease_options {
	const char *secret;
	int64_t ttl_ms; /* must be given */
	const char *exec_id;
	const char *sandbox;
	const char *loop_id;
	int renew;  /* again and again, until what it is for ends */
	int reveal; /* with its value */
};

/* Strings and bytes belong to the object, freed with sandboxd_lease_free(). */
struct sandboxd_lease {
	const char *id;
	const char *secret;
	const char *created_at;
	const char *expires_at;
	const void *value; /* NULL: not asked for */
	size_t value_size;
	const char *holder; /* what it ends with: "client" (nothing), "exec", "sandbox", "loop" */
	const char *holder_id; /* NULL with "client" */
	const char *sandbox;   /* by name; NULL: it is in none */
};

int sandboxd_secret_lease(struct sandboxd_client *c, const struct sandboxd_lease_options *options,
			  struct sandboxd_lease **ret, struct sandboxd_error *reterr);
/* TTL_MS counts from now. *RET has no value. */
int sandboxd_secret_renew(struct sandboxd_client *c, const char *lease_id, int64_t ttl_ms,
			  struct sandboxd_lease **ret, struct sandboxd_error *reterr);
struct sandboxd_lease *sandboxd_lease_free(struct sandboxd_lease *l); /* returns NULL */

/* The caller's leases of SECRET (NULL: of all), everybody's for root, without values: *RET is an
 * array of *RET_COUNT, freed with sandboxd_lease_list_free(). */
int sandboxd_lease_list(struct sandboxd_client *c, const char *secret, struct sandboxd_lease ***ret,
			size_t *ret_count, struct sandboxd_error *reterr);
void sandboxd_lease_list_free(struct sandboxd_lease **list, size_t count);

struct sandboxd_revoked {
	int64_t leases;
	int64_t running; /* those of commands that go on with what they have */
};

/* KILL: commands that have it end, too, with cause "lease_revoked". RET may be NULL. */
int sandboxd_secret_revoke(struct sandboxd_client *c, const char *lease_id, int kill,
			   struct sandboxd_revoked *ret, struct sandboxd_error *reterr);
int sandboxd_secret_revoke_all(struct sandboxd_client *c, int kill, struct sandboxd_revoked *ret,
			       struct sandboxd_error *reterr);

#ifdef __cplusplus
}
#endif
