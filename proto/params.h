/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Decoded parameters of every method: what a handler gets. The tables in methods.c say how a JSON
 * object becomes one of these; the gate in rpc/dispatch.c has checked types, ranges, names and
 * unknown keys.
 *
 * Everything is borrowed from the request and lives as long as it does. Absent strings are NULL,
 * absent integers -1 (unsigned limits: 0), absent lists empty, unless the field's table gives a
 * default. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strings {
	const char *const *items; /* items[count] is NULL */
	size_t count;
};

struct pair {
	const char *key;
	const char *value;
};

struct pairs {
	const struct pair *items;
	size_t count;
};

struct bytes {
	const void *data;
	size_t size;
};

struct limits_params { /* 0: not given */
	uint64_t memory_bytes;
	uint64_t shm_bytes;
	uint64_t disk_bytes;
	uint32_t cpu_milli;
	uint32_t pids;
};

struct workspace_params {
	const char *path;
	bool read_only;
	bool git_config_writable; /* "gitConfig": "writable" */
};

struct workspaces_params {
	const struct workspace_params *items;
	size_t count;
};

/* A secret that is lent to a command. Of env, file and in at most one is given; none: as the tool
 * says, else the variable that is called like it. */
struct secret_use_params {
	const char *name;
	const char *env;  /* the variable that it becomes */
	const char *file; /* the file, below the agent's home */
	bool in;          /* "stdin": what the command reads */
	int64_t ttl_ms;   /* -1: as configured, and renewed while the command runs */
};

struct secret_uses_params {
	const struct secret_use_params *items;
	size_t count;
};

enum network_mode { NETWORK_UNSET, NETWORK_NONE, NETWORK_GATEWAY, NETWORK_HOST };

struct network_params {
	enum network_mode mode;
	const char *policy;
	struct strings allow;
	struct strings block;
};

/* What a stage may do with the workspaces: nothing but read, or what the sandbox may. */
enum stage_access { STAGE_ACCESS_UNSET, STAGE_ACCESS_RW, STAGE_ACCESS_RO };

struct stage_params {
	const char *name;
	enum stage_access access; /* "workspace" */
	struct strings writable;  /* directories that stay writable, relative to the workspace */
	struct strings tools;
	int64_t timeout_ms;
	enum network_mode network;
};

struct stages_params {
	const struct stage_params *items;
	size_t count;
};

struct file_params {
	const char *path;
	struct bytes data;
	uint32_t mode; /* octal string in JSON, default 0600 */
};

struct files_params {
	const struct file_params *items;
	size_t count;
};

enum stdin_kind { STDIN_NULL, STDIN_STREAM, STDIN_BYTES, STDIN_FD };

struct stdin_params {
	enum stdin_kind kind;
	struct bytes data;
	unsigned fd; /* index in the request's own fds */
};

struct secret_set_params {
	const char *secret;
	struct stdin_params value; /* STDIN_BYTES or STDIN_FD */
	int64_t fds;
};

struct secret_list_params {
	int64_t limit;
	const char *after;
};

struct secret_ref_params { /* secret.remove */
	const char *secret;
};

struct fd_params {
	bool given;
	unsigned fd;
};

struct tty_params {
	bool given;
	uint16_t rows;
	uint16_t cols;
};

enum capture_mode { CAPTURE_SEPARATE, CAPTURE_MERGED, CAPTURE_NONE };
enum leftovers_mode { LEFTOVERS_KILL, LEFTOVERS_KEEP };
enum disconnect_mode { DISCONNECT_UNSET, DISCONNECT_CANCEL, DISCONNECT_KEEP };
enum stream_name { STREAM_STDOUT, STREAM_STDERR, STREAM_OUTPUT, STREAM_MAX };

struct offsets_params {
	bool end;                   /* "end": only what comes from now on */
	int64_t offset[STREAM_MAX]; /* -1: from the start of what is kept */
};

struct filter_params {
	const char *loop_id;
	const char *sandbox;
	const char *tool;
	const char *state;
	struct pairs labels;
};

struct list_params { /* sandbox.list, exec.list, template.list */
	struct filter_params filter;
	int64_t limit;
	const char *after;
};

struct sandbox_create_params {
	const char *name;
	const char *tool;
	const char *template_name;         /* "template" */
	struct workspace_params workspace; /* path NULL: none */
	struct workspaces_params extra_workspaces;
	struct network_params network;
	struct limits_params limits;
	struct pairs env;
	const char *runtime;
	int64_t ttl_ms;
	int64_t idle_timeout_ms;
	bool rm;
	struct pairs labels;
	const char *idempotency_key;
	const char *loop_id; /* never from a client: set for the sandboxes of a loop */
};

struct loop_create_params {
	const char *loop_id;
	const char *work_dir;
	struct strings tools;
	const char *template_name; /* "template" */
	struct network_params network;
	struct limits_params limits;
	struct pairs env;
	struct stages_params stages;
	int64_t ttl_ms;
	struct pairs labels;
	const char *runtime;
};

enum artifacts_mode { ARTIFACTS_NONE, ARTIFACTS_SUMMARY, ARTIFACTS_PATCH };

struct loop_run_params {
	const char *loop_id;
	const char *tool;
	struct bytes prompt;
	const char *model;
	struct strings args;
	const char *stage;
	const char *story_id;
	const char *request_id;
	const char *base_sha;
	bool profile_given;
	struct pairs env;
	struct secret_uses_params secrets;
	struct files_params files;
	const char *work_dir;
	int64_t timeout_ms;
	int64_t grace_ms;
	struct strings verification_commands;
	enum artifacts_mode artifacts;
	int64_t output_limit_chars;
	const char *idempotency_key;
	bool stream;
	bool detach;
	enum disconnect_mode on_disconnect;
};

enum loop_outcome { LOOP_OUTCOME_UNSET, LOOP_OUTCOME_COMPLETED, LOOP_OUTCOME_FAILED };

struct loop_ref_params { /* get, cancel, destroy */
	const char *loop_id;
	const char *reason;        /* cancel only */
	enum loop_outcome outcome; /* destroy only */
	bool force;                /* destroy only */
};

struct sandbox_ref_params { /* get, stop, start, remove, pause, resume */
	const char *sandbox;
	bool force;
	int64_t timeout_ms;
};

struct sandbox_stats_params {
	const char *sandbox;
	bool disk;
};

struct exec_run_params {
	const char *sandbox;
	struct strings command;
	const char *exec_id;
	struct pairs env;
	const char *work_dir;
	const char *user;
	struct tty_params tty;
	struct stdin_params in; /* "stdin" */
	struct fd_params out;   /* "stdout" */
	struct fd_params err;   /* "stderr" */
	int64_t fds;
	enum capture_mode capture;
	struct files_params files;
	struct secret_uses_params secrets;
	int64_t timeout_ms;
	int64_t grace_ms;
	enum leftovers_mode leftovers;
	enum disconnect_mode on_disconnect;
	const char *idempotency_key;
	const char *stage;
	const char *story_id;
	bool stream;
	bool detach;
	int64_t max_output_bytes;
};

struct exec_attach_params {
	const char *exec_id;
	struct offsets_params from;
};

struct exec_ref_params { /* wait, get, closeStdin, cancel */
	const char *exec_id;
	const char *idempotency_key; /* cancel only */
	int64_t timeout_ms;          /* wait only */
};

struct exec_read_params {
	const char *exec_id;
	enum stream_name stream;
	int64_t from;
	int64_t limit_bytes;
};

struct exec_write_params {
	const char *exec_id;
	struct bytes data; /* "data": string or {base64} */
};

struct exec_resize_params {
	const char *exec_id;
	int64_t rows;
	int64_t cols;
};

struct exec_signal_params {
	const char *exec_id;
	int signal; /* "signal": "SIGTERM", "TERM" or a number */
};

struct sandbox_save_params {
	const char *sandbox;
	const char *template_name; /* "template" */
};

struct template_ref_params { /* get, remove */
	const char *template_name;
	bool force;
};

struct template_build_params {
	const char *tool;          /* "claude" or "claude@2.1.42" */
	const char *template_name; /* "template": "debian" */
	bool force;
};

struct pool_list_params {
	int64_t limit;
	const char *after;
};

struct pool_set_params {
	const char *template_name; /* "template" */
	int64_t min;               /* -1: not given */
	int64_t max;
	int64_t max_age_ms; /* 0: never */
	int64_t owner;      /* a uid */
	bool reset;
};

struct audit_list_params {
	int64_t limit;
	int64_t after; /* -1: not given */
};

struct audit_noted_params {
	bool given;
	int64_t count;
	const char *hash;
};
struct audit_verify_params {
	struct audit_noted_params noted;
};

struct secret_lease_params {
	const char *secret;
	int64_t ttl_ms;
	const char *exec_id; /* at most one of these three */
	const char *sandbox;
	const char *loop_id;
	bool renew;
	bool reveal;
};

struct lease_list_params {
	const char *secret;  /* NULL: any */
	const char *exec_id; /* at most one of these three */
	const char *sandbox;
	const char *loop_id;
	int64_t limit;
	const char *after;
};

struct lease_ref_params { /* renew, revoke, revokeAll */
	const char *lease_id;
	int64_t ttl_ms;      /* renew only */
	const char *exec_id; /* these are revoke's only */
	const char *sandbox;
	const char *loop_id;
	bool kill; /* not with renew */
};

struct events_subscribe_params {
	const char *cursor;
	struct filter_params filter;
	struct strings types;
};

struct events_unsubscribe_params {
	const char *subscription;
};

struct rpc_cancel_params {
	const char *id_text; /* the id as JSON text: "\"7\"" and "7" differ */
};
