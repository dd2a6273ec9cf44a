/* SPDX-License-Identifier: Apache-2.0 */
/* Rows only; what they mean is in methods.h. A parameter of the contract that this version has not
 * built carries FIELD_UNAVAILABLE, so that it is refused by name instead of being ignored. */

#include "methods.h"

#include <string.h>

#include "bounds.h"
#include "macro.h"
#include "params.h"
#include "schemas.h"

/* clang-format off */

#define R FIELD_REQUIRED
#define D FIELD_DEFAULT
#define U FIELD_UNAVAILABLE
#define END { 0 }
#define AT(type, member) .offset = offsetof(struct type, member)
#define BETWEEN(low, high) .min = (low), .max = (high)
#define NESTED(table, type) .fields = (table), .size = sizeof(struct type)
#define LIFE .min = SANDBOX_LIFE_MIN_MS, .max = SANDBOX_LIFE_MAX_MS
#define MS .min = 0, .max = FIELD_INT_MAX

static const char *const network_modes[] = { NULL, "none", "gateway", "host", NULL };
static const char *const stage_accesses[] = { NULL, "rw", "ro", NULL };
static const char *const capture_modes[] = { "separate", "merged", "none", NULL };
static const char *const leftovers_modes[] = { "kill", "keep", NULL };
static const char *const disconnect_modes[] = { NULL, "cancel", "keep", NULL };
static const char *const stream_names[] = { "stdout", "stderr", "output", NULL };
static const char *const writable[] = { "writable", NULL };
static const char *const end_of_stream[] = { "end", NULL };
static const char *const artifacts_modes[] = { "none", "summary", "patch", NULL };
static const char *const loop_outcomes[] = { NULL, "completed", "failed", NULL };

static const struct field limits_fields[] = {
	{ "memoryBytes", FIELD_UINT64, AT(limits_params, memory_bytes), BETWEEN(SANDBOX_MEMORY_MIN, FIELD_INT_MAX), .doc = "Memory of all its processes." },
	{ "cpuMilli", FIELD_UINT32, AT(limits_params, cpu_milli), BETWEEN(SANDBOX_CPU_MILLI_MIN, SANDBOX_CPU_MILLI_MAX), .doc = "Thousandths of a processor." },
	{ "pids", FIELD_UINT32, AT(limits_params, pids), BETWEEN(SANDBOX_PIDS_MIN, SANDBOX_PIDS_MAX), .doc = "Processes and threads." },
	{ "shmBytes", FIELD_UINT64, AT(limits_params, shm_bytes), BETWEEN(SANDBOX_SHM_MIN, FIELD_INT_MAX), .doc = "Size of /dev/shm." },
	{ "diskBytes", FIELD_UINT64, AT(limits_params, disk_bytes), BETWEEN(SANDBOX_DISK_MIN, FIELD_INT_MAX), .doc = "Size of what it may write outside its workspaces." },
	END
};

static const struct field workspace_fields[] = {
	{ "path", FIELD_STRING, R, AT(workspace_params, path), BETWEEN(1, 4095), .doc = "Absolute; the same inside and outside." },
	{ "readOnly", FIELD_BOOL, AT(workspace_params, read_only), .doc = "Whether the sandbox can only read it." },
	{ "gitConfig", FIELD_KEYWORD, AT(workspace_params, git_config_writable), .values = writable, .doc = "Lets the sandbox change git's configuration and hooks." },
	END
};

static const struct field secret_use_fields[] = {
	{ "name", FIELD_STRING, R, AT(secret_use_params, name), BETWEEN(1, SECRET_NAME_MAX), .doc = "Which one." },
	{ "env", FIELD_STRING, AT(secret_use_params, env), BETWEEN(1, 256), .doc = "The variable that it becomes; with no form: as the tool says, else its name in capitals." },
	{ "file", FIELD_STRING, AT(secret_use_params, file), BETWEEN(1, 4095), .doc = "The file that it becomes, in the agent's home." },
	{ "stdin", FIELD_BOOL, AT(secret_use_params, in), .doc = "It is what the command reads." },
	{ "ttlMs", FIELD_INT64, AT(secret_use_params, ttl_ms), BETWEEN(1, FIELD_INT_MAX), .doc = "How long it is lent; absent: as configured, and renewed while the command runs." },
	END
};

static const struct field network_fields[] = {
	{ "mode", FIELD_ENUM, R, AT(network_params, mode), .values = network_modes, .unavailable_values = 1u << NETWORK_GATEWAY, .doc = "What can be reached." },
	{ "policy", FIELD_STRING, U, AT(network_params, policy), BETWEEN(1, 16), .doc = "What happens to hosts not listed: allow or deny." },
	{ "allow", FIELD_STRINGS, U, AT(network_params, allow), BETWEEN(0, 1024), .doc = "Hosts that can be reached." },
	{ "block", FIELD_STRINGS, U, AT(network_params, block), BETWEEN(0, 1024), .doc = "Hosts that cannot be reached." },
	END
};

static const struct field sandbox_create_fields[] = {
	{ "name", FIELD_NAME, AT(sandbox_create_params, name), .doc = "Unique among the caller's; made up if absent." },
	{ "tool", FIELD_TEMPLATE_NAME, AT(sandbox_create_params, tool), .doc = "The tool that will work in it, with @VERSION for another than the pinned one." },
	{ "template", FIELD_TEMPLATE_NAME, AT(sandbox_create_params, template_name), .doc = "What to start from; absent: the tool's." },
	{ "workspace", FIELD_OBJECT, AT(sandbox_create_params, workspace), NESTED(workspace_fields, workspace_params), .shorthand = "path", .doc = "Host folder mounted at its own path." },
	{ "extraWorkspaces", FIELD_OBJECTS, AT(sandbox_create_params, extra_workspaces), BETWEEN(0, WORKSPACES_MAX), NESTED(workspace_fields, workspace_params), .shorthand = "path", .doc = "More of them." },
	{ "network", FIELD_OBJECT, AT(sandbox_create_params, network), NESTED(network_fields, network_params), .shorthand = "mode", .doc = "What can be reached; absent: none." },
	{ "limits", FIELD_OBJECT, AT(sandbox_create_params, limits), NESTED(limits_fields, limits_params), .doc = "What it may use." },
	{ "env", FIELD_ENV, AT(sandbox_create_params, env), .doc = "Environment of every command in it." },
	{ "runtime", FIELD_NAME, AT(sandbox_create_params, runtime), .doc = "What sets it up; absent: the configured one." },
	{ "ttlMs", FIELD_INT64, AT(sandbox_create_params, ttl_ms), LIFE, .doc = "Removed with its files after this time, whatever it does." },
	{ "idleTimeoutMs", FIELD_INT64, AT(sandbox_create_params, idle_timeout_ms), LIFE, .doc = "Stopped after this time without a running command." },
	{ "rm", FIELD_BOOL, AT(sandbox_create_params, rm), .doc = "Removed when it stops." },
	{ "labels", FIELD_LABELS, AT(sandbox_create_params, labels), BETWEEN(0, LABELS_MAX), .doc = "Free text to find it by." },
	{ "idempotencyKey", FIELD_STRING, AT(sandbox_create_params, idempotency_key), BETWEEN(1, 128), .doc = "The same call again gives the same sandbox." },
	END
};

#define SANDBOX { "sandbox", FIELD_NAME, R, AT(sandbox_ref_params, sandbox), .doc = "Name or id." }
#define GRACE { "timeoutMs", FIELD_INT64, AT(sandbox_ref_params, timeout_ms), MS, .doc = "Time that its commands get between TERM and KILL." }
static const struct field sandbox_get_fields[] = { SANDBOX, END };
static const struct field sandbox_start_fields[] = {
	SANDBOX,
	{ "timeoutMs", FIELD_INT64, AT(sandbox_ref_params, timeout_ms), BETWEEN(1, KEEPER_CREATE_TIMEOUT_MAX_MS), .doc = "How long the runtime may take; absent: as configured." },
	END
};
static const struct field sandbox_stats_fields[] = {
	{ "sandbox", FIELD_NAME, R, AT(sandbox_stats_params, sandbox), .doc = "Name or id." },
	{ "disk", FIELD_BOOL, AT(sandbox_stats_params, disk), .doc = "Also measure its files, which takes longer." },
	END
};
static const struct field sandbox_stop_fields[] = {
	SANDBOX,
	GRACE,
	{ "force", FIELD_BOOL, AT(sandbox_ref_params, force), .doc = "Without a grace for its commands." },
	END
};
static const struct field sandbox_remove_fields[] = {
	SANDBOX,
	GRACE,
	{ "force", FIELD_BOOL, AT(sandbox_ref_params, force), .doc = "Even if commands are running in it." },
	END
};

static const struct field filter_fields[] = {
	{ "loopId", FIELD_NAME, AT(filter_params, loop_id), .doc = "Those of this loop." },
	{ "sandbox", FIELD_NAME, AT(filter_params, sandbox), .doc = "Those of this sandbox." },
	{ "tool", FIELD_TEMPLATE_NAME, AT(filter_params, tool), .doc = "Those of this tool." },
	{ "state", FIELD_NAME, AT(filter_params, state), .doc = "Those in this state." },
	{ "labels", FIELD_LABELS, AT(filter_params, labels), BETWEEN(0, LABELS_MAX), .doc = "Those with all of these labels." },
	END
};
static const struct field list_fields[] = {
	{ "filter", FIELD_OBJECT, AT(list_params, filter), NESTED(filter_fields, filter_params), .doc = "Absent: all of the caller's." },
	{ "limit", FIELD_INT64, D, AT(list_params, limit), BETWEEN(1, LIST_LIMIT_MAX), .fallback = LIST_LIMIT_DEFAULT, .doc = "At most so many." },
	{ "after", FIELD_TEMPLATE_NAME, AT(list_params, after), .doc = "Go on behind this one." },
	END
};

static const struct field tty_fields[] = {
	{ "rows", FIELD_UINT16, R, AT(tty_params, rows), BETWEEN(1, UINT16_MAX), .doc = "Height." },
	{ "cols", FIELD_UINT16, R, AT(tty_params, cols), BETWEEN(1, UINT16_MAX), .doc = "Width." },
	END
};
static const struct field fd_fields[] = {
	{ "fd", FIELD_FD, R, AT(fd_params, fd), .doc = "Index among the descriptors of this request." },
	END
};
static const struct field file_fields[] = {
	{ "path", FIELD_STRING, R, AT(file_params, path), BETWEEN(1, 4095), .doc = "Relative from workDir." },
	{ "data", FIELD_TEXT, R, AT(file_params, data), .doc = "What it holds." },
	{ "mode", FIELD_MODE, D, AT(file_params, mode), .max = 0777, .fallback = 0600, .doc = "Permissions, octal." },
	END
};
static const struct field exec_run_fields[] = {
	{ "sandbox", FIELD_NAME, R, AT(exec_run_params, sandbox), .doc = "Name or id." },
	{ "command", FIELD_STRINGS, R, AT(exec_run_params, command), BETWEEN(1, ARGV_MAX), .doc = "Argument vector; no shell." },
	{ "execId", FIELD_NAME, AT(exec_run_params, exec_id), .doc = "Its id; made up if absent." },
	{ "env", FIELD_ENV, AT(exec_run_params, env), .doc = "On top of the sandbox's." },
	{ "workDir", FIELD_STRING, AT(exec_run_params, work_dir), BETWEEN(1, 4095), .doc = "Absent: the first workspace." },
	{ "user", FIELD_STRING, AT(exec_run_params, user), BETWEEN(1, 32), .doc = "agent (default), root, or UID[:GID]." },
	{ "tty", FIELD_OBJECT, FIELD_GIVEN, AT(exec_run_params, tty), NESTED(tty_fields, tty_params), .doc = "Run it on a terminal of this size." },
	{ "stdin", FIELD_STDIN, AT(exec_run_params, in), .doc = "\"null\" (default), \"stream\", {text}, {base64} or {fd}." },
	{ "stdout", FIELD_OBJECT, FIELD_GIVEN, AT(exec_run_params, out), NESTED(fd_fields, fd_params), .doc = "Absent: captured." },
	{ "stderr", FIELD_OBJECT, FIELD_GIVEN, AT(exec_run_params, err), NESTED(fd_fields, fd_params), .doc = "Absent: captured." },
	{ "fds", FIELD_INT64, D, AT(exec_run_params, fds), BETWEEN(0, RPC_FDS_MAX), .doc = "How many descriptors this request takes from the queue." },
	{ "capture", FIELD_ENUM, AT(exec_run_params, capture), .values = capture_modes, .fallback = CAPTURE_SEPARATE, .doc = "What to keep of what it writes." },
	{ "files", FIELD_OBJECTS, AT(exec_run_params, files), BETWEEN(0, FILES_MAX), NESTED(file_fields, file_params), .doc = "Written before it starts." },
	{ "secrets", FIELD_OBJECTS, AT(exec_run_params, secrets), BETWEEN(0, EXEC_SECRETS_MAX), NESTED(secret_use_fields, secret_use_params), .shorthand = "name", .doc = "Secrets to lend it, leased before it starts." },
	{ "timeoutMs", FIELD_INT64, AT(exec_run_params, timeout_ms), BETWEEN(1, FIELD_INT_MAX), .doc = "TERM after this time, KILL after the grace." },
	{ "graceMs", FIELD_INT64, D, AT(exec_run_params, grace_ms), MS, .fallback = EXEC_GRACE_MS, .doc = "Between TERM and KILL." },
	{ "leftovers", FIELD_ENUM, AT(exec_run_params, leftovers), .values = leftovers_modes, .fallback = LEFTOVERS_KILL, .doc = "What happens to processes that outlive it." },
	{ "onDisconnect", FIELD_ENUM, AT(exec_run_params, on_disconnect), .values = disconnect_modes, .doc = "What happens to it when the client is gone." },
	{ "idempotencyKey", FIELD_STRING, AT(exec_run_params, idempotency_key), BETWEEN(1, 128), .doc = "The same call again never runs it twice." },
	{ "stage", FIELD_NAME, AT(exec_run_params, stage), .doc = "Stage of the loop: what it may write and reach (docs/stages.md)." },
	{ "storyId", FIELD_STRING, AT(exec_run_params, story_id), BETWEEN(1, 128), .doc = "Story of the loop, kept with it." },
	{ "stream", FIELD_BOOL, AT(exec_run_params, stream), .doc = "Send exec.data while it runs." },
	{ "detach", FIELD_BOOL, AT(exec_run_params, detach), .doc = "Answer with an Exec as soon as it started." },
	{ "maxOutputBytes", FIELD_INT64, D, AT(exec_run_params, max_output_bytes), BETWEEN(0, FIELD_INT_MAX), .fallback = EXEC_SPOOL_BYTES_MAX, .doc = "How much of each stream is kept." },
	END
};

static const struct field stage_fields[] = {
	{ "name", FIELD_NAME, R, AT(stage_params, name), .doc = "What a run gives as its stage. What is left out here is as configured for that name." },
	{ "workspace", FIELD_ENUM, AT(stage_params, access), .values = stage_accesses, .doc = "ro: its commands cannot change the workspaces." },
	{ "writable", FIELD_STRINGS, AT(stage_params, writable), BETWEEN(0, STAGE_WRITABLE_MAX), .doc = "Directories of the workspace that stay writable, relative, made if absent; the rest is ro." },
	{ "tools", FIELD_STRINGS, AT(stage_params, tools), BETWEEN(0, STAGE_TOOLS_MAX), .doc = "In whose sandboxes it may run; absent: in any." },
	{ "timeoutMs", FIELD_INT64, AT(stage_params, timeout_ms), BETWEEN(1, FIELD_INT_MAX), .doc = "Of a run that says none." },
	{ "network", FIELD_ENUM, AT(stage_params, network), .values = network_modes, .unavailable_values = 1u << NETWORK_GATEWAY, .doc = "none takes the sandbox's network away." },
	END
};
#define LOOP_ID(type) { "loopId", FIELD_NAME, R, AT(type, loop_id), .doc = "The loop." }
static const struct field loop_create_fields[] = {
	{ "loopId", FIELD_NAME, R, AT(loop_create_params, loop_id), .doc = "Unique among the caller's, those destroyed a while ago included." },
	{ "workDir", FIELD_STRING, R, AT(loop_create_params, work_dir), BETWEEN(1, 4095), .doc = "The worktree, mounted at its own path in every sandbox of the loop." },
	{ "tools", FIELD_STRINGS, R, AT(loop_create_params, tools), BETWEEN(1, LOOP_TOOLS_MAX), .doc = "A sandbox loop-{loopId}-{tool} for each, with @VERSION for another than the pinned one." },
	{ "template", FIELD_TEMPLATE_NAME, AT(loop_create_params, template_name), .doc = "What its sandboxes start from; absent: their tool's." },
	{ "network", FIELD_OBJECT, AT(loop_create_params, network), NESTED(network_fields, network_params), .shorthand = "mode", .doc = "What can be reached; absent: none." },
	{ "limits", FIELD_OBJECT, AT(loop_create_params, limits), NESTED(limits_fields, limits_params), .doc = "What each sandbox may use." },
	{ "env", FIELD_ENV, AT(loop_create_params, env), .doc = "Environment of every command, in the sandboxes that this call makes." },
	{ "stages", FIELD_OBJECTS, AT(loop_create_params, stages), BETWEEN(0, STAGES_MAX), NESTED(stage_fields, stage_params), .doc = "Profiles of its stages, beside the configured ones; then a run with any other stage is refused." },
	{ "ttlMs", FIELD_INT64, AT(loop_create_params, ttl_ms), LIFE, .doc = "Destroyed so long after its creation." },
	{ "labels", FIELD_LABELS, AT(loop_create_params, labels), BETWEEN(0, LABELS_MAX), .doc = "Free text to find its sandboxes by." },
	{ "runtime", FIELD_NAME, AT(loop_create_params, runtime), .doc = "What sets its sandboxes up; absent: the configured one." },
	END
};
static const struct field loop_run_fields[] = {
	LOOP_ID(loop_run_params),
	{ "tool", FIELD_TEMPLATE_NAME, R, AT(loop_run_params, tool), .doc = "One of the loop's." },
	{ "prompt", FIELD_TEXT, R, AT(loop_run_params, prompt), .doc = "What it gets on stdin; for shell, its script." },
	{ "model", FIELD_STRING, AT(loop_run_params, model), BETWEEN(1, 256), .doc = "Absent: the tool's own choice." },
	{ "args", FIELD_STRINGS, AT(loop_run_params, args), BETWEEN(0, 1024), .doc = "Added to the tool's command line." },
	{ "stage", FIELD_NAME, AT(loop_run_params, stage), .doc = "Stage of the loop, kept with it." },
	{ "storyId", FIELD_STRING, AT(loop_run_params, story_id), BETWEEN(1, 128), .doc = "Story of the loop, kept with it." },
	{ "requestId", FIELD_STRING, AT(loop_run_params, request_id), BETWEEN(1, 128), .doc = "Comes back in the result; absent: the execId." },
	{ "baseSha", FIELD_STRING, AT(loop_run_params, base_sha), BETWEEN(1, 64), .doc = "Commit from which artifacts are counted; absent: HEAD at the start." },
	{ "profile", FIELD_ANY, U, AT(loop_run_params, profile_given), .doc = "Another profile of the tool." },
	{ "env", FIELD_ENV, AT(loop_run_params, env), .doc = "On top of the sandbox's." },
	{ "secrets", FIELD_OBJECTS, AT(loop_run_params, secrets), BETWEEN(0, EXEC_SECRETS_MAX), NESTED(secret_use_fields, secret_use_params), .shorthand = "name", .doc = "Secrets to lend it, leased before it starts." },
	{ "files", FIELD_OBJECTS, AT(loop_run_params, files), BETWEEN(0, FILES_MAX), NESTED(file_fields, file_params), .doc = "Written before it starts." },
	{ "workDir", FIELD_STRING, AT(loop_run_params, work_dir), BETWEEN(1, 4095), .doc = "Absent: the loop's." },
	{ "timeoutMs", FIELD_INT64, AT(loop_run_params, timeout_ms), BETWEEN(1, FIELD_INT_MAX), .doc = "TERM after this time, KILL after the grace; also of each verification command. Absent: the tool's own." },
	{ "graceMs", FIELD_INT64, D, AT(loop_run_params, grace_ms), MS, .fallback = EXEC_GRACE_MS, .doc = "Between TERM and KILL." },
	{ "verificationCommands", FIELD_STRINGS, AT(loop_run_params, verification_commands), BETWEEN(0, VERIFICATIONS_MAX), .doc = "Lines for /bin/sh in the same sandbox, when the tool exited 0." },
	{ "artifacts", FIELD_ENUM, AT(loop_run_params, artifacts), .values = artifacts_modes, .fallback = ARTIFACTS_SUMMARY, .doc = "What to find out about its changes." },
	{ "outputLimitChars", FIELD_INT64, D, AT(loop_run_params, output_limit_chars), BETWEEN(0, OUTPUT_CHARS_MAX), .fallback = OUTPUT_CHARS_DEFAULT, .doc = "The last so many characters are in the result." },
	{ "idempotencyKey", FIELD_STRING, AT(loop_run_params, idempotency_key), BETWEEN(1, 128), .doc = "The same call again never runs it twice." },
	{ "stream", FIELD_BOOL, AT(loop_run_params, stream), .doc = "Send exec.data while it runs." },
	{ "detach", FIELD_BOOL, AT(loop_run_params, detach), .doc = "Answer with an Exec as soon as it started; nothing is verified or looked at then." },
	{ "onDisconnect", FIELD_ENUM, AT(loop_run_params, on_disconnect), .values = disconnect_modes, .doc = "What happens to it when the client is gone; absent: keep." },
	END
};
static const struct field loop_get_fields[] = { LOOP_ID(loop_ref_params), END };
static const struct field loop_cancel_fields[] = {
	LOOP_ID(loop_ref_params),
	{ "reason", FIELD_STRING, AT(loop_ref_params, reason), BETWEEN(1, 1024), .doc = "Kept with it." },
	END
};
static const struct field loop_destroy_fields[] = {
	LOOP_ID(loop_ref_params),
	{ "outcome", FIELD_ENUM, AT(loop_ref_params, outcome), .values = loop_outcomes, .doc = "How it went; absent: completed, or cancelled if it was. A failed one is remembered longer." },
	{ "force", FIELD_BOOL, AT(loop_ref_params, force), .doc = "Even if commands are running in it, or its worktree has work that is in no branch: that is kept as a patch." },
	END
};

#define OFFSET(stream) AT(offsets_params, offset[stream]), BETWEEN(0, FIELD_INT_MAX)
static const struct field offsets_fields[] = {
	{ "end", FIELD_KEYWORD, FIELD_SHORTHAND_ONLY, AT(offsets_params, end), .values = end_of_stream, .doc = "Only what comes from now on." },
	{ "stdout", FIELD_INT64, OFFSET(STREAM_STDOUT), .doc = "First byte of stdout to send." },
	{ "stderr", FIELD_INT64, OFFSET(STREAM_STDERR), .doc = "First byte of stderr to send." },
	{ "output", FIELD_INT64, OFFSET(STREAM_OUTPUT), .doc = "First byte of output to send." },
	END
};
static const struct field exec_attach_fields[] = {
	{ "execId", FIELD_NAME, R, AT(exec_attach_params, exec_id), .doc = "Its id." },
	{ "from", FIELD_OBJECT, AT(exec_attach_params, from), NESTED(offsets_fields, offsets_params), .shorthand = "end", .doc = "Offsets, or \"end\"; absent: everything kept." },
	END
};

#define EXEC_ID(type) { "execId", FIELD_NAME, R, AT(type, exec_id), .doc = "Its id." }
static const struct field exec_wait_fields[] = {
	EXEC_ID(exec_ref_params),
	{ "timeoutMs", FIELD_INT64, AT(exec_ref_params, timeout_ms), MS, .doc = "How long to wait; then -32008." },
	END
};
static const struct field exec_ref_fields[] = { EXEC_ID(exec_ref_params), END };
static const struct field exec_cancel_fields[] = {
	{ "execId", FIELD_NAME, AT(exec_ref_params, exec_id), .doc = "Its id." },
	{ "idempotencyKey", FIELD_STRING, AT(exec_ref_params, idempotency_key), BETWEEN(1, 128), .doc = "Instead of the id: the key of its call." },
	END
};
static const struct field exec_read_fields[] = {
	EXEC_ID(exec_read_params),
	{ "stream", FIELD_ENUM, R, AT(exec_read_params, stream), .values = stream_names, .doc = "Which of its streams." },
	{ "from", FIELD_INT64, D, AT(exec_read_params, from), BETWEEN(0, FIELD_INT_MAX), .doc = "First byte." },
	{ "limitBytes", FIELD_INT64, D, AT(exec_read_params, limit_bytes), BETWEEN(1, EXEC_READ_BYTES_MAX), .fallback = EXEC_READ_BYTES_MAX, .doc = "At most so many." },
	END
};
static const struct field exec_write_fields[] = {
	EXEC_ID(exec_write_params),
	{ "data", FIELD_TEXT, R, AT(exec_write_params, data), .doc = "For its stdin." },
	END
};
static const struct field exec_resize_fields[] = {
	EXEC_ID(exec_resize_params),
	{ "rows", FIELD_INT64, R, AT(exec_resize_params, rows), BETWEEN(1, UINT16_MAX), .doc = "Height." },
	{ "cols", FIELD_INT64, R, AT(exec_resize_params, cols), BETWEEN(1, UINT16_MAX), .doc = "Width." },
	END
};
static const struct field exec_signal_fields[] = {
	EXEC_ID(exec_signal_params),
	{ "signal", FIELD_SIGNAL, R, AT(exec_signal_params, signal), BETWEEN(1, 64), .doc = "Name or number." },
	END
};

static const struct field sandbox_save_fields[] = {
	{ "sandbox", FIELD_NAME, R, AT(sandbox_save_params, sandbox), .doc = "Its name or id." },
	{ "template", FIELD_TEMPLATE_NAME, R, AT(sandbox_save_params, template_name), .doc = "The template's name: NAME or NAME:TAG, not taken yet." },
	END
};
static const struct field template_get_fields[] = {
	{ "template", FIELD_TEMPLATE_NAME, R, AT(template_ref_params, template_name), .doc = "Its name." },
	END
};
static const struct field template_remove_fields[] = {
	{ "template", FIELD_TEMPLATE_NAME, R, AT(template_ref_params, template_name), .doc = "Its name." },
	{ "force", FIELD_BOOL, AT(template_ref_params, force), .doc = "Even if it is in use." },
	END
};
static const struct field template_build_fields[] = {
	{ "tool", FIELD_TEMPLATE_NAME, AT(template_build_params, tool), .doc = "The tool, with @VERSION for another than the pinned one; this or template." },
	{ "template", FIELD_TEMPLATE_NAME, AT(template_build_params, template_name), .doc = "A template that is no tool's: debian." },
	{ "force", FIELD_BOOL, AT(template_build_params, force), .doc = "Even if it is there already." },
	END
};

static const struct field pool_list_fields[] = {
	{ "limit", FIELD_INT64, D, AT(pool_list_params, limit), BETWEEN(1, LIST_LIMIT_MAX), .fallback = LIST_LIMIT_DEFAULT, .doc = "At most so many." },
	{ "after", FIELD_TEMPLATE_NAME, AT(pool_list_params, after), .doc = "Go on behind this template." },
	END
};
static const struct field pool_set_fields[] = {
	{ "template", FIELD_TEMPLATE_NAME, R, AT(pool_set_params, template_name), .doc = "Whose spares; a tool's name alone is its template at the pinned version." },
	{ "min", FIELD_INT64, AT(pool_set_params, min), BETWEEN(0, UINT32_MAX), .doc = "Always so many, used or not; absent: as it is." },
	{ "max", FIELD_INT64, AT(pool_set_params, max), BETWEEN(0, UINT32_MAX), .doc = "Never more, 0: none at all; absent: as it is." },
	{ "maxAgeMs", FIELD_INT64, AT(pool_set_params, max_age_ms), BETWEEN(0, SANDBOX_LIFE_MAX_MS), .doc = "A spare that waited so long is replaced, 0: never; absent: as it is." },
	{ "owner", FIELD_INT64, AT(pool_set_params, owner), BETWEEN(0, UINT32_MAX - 1), .doc = "Uid of the user whose pool it is; absent: the caller. Another's only for root." },
	{ "reset", FIELD_BOOL, AT(pool_set_params, reset), .doc = "Forget what was set: as configured again." },
	END
};

static const struct field audit_list_fields[] = {
	{ "limit", FIELD_INT64, D, AT(audit_list_params, limit), BETWEEN(1, LIST_LIMIT_MAX), .fallback = LIST_LIMIT_DEFAULT, .doc = "At most so many." },
	{ "after", FIELD_INT64, AT(audit_list_params, after), BETWEEN(0, FIELD_INT_MAX), .doc = "Those behind the entry of this seq, 0: from the first; absent: the newest." },
	END
};
static const struct field audit_noted_fields[] = {
	{ "count", FIELD_INT64, R, AT(audit_noted_params, count), BETWEEN(1, FIELD_INT_MAX), .doc = "Its entry." },
	{ "hash", FIELD_STRING, R, AT(audit_noted_params, hash), BETWEEN(64, 64), .doc = "Its hash." },
	END
};
static const struct field audit_verify_fields[] = {
	{ "noted", FIELD_OBJECT, FIELD_GIVEN, AT(audit_verify_params, noted), NESTED(audit_noted_fields, audit_noted_params), .doc = "A head of earlier, from the journal or an AuditReport: the log must lead through it." },
	END
};

#define SECRET(type) { "secret", FIELD_STRING, R, AT(type, secret), BETWEEN(1, SECRET_NAME_MAX), .doc = "Its name: letters, digits, _, . and -, no dot in front." }
static const struct field secret_set_fields[] = {
	SECRET(secret_set_params),
	{ "value", FIELD_SOURCE, R, AT(secret_set_params, value), .doc = "1 byte to 1 MiB: {text}, {base64}, or {fd}, a pipe that is read to its end." },
	{ "fds", FIELD_INT64, D, AT(secret_set_params, fds), BETWEEN(0, RPC_FDS_MAX), .doc = "How many descriptors this request takes from the queue." },
	END
};
static const struct field secret_list_fields[] = {
	{ "limit", FIELD_INT64, D, AT(secret_list_params, limit), BETWEEN(1, LIST_LIMIT_MAX), .fallback = LIST_LIMIT_DEFAULT, .doc = "At most so many." },
	{ "after", FIELD_STRING, AT(secret_list_params, after), BETWEEN(1, SECRET_NAME_MAX), .doc = "Go on behind this name." },
	END
};
static const struct field secret_ref_fields[] = { SECRET(secret_ref_params), END };

#define LEASE_TTL BETWEEN(LEASE_TTL_MIN_MS, FIELD_INT_MAX)
static const struct field secret_lease_fields[] = {
	{ "secret", FIELD_STRING, R, AT(secret_lease_params, secret), BETWEEN(1, 64), .doc = "Its name." },
	{ "ttlMs", FIELD_INT64, R, AT(secret_lease_params, ttl_ms), LEASE_TTL, .doc = "For how long; max_ttl of the configuration at most." },
	{ "execId", FIELD_NAME, AT(secret_lease_params, exec_id), .doc = "Ends with this command." },
	{ "sandbox", FIELD_NAME, AT(secret_lease_params, sandbox), .doc = "Ends when this sandbox does not run any more." },
	{ "loopId", FIELD_NAME, AT(secret_lease_params, loop_id), .doc = "Ends when this loop is cancelled or destroyed." },
	{ "renew", FIELD_BOOL, AT(secret_lease_params, renew), .doc = "Renewed again and again until what it is for ends." },
	{ "reveal", FIELD_BOOL, AT(secret_lease_params, reveal), .doc = "With its value in the answer." },
	END
};
static const struct field secret_renew_fields[] = {
	{ "leaseId", FIELD_NAME, R, AT(lease_ref_params, lease_id), .doc = "Its id." },
	{ "ttlMs", FIELD_INT64, R, AT(lease_ref_params, ttl_ms), LEASE_TTL, .doc = "For how long from now; max_ttl of the configuration at most." },
	END
};
#define KILL { "kill", FIELD_BOOL, AT(lease_ref_params, kill), .doc = "Also ends the commands that have it, cause lease_revoked." }
static const struct field secret_revoke_fields[] = {
	{ "leaseId", FIELD_NAME, AT(lease_ref_params, lease_id), .doc = "This one." },
	{ "execId", FIELD_NAME, AT(lease_ref_params, exec_id), .doc = "Those of this command." },
	{ "sandbox", FIELD_NAME, AT(lease_ref_params, sandbox), .doc = "Those of this sandbox and of its commands." },
	{ "loopId", FIELD_NAME, AT(lease_ref_params, loop_id), .doc = "Those of this loop, its sandboxes and their commands." },
	KILL,
	END
};
static const struct field secret_revoke_all_fields[] = { KILL, END };
static const struct field secret_leases_fields[] = {
	{ "secret", FIELD_STRING, AT(lease_list_params, secret), BETWEEN(1, SECRET_NAME_MAX), .doc = "Those of this secret." },
	{ "execId", FIELD_NAME, AT(lease_list_params, exec_id), .doc = "Those of this command." },
	{ "sandbox", FIELD_NAME, AT(lease_list_params, sandbox), .doc = "Those of this sandbox and of its commands." },
	{ "loopId", FIELD_NAME, AT(lease_list_params, loop_id), .doc = "Those of this loop, its sandboxes and their commands." },
	{ "limit", FIELD_INT64, D, AT(lease_list_params, limit), BETWEEN(1, LIST_LIMIT_MAX), .fallback = LIST_LIMIT_DEFAULT, .doc = "At most so many." },
	{ "after", FIELD_NAME, AT(lease_list_params, after), .doc = "Go on behind this lease." },
	END
};

static const struct field events_subscribe_fields[] = {
	{ "cursor", FIELD_STRING, AT(events_subscribe_params, cursor), BETWEEN(1, 64), .doc = "Where to go on, from an earlier event or subscription, or \"oldest\"; absent: only what happens from now on." },
	{ "filter", FIELD_OBJECT, AT(events_subscribe_params, filter), NESTED(filter_fields, filter_params), .doc = "Absent: all of the caller's." },
	{ "types", FIELD_STRINGS, AT(events_subscribe_params, types), BETWEEN(0, EVENT_TYPES_MAX), .doc = "Only of these types; \"exec\" is every type that begins with exec." },
	END
};
static const struct field events_unsubscribe_fields[] = {
	{ "subscription", FIELD_STRING, R, AT(events_unsubscribe_params, subscription), BETWEEN(1, 64), .doc = "Of this connection." },
	END
};

static const struct field rpc_cancel_fields[] = {
	{ "id", FIELD_ID, R, AT(rpc_cancel_params, id_text), .doc = "Of the sender's own request in flight." },
	END
};

#define PARAMS(table, type) .params = (table), .params_size = sizeof(struct type)
#define A METHOD_AVAILABLE
#define RO METHOD_READ_ONLY
#define S METHOD_STREAMING

const struct method methods[METHOD_MAX] = {
	[METHOD_RPC_DISCOVER] = { "rpc.discover", A | RO, .result = &schema_openrpc, .doc = "This description." },
	[METHOD_RPC_CANCEL] = { "rpc.cancel", A | METHOD_NOTIFICATION, PARAMS(rpc_cancel_fields, rpc_cancel_params), .doc = "The sender's own request in flight answers -32009." },
	[METHOD_SYSTEM_PING] = { "system.ping", A | RO, .doc = "Says that the daemon is there." },
	[METHOD_SYSTEM_INFO] = { "system.info", A | RO, .result = &schema_system_info, .doc = "The daemon and what it can do." },
	[METHOD_SYSTEM_DOCTOR] = { "system.doctor", A | RO, .result = &schema_doctor, .doc = "What is missing on this host, and what mends it." },
	[METHOD_SYSTEM_DF] = { "system.df", A | RO, .result = &schema_disk, .doc = "The disk space that the caller's sandboxes take together." },
	[METHOD_LOOP_CREATE] = { "loop.create", A | S, PARAMS(loop_create_fields, loop_create_params), &schema_loop, "Makes a loop and its sandboxes; the same again gives the same, with more tools they are added." },
	[METHOD_LOOP_RUN] = { "loop.run", A | S | METHOD_BATCH_DETACHED, PARAMS(loop_run_fields, loop_run_params), &schema_loop_run_result, "Runs a tool's agent on a prompt until it ends, verifies, looks at what it changed; with detach the result is an Exec at once." },
	[METHOD_LOOP_GET] = { "loop.get", A | RO, PARAMS(loop_get_fields, loop_ref_params), &schema_loop, "One loop." },
	[METHOD_LOOP_LIST] = { "loop.list", A | RO, PARAMS(list_fields, list_params), &schema_loop_list, "The caller's loops." },
	[METHOD_LOOP_CANCEL] = { "loop.cancel", A, PARAMS(loop_cancel_fields, loop_ref_params), &schema_loop, "Ends a loop's commands and stops its sandboxes; files stay for a while." },
	[METHOD_LOOP_DESTROY] = { "loop.destroy", A, PARAMS(loop_destroy_fields, loop_ref_params), &schema_receipt, "Removes all that a loop owned, unless work would be lost; again, for a while, it gives the same receipt." },
	[METHOD_SANDBOX_CREATE] = { "sandbox.create", A | S, PARAMS(sandbox_create_fields, sandbox_create_params), &schema_sandbox, "Makes and starts a sandbox." },
	[METHOD_SANDBOX_GET] = { "sandbox.get", A | RO, PARAMS(sandbox_get_fields, sandbox_ref_params), &schema_sandbox, "One sandbox." },
	[METHOD_SANDBOX_LIST] = { "sandbox.list", A | RO, PARAMS(list_fields, list_params), &schema_sandbox_list, "The caller's sandboxes." },
	[METHOD_SANDBOX_STOP] = { "sandbox.stop", A, PARAMS(sandbox_stop_fields, sandbox_ref_params), &schema_sandbox, "Ends its processes and keeps its files." },
	[METHOD_SANDBOX_START] = { "sandbox.start", A, PARAMS(sandbox_start_fields, sandbox_ref_params), &schema_sandbox, "Brings a stopped sandbox back." },
	[METHOD_SANDBOX_PAUSE] = { "sandbox.pause", A, PARAMS(sandbox_get_fields, sandbox_ref_params), &schema_sandbox, "Freezes its processes and the clocks of its commands." },
	[METHOD_SANDBOX_RESUME] = { "sandbox.resume", A, PARAMS(sandbox_get_fields, sandbox_ref_params), &schema_sandbox, "Lets frozen processes go on." },
	[METHOD_SANDBOX_REMOVE] = { "sandbox.remove", A, PARAMS(sandbox_remove_fields, sandbox_ref_params), &schema_sandbox, "Ends it and deletes its files; workspaces stay." },
	[METHOD_SANDBOX_STATS] = { "sandbox.stats", A | RO, PARAMS(sandbox_stats_fields, sandbox_stats_params), .result = &schema_stats, .doc = "What a sandbox uses." },
	[METHOD_SANDBOX_SAVE] = { "sandbox.save", A, PARAMS(sandbox_save_fields, sandbox_save_params), &schema_template, "Makes a template of what changed in a sandbox; if it runs, it is held still for the moment of the copy." },
	[METHOD_EXEC_RUN] = { "exec.run", A | S | METHOD_BATCH_DETACHED, PARAMS(exec_run_fields, exec_run_params), &schema_exec_result, "Runs a command in a sandbox until its leader ends; with detach the result is an Exec at once." },
	[METHOD_EXEC_ATTACH] = { "exec.attach", A | S | METHOD_NO_BATCH, PARAMS(exec_attach_fields, exec_attach_params), &schema_exec_result, "Replays what a command wrote, then follows it to its end." },
	[METHOD_EXEC_WAIT] = { "exec.wait", A | RO, PARAMS(exec_wait_fields, exec_ref_params), &schema_exec_result, "Waits for a command's end." },
	[METHOD_EXEC_GET] = { "exec.get", A | RO, PARAMS(exec_ref_fields, exec_ref_params), &schema_exec, "One command." },
	[METHOD_EXEC_LIST] = { "exec.list", A | RO, PARAMS(list_fields, list_params), &schema_exec_list, "The caller's commands." },
	[METHOD_EXEC_READ] = { "exec.read", A | RO, PARAMS(exec_read_fields, exec_read_params), &schema_exec_chunk, "A piece of what a command wrote." },
	[METHOD_EXEC_WRITE] = { "exec.write", A, PARAMS(exec_write_fields, exec_write_params), .doc = "Bytes for a command's stdin." },
	[METHOD_EXEC_CLOSE_STDIN] = { "exec.closeStdin", A, PARAMS(exec_ref_fields, exec_ref_params), .doc = "End of file on a command's stdin." },
	[METHOD_EXEC_RESIZE] = { "exec.resize", A, PARAMS(exec_resize_fields, exec_resize_params), .doc = "A new size of a command's terminal." },
	[METHOD_EXEC_SIGNAL] = { "exec.signal", A, PARAMS(exec_signal_fields, exec_signal_params), .doc = "A signal for a command's process group." },
	[METHOD_EXEC_CANCEL] = { "exec.cancel", A, PARAMS(exec_cancel_fields, exec_ref_params), .doc = "TERM, then KILL to all of a command." },
	[METHOD_SECRET_SET] = { "secret.set", A, PARAMS(secret_set_fields, secret_set_params), &schema_secret, "Puts a secret into the caller's store, or another value in its place; answered when it is on disk." },
	[METHOD_SECRET_LIST] = { "secret.list", A | RO, PARAMS(secret_list_fields, secret_list_params), &schema_secret_list, "The secrets that the caller can lease, without their values." },
	[METHOD_SECRET_REMOVE] = { "secret.remove", A, PARAMS(secret_ref_fields, secret_ref_params), .doc = "Takes a secret out of the caller's store; leases of it go on." },
	[METHOD_SECRET_LEASE] = { "secret.lease", A, PARAMS(secret_lease_fields, secret_lease_params), &schema_lease, "Lends a secret for a time." },
	[METHOD_SECRET_RENEW] = { "secret.renew", A, PARAMS(secret_renew_fields, lease_ref_params), &schema_lease, "Makes a lease last longer, from now." },
	[METHOD_SECRET_REVOKE] = { "secret.revoke", A, PARAMS(secret_revoke_fields, lease_ref_params), &schema_revoked, "Ends a lease, or all of a command, a sandbox or a loop." },
	[METHOD_SECRET_REVOKE_ALL] = { "secret.revokeAll", A, PARAMS(secret_revoke_all_fields, lease_ref_params), &schema_revoked, "Ends every lease of the caller's; of everybody's for root." },
	[METHOD_SECRET_LEASES] = { "secret.leases", A | RO, PARAMS(secret_leases_fields, lease_list_params), &schema_lease_list, "Who has which secret until when: the caller's leases, everybody's for root; never a value." },
	[METHOD_AUDIT_LIST] = { "audit.list", A | RO, PARAMS(audit_list_fields, audit_list_params), &schema_audit_list, "What was done with the caller's secrets; root: with everybody's." },
	[METHOD_AUDIT_VERIFY] = { "audit.verify", A | RO, PARAMS(audit_verify_fields, audit_verify_params), &schema_audit_report, "Whether the audit log is as it was written." },
	[METHOD_NETWORK_GET] = { "network.get", RO, .doc = "What a sandbox can reach." },
	[METHOD_NETWORK_SET] = { "network.set", 0, .doc = "Changes what a sandbox can reach." },
	[METHOD_NETWORK_LOG] = { "network.log", RO, .doc = "What a sandbox tried to reach." },
	[METHOD_TEMPLATE_LIST] = { "template.list", A | RO, PARAMS(list_fields, list_params), &schema_template_list, "The templates there are." },
	[METHOD_TEMPLATE_GET] = { "template.get", A | RO, PARAMS(template_get_fields, template_ref_params), &schema_template, "One template." },
	[METHOD_TEMPLATE_BUILD] = { "template.build", A | S, PARAMS(template_build_fields, template_build_params), &schema_template, "Builds a tool's layer, or debian." },
	[METHOD_TEMPLATE_IMPORT] = { "template.import", S, .result = &schema_template, .doc = "Makes a template of an image." },
	[METHOD_TEMPLATE_REMOVE] = { "template.remove", A, PARAMS(template_remove_fields, template_ref_params), .doc = "Deletes a template." },
	[METHOD_POOL_LIST] = { "pool.list", A | RO, PARAMS(pool_list_fields, pool_list_params), &schema_pool_list, "The caller's pools of spares; root: everyone's." },
	[METHOD_POOL_SET] = { "pool.set", A, PARAMS(pool_set_fields, pool_set_params), &schema_pool, "How many spares to keep of a template; kept over a restart." },
	[METHOD_EVENTS_SUBSCRIBE] = { "events.subscribe", A | S | METHOD_NO_BATCH, PARAMS(events_subscribe_fields, events_subscribe_params), &schema_subscription, "Sends events from a cursor on, as events.event, until the connection ends." },
	[METHOD_EVENTS_UNSUBSCRIBE] = { "events.unsubscribe", A, PARAMS(events_unsubscribe_fields, events_unsubscribe_params), .doc = "Ends a subscription." },
};

#define N FIELD_NULLABLE

static const struct field exec_started_fields[] = {
	{ "execId", FIELD_STRING, R, .doc = "Its id." },
	{ "requestId", FIELD_STRING_OR_INT, R | N, .doc = "Of the request that it belongs to." },
	{ "sandbox", FIELD_STRING, R, .doc = "Where it runs." },
	{ "pid", FIELD_INT64, R | N, .doc = "As the sandbox sees it." },
	{ "startedAt", FIELD_TIME, R | N, .doc = "When it started." },
	END
};
static const struct field exec_data_fields[] = {
	{ "execId", FIELD_STRING, R, .doc = "Its id." },
	{ "stream", FIELD_ENUM, R, .values = stream_names, .doc = "Which of its streams." },
	{ "offset", FIELD_INT64, R, .doc = "Of the first byte." },
	{ "data", FIELD_TEXT, R, .doc = "What it wrote." },
	END
};
static const struct field progress_fields[] = {
	{ "requestId", FIELD_STRING_OR_INT, R | N, .doc = "Of the request that it belongs to." },
	{ "message", FIELD_STRING, R, .doc = "What is being done." },
	{ "current", FIELD_INT64, .doc = "How much is done." },
	{ "total", FIELD_INT64, .doc = "Of how much." },
	END
};
static const struct field event_fields[] = {
	{ "subscription", FIELD_STRING, R, .doc = "Which one." },
	{ "cursor", FIELD_STRING, R, .doc = "Where to go on." },
	{ "at", FIELD_TIME, R, .doc = "When it happened." },
	{ "type", FIELD_STRING, R, .doc = "What happened." },
	{ "loopId", FIELD_STRING, N, .doc = "To which loop." },
	{ "sandbox", FIELD_STRING, N, .doc = "To which sandbox." },
	{ "execId", FIELD_STRING, N, .doc = "To which command." },
	{ "data", FIELD_ANY, R, .doc = "More about it." },
	END
};
static const struct field gap_fields[] = {
	{ "subscription", FIELD_STRING, R, .doc = "Which one." },
	{ "from", FIELD_STRING, R, .doc = "Cursor of the first of them." },
	{ "to", FIELD_STRING, R, .doc = "Cursor of the last of them." },
	END
};

const struct notification notifications[] = {
	{ "exec.started", true, exec_started_fields, "Always first for exec.run, loop.run and exec.attach." },
	{ "exec.data", true, exec_data_fields, "What a command wrote; never dropped." },
	{ "progress", true, progress_fields, "How far a long call is." },
	{ "events.event", true, event_fields, "Something happened." },
	{ "events.gap", true, gap_fields, "Events that this subscriber will never see." },
};

/* clang-format on */

const size_t notifications_count = ARRAY_SIZE(notifications);

const struct method *method_by_name(const char *name)
{
	for (size_t i = 0; i < METHOD_MAX; i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

enum method_id method_id_of(const struct method *m)
{
	return (enum method_id)(m - methods);
}

const struct field *field_by_name(const struct field *fields, const char *name)
{
	for (const struct field *f = fields; f && f->name; f++)
		if (strcmp(f->name, name) == 0)
			return f;
	return NULL;
}
