/* SPDX-License-Identifier: Apache-2.0 */
/* Result types. Fields may be added, never changed: clients ignore what they do not know. */

#include "schemas.h"

#include "macro.h"

/* clang-format off */

#define R FIELD_REQUIRED
#define N FIELD_NULLABLE
#define END { 0 }

static const char *const sandbox_states[] = { "creating", "running", "paused", "stopped", "failed", "removed", NULL };
static const char *const exec_states[] = { "starting", "running", "ended", NULL };
static const char *const template_states[] = { "ready", "building", "failed", NULL };
static const char *const pool_sources[] = { "default", "configuration", "pool.set", NULL };
static const char *const launch_types[] = { "warm", "cold", NULL };
static const char *const network_modes[] = { "none", "gateway", "host", NULL };
static const char *const run_states[] = { "completed", "failed", "cancelled", NULL };
static const char *const backends[] = { "local", NULL };
static const char *const loop_states[] = { "active", "cancelled", "destroyed", NULL };
static const char *const receipt_outcomes[] = { "completed", "failed", "cancelled", "expired", NULL };
static const char *const severities[] = { "required", "optional", NULL };
static const char *const oom_scopes[] = { "exec", "sandbox", NULL };
static const char *const causes[] = {
	"exited", "signaled", "timeout", "cancelled", "oom", "lease_revoked", "disk_full", "sandbox_lost",
	"never_started", NULL,
};
static const char *const start_error_kinds[] = {
	"not_found", "not_executable", "bad_workdir", "bad_user", "too_big", "bad_file", "bad_stage", "internal", NULL,
};

static const struct field transport_limits[] = {
	{ "lineBytes", FIELD_INT64, R, .doc = "Bytes in one request line." },
	{ "batch", FIELD_INT64, R, .doc = "Calls in one batch." },
	{ "inFlight", FIELD_INT64, R, .doc = "Requests of one connection without an answer." },
	{ "fds", FIELD_INT64, R, .doc = "File descriptors waiting on one connection." },
	{ "nesting", FIELD_INT64, R, .doc = "Depth of the JSON." },
	END
};

static const char *const runtime_types[] = { "crun", "runc", "runsc", "host", NULL };
static const struct field runtime_fields[] = {
	{ "name", FIELD_STRING, R, .doc = "As in runtime of sandbox.create." },
	{ "type", FIELD_ENUM, R, .values = runtime_types, .doc = "What kind of program it is; host: none." },
	{ "path", FIELD_STRING, N, .doc = "The program that was found." },
	{ "available", FIELD_BOOL, R, .doc = "Installed, or host and allowed." },
	END
};
static const struct field create_defaults[] = {
	{ "runtime", FIELD_STRING, R, .doc = "What sets a sandbox up." },
	{ "network", FIELD_ENUM, R, .values = network_modes, .doc = "What can be reached." },
	END
};

static const struct field tool_fields[] = {
	{ "name", FIELD_STRING, R, .doc = "What sandbox.create takes as tool." },
	{ "version", FIELD_STRING, .doc = "What its layer holds unless NAME@VERSION is asked for; absent: it has none." },
	{ "run", FIELD_STRINGS, R, .doc = "Command of its agent on a terminal." },
	{ "prompt", FIELD_BOOL, R, .doc = "True when it has headless runs." },
	{ "timeoutMs", FIELD_INT64, R, .doc = "Timeout of a headless run whose caller does not say." },
	{ "needsHosts", FIELD_BOOL, R, .doc = "True when it is of no use without a network." },
	END
};

static const struct field system_info_fields[] = {
	{ "version", FIELD_STRING, R, .doc = "Version of the daemon." },
	{ "protocol", FIELD_STRING, R, .doc = "Version of this protocol; info.version of rpc.discover." },
	{ "features", FIELD_STRINGS, R, .doc = "What can be relied on beyond the protocol's version." },
	{ "instanceId", FIELD_STRING, R, .doc = "Part of every name that this daemon makes on the host." },
	{ "uptimeMs", FIELD_INT64, R, .doc = "Since the daemon started." },
	{ "runtimes", FIELD_OBJECTS, R, .fields = runtime_fields, .doc = "The configured runtimes." },
	{ "tools", FIELD_OBJECTS, R, .fields = tool_fields, .doc = "The tools that sandboxes can be made for." },
	{ "cgroup", FIELD_ANY, R, .doc = "How limits are enforced." },
	{ "rootless", FIELD_BOOL, R, .doc = "True when the daemon is not root." },
	{ "limits", FIELD_OBJECT, R, .fields = transport_limits, .doc = "The transport's limits." },
	{ "defaults", FIELD_OBJECT, R, .fields = create_defaults, .doc = "What a sandbox gets whose maker does not say." },
	{ "counts", FIELD_COUNTS, R, .doc = "How many objects there are." },
	END
};
const struct schema schema_system_info = { "SystemInfo", system_info_fields, "The daemon and what it can do." };

static const struct field doctor_check_fields[] = {
	{ "name", FIELD_STRING, R, .doc = "What was looked at." },
	{ "ok", FIELD_BOOL, R | N, .doc = "Whether it is as it should be; null: it could not be looked at." },
	{ "severity", FIELD_ENUM, R, .values = severities, .doc = "Whether sandboxes work without it." },
	{ "detail", FIELD_STRING, R, .doc = "What was found." },
	{ "hint", FIELD_STRING, R | N, .doc = "What would be right." },
	{ "fix", FIELD_STRINGS, N, .doc = "The command that mends it." },
	END
};
static const struct field doctor_fields[] = {
	{ "checks", FIELD_OBJECTS, R, .fields = doctor_check_fields, .doc = "One entry for each thing checked." },
	END
};
const struct schema schema_doctor = { "Doctor", doctor_fields, "The state of the host." };

static const struct field workspace_fields[] = {
	{ "path", FIELD_TEXT, R, .doc = "The same inside and outside." },
	{ "readOnly", FIELD_BOOL, R, .doc = "Whether the sandbox can only read it." },
	{ "gitConfig", FIELD_STRING, .doc = "\"writable\" when git's configuration may be changed inside." },
	END
};
static const struct field network_fields[] = {
	{ "mode", FIELD_ENUM, R, .values = network_modes, .doc = "What can be reached." },
	{ "policy", FIELD_STRING, N, .doc = "What happens to hosts not listed." },
	{ "allow", FIELD_STRINGS, N, .doc = "Hosts that can be reached." },
	{ "block", FIELD_STRINGS, N, .doc = "Hosts that cannot be reached." },
	END
};
static const struct field limits_fields[] = {
	{ "memoryBytes", FIELD_INT64, N, .doc = "Memory of all its processes." },
	{ "cpuMilli", FIELD_INT64, N, .doc = "Thousandths of a processor." },
	{ "pids", FIELD_INT64, N, .doc = "Processes and threads." },
	{ "shmBytes", FIELD_INT64, N, .doc = "Size of /dev/shm." },
	{ "diskBytes", FIELD_INT64, N, .doc = "Size of what it may write outside its workspaces." },
	END
};
static const struct field sandbox_fields[] = {
	{ "name", FIELD_STRING, R, .doc = "Unique among its owner's." },
	{ "id", FIELD_STRING, R, .doc = "Never used again." },
	{ "loopId", FIELD_STRING, N, .doc = "The loop it belongs to." },
	{ "tool", FIELD_STRING, N, .doc = "The tool it was made for." },
	{ "template", FIELD_STRING, R, .doc = "The file system it started from." },
	{ "runtime", FIELD_STRING, R, .doc = "What set it up." },
	{ "isolated", FIELD_BOOL, R, .doc = "False: the runtime is of the type host, which is no boundary." },
	{ "state", FIELD_ENUM, R, .values = sandbox_states, .doc = "Where it is in its life." },
	{ "cause", FIELD_STRING, N, .doc = "Why it stopped or failed." },
	{ "workspaces", FIELD_OBJECTS, R, .fields = workspace_fields, .doc = "Host folders mounted at their own path." },
	{ "user", FIELD_STRING, R | N, .doc = "Who commands run as unless they say otherwise." },
	{ "network", FIELD_OBJECT, R, .fields = network_fields, .doc = "What can be reached." },
	{ "limits", FIELD_OBJECT, R, .fields = limits_fields, .doc = "What it may use." },
	{ "labels", FIELD_LABELS, R, .doc = "As given at create." },
	{ "createdAt", FIELD_TIME, R, .doc = "When it was made." },
	{ "expiresAt", FIELD_TIME, N, .doc = "When its ttl ends it." },
	{ "idleTimeoutMs", FIELD_INT64, N, .doc = "Stopped after this time without a running command." },
	{ "rm", FIELD_BOOL, .doc = "Whether it is removed when it stops." },
	{ "launchType", FIELD_ENUM, R | N, .values = launch_types, .doc = "From a spare, or from nothing." },
	{ "pid", FIELD_INT64, R | N, .doc = "Its init as the host sees it." },
	END
};
const struct schema schema_sandbox = { "Sandbox", sandbox_fields, "An isolated place in which a tool works." };

static const struct field sandbox_list_fields[] = {
	{ "sandboxes", FIELD_REFS, R, .schema = &schema_sandbox, .doc = "In order of creation." },
	END
};
const struct schema schema_sandbox_list = { "SandboxList", sandbox_list_fields, "Sandboxes." };

static const struct field stats_fields[] = {
	{ "sandbox", FIELD_STRING, R, .doc = "Its name." },
	{ "id", FIELD_STRING, R, .doc = "Its id." },
	{ "state", FIELD_ENUM, R, .values = sandbox_states, .doc = "Where it is in its life." },
	{ "at", FIELD_TIME, R, .doc = "When this was found." },
	{ "cpuMs", FIELD_INT64, R | N, .doc = "Processor time of this run so far." },
	{ "memoryBytes", FIELD_INT64, R | N, .doc = "Memory now." },
	{ "peakMemoryBytes", FIELD_INT64, R | N, .doc = "The most so far." },
	{ "pids", FIELD_INT64, R | N, .doc = "Processes and threads now." },
	{ "oomKills", FIELD_INT64, R | N, .doc = "Processes that the kernel killed for want of memory." },
	{ "execs", FIELD_INT64, R, .doc = "Commands that run." },
	{ "diskBytes", FIELD_INT64, R | N, .doc = "What it wrote outside its workspaces, if that was asked." },
	END
};
const struct schema schema_stats = { "Stats", stats_fields, "What a sandbox uses; null is what cannot be known." };

static const struct field disk_fields[] = {
	{ "sandboxBytes", FIELD_INT64, R, .doc = "What sandboxes wrote outside their workspaces." },
	{ "spoolBytes", FIELD_INT64, R, .doc = "What commands wrote and can still be read." },
	{ "spoolMaxBytes", FIELD_INT64, R | N, .doc = "How much of that is kept, of all users together; null: all." },
	{ "trashBytes", FIELD_INT64, R, .doc = "What is being deleted." },
	{ "freeBytes", FIELD_INT64, R | N, .doc = "What is left where all that lies." },
	{ "minFreeBytes", FIELD_INT64, R | N, .doc = "Below so much of it nothing new is made." },
	END
};
const struct schema schema_disk = { "DiskUsage", disk_fields, "Disk space, but that of templates." };

static const struct field start_error_fields[] = {
	{ "kind", FIELD_ENUM, R, .values = start_error_kinds, .doc = "What was wrong." },
	{ "errno", FIELD_INT64, R, .doc = "As the kernel said." },
	{ "message", FIELD_STRING, R, .doc = "For a person." },
	END
};
static const struct field exec_result_fields[] = {
	{ "execId", FIELD_STRING, R, .doc = "Its id." },
	{ "exitCode", FIELD_INT64, R | N, .doc = "null unless it exited." },
	{ "signal", FIELD_STRING_OR_INT, R | N, .doc = "null unless a signal ended it." },
	{ "cause", FIELD_ENUM, R, .values = causes, .doc = "Why it ended." },
	{ "startError", FIELD_OBJECT, N, .fields = start_error_fields, .doc = "Why it could not be started." },
	{ "stdout", FIELD_TEXT, N, .doc = "The last 1 MiB; null when it went to the caller's descriptor." },
	{ "stderr", FIELD_TEXT, N, .doc = "The last 1 MiB; null when it went to the caller's descriptor." },
	{ "output", FIELD_TEXT, N, .doc = "Both in their exact order, with capture merged; the last 1 MiB." },
	{ "truncated", FIELD_BOOL, R, .doc = "Whether there was more than is here." },
	{ "startedAt", FIELD_TIME, R | N, .doc = "When it started." },
	{ "completedAt", FIELD_TIME, R, .doc = "When it had ended." },
	{ "durationMs", FIELD_INT64, R, .doc = "Between the two, by a clock that is never set." },
	{ "cpuMs", FIELD_INT64, R, .doc = "Processor time." },
	{ "peakMemoryBytes", FIELD_INT64, R, .doc = "The most memory that it used." },
	{ "leftovers", FIELD_INT64, R, .doc = "Processes that outlived it and were killed." },
	{ "oomKills", FIELD_INT64, R, .doc = "Processes that the kernel killed for want of memory meanwhile." },
	{ "oomScope", FIELD_ENUM, R | N, .values = oom_scopes, .doc = "Whose those were." },
	END
};
const struct schema schema_exec_result = { "ExecResult", exec_result_fields, "How a command ended." };

static const struct field verification_fields[] = {
	{ "commands", FIELD_STRINGS, R, .doc = "As given." },
	{ "success", FIELD_BOOL, R, .doc = "Whether each exited 0." },
	{ "output", FIELD_STRING, R, .doc = "What they wrote, each behind a line with its command." },
	END
};
static const struct field logs_fields[] = {
	{ "executionLog", FIELD_STRING, R, .doc = "What was run when, and how it ended: a line for each." },
	{ "stdout", FIELD_STRING, R, .doc = "The end of it." },
	{ "stderr", FIELD_STRING, R, .doc = "The end of it." },
	END
};
static const struct field artifacts_fields[] = {
	{ "headSha", FIELD_STRING, R | N, .doc = "HEAD of the worktree; null: no commit, no repository, or artifacts none." },
	{ "baseSha", FIELD_STRING, N, .doc = "The commit from which changes are counted." },
	{ "touchedFiles", FIELD_TEXTS, R, .doc = "Files that differ from baseSha, committed or not, below workDir." },
	{ "touchedFilesTruncated", FIELD_BOOL, .doc = "There are more." },
	{ "patch", FIELD_TEXT, N, .doc = "With artifacts patch: what makes the same change elsewhere." },
	{ "emptyBecause", FIELD_STRING, N, .doc = "Why there is no patch: a keyword, a colon, a sentence." },
	{ "uncommitted", FIELD_BOOL, .doc = "HEAD does not have it all." },
	{ "unreachableCommits", FIELD_BOOL, .doc = "HEAD has commits that no branch, tag or remote has." },
	{ "verification", FIELD_OBJECT, N, .fields = verification_fields, .doc = "With verificationCommands." },
	{ "logs", FIELD_OBJECT, R, .fields = logs_fields, .doc = "Invalid UTF-8 is replaced; exec.read has the bytes." },
	END
};
static const struct field loop_run_result_fields[] = {
	{ "requestId", FIELD_STRING, R, .doc = "As given, or the execId." },
	{ "state", FIELD_ENUM, R, .values = run_states, .doc = "completed: exited 0 and verified; cancelled: cancelled; failed: all else." },
	{ "startedAt", FIELD_TIME, R, .doc = "When it started." },
	{ "completedAt", FIELD_TIME, R, .doc = "When all of it, verification too, had ended." },
	{ "durationMs", FIELD_INT64, R, .doc = "Between the two, by a clock that is never set." },
	{ "backend", FIELD_ENUM, R, .values = backends, .doc = "Where it ran." },
	{ "artifacts", FIELD_OBJECT, R, .fields = artifacts_fields, .doc = "What it left." },
	{ "error", FIELD_STRING, N, .doc = "Why it is not completed: a sentence." },
	{ "output", FIELD_STRING, R, .doc = "The end of its stdout; of its stderr when that is empty. Invalid UTF-8 is replaced." },
	{ "exec", FIELD_REF, R, .schema = &schema_exec_result, .doc = "How the tool's command ended, without its texts." },
	END
};
const struct schema schema_loop_run_result = { "LoopRunResult", loop_run_result_fields, "What an agent did." };

static const struct field exec_fields[] = {
	{ "execId", FIELD_STRING, R, .doc = "Its id." },
	{ "sandbox", FIELD_STRING, R, .doc = "Where it runs." },
	{ "loopId", FIELD_STRING, N, .doc = "The loop it belongs to." },
	{ "stage", FIELD_STRING, N, .doc = "As given." },
	{ "storyId", FIELD_STRING, N, .doc = "As given." },
	{ "command", FIELD_STRINGS, R, .doc = "Its argument vector." },
	{ "state", FIELD_ENUM, R, .values = exec_states, .doc = "Where it is in its life." },
	{ "pid", FIELD_INT64, N, .doc = "As the sandbox sees it." },
	{ "startedAt", FIELD_TIME, R | N, .doc = "When it started." },
	{ "result", FIELD_REF, N, .schema = &schema_exec_result, .doc = "When it has ended." },
	END
};
const struct schema schema_exec = { "Exec", exec_fields, "One command in a sandbox." };

static const struct field exec_list_fields[] = {
	{ "execs", FIELD_REFS, R, .schema = &schema_exec, .doc = "In order of start." },
	END
};
const struct schema schema_exec_list = { "ExecList", exec_list_fields, "Commands." };

static const struct field exec_chunk_fields[] = {
	{ "data", FIELD_TEXT, R, .doc = "Never ends inside a character unless the stream ends there." },
	{ "nextOffset", FIELD_INT64, R, .doc = "Where to go on reading." },
	{ "eof", FIELD_BOOL, R, .doc = "Whether nothing will come after this." },
	END
};
const struct schema schema_exec_chunk = { "ExecChunk", exec_chunk_fields, "A piece of what a command wrote." };

static const struct field template_fields[] = {
	{ "name", FIELD_STRING, R, .doc = "With its version, if it has one." },
	{ "digest", FIELD_STRING, R | N, .doc = "Of its contents." },
	{ "base", FIELD_STRING, N, .doc = "The template below it." },
	{ "tool", FIELD_STRING, N, .doc = "The tool that it carries." },
	{ "version", FIELD_STRING, N, .doc = "Of the tool." },
	{ "sizeBytes", FIELD_INT64, R, .doc = "Without its base." },
	{ "createdAt", FIELD_TIME, R | N, .doc = "When it was built." },
	{ "state", FIELD_ENUM, R, .values = template_states, .doc = "Whether it can be used." },
	END
};
const struct schema schema_template = { "Template", template_fields, "A read-only file system that sandboxes start from." };

static const struct field template_list_fields[] = {
	{ "templates", FIELD_REFS, R, .schema = &schema_template, .doc = "By name." },
	END
};
const struct schema schema_template_list = { "TemplateList", template_list_fields, "Templates." };

static const struct field audit_entry_fields[] = {
	{ "seq", FIELD_INT64, R, .doc = "Its number, from 1." },
	{ "at", FIELD_TIME, R, .doc = "When." },
	{ "uid", FIELD_INT64, R, .doc = "Whose doing it was." },
	{ "pid", FIELD_INT64, R, .doc = "The client's process; 0: the daemon itself." },
	{ "exe", FIELD_STRING, .doc = "What ran as that pid." },
	{ "action", FIELD_STRING, R, .doc = "set, remove, lease, renew, release, expire, revoke, refresh; begin: a new file." },
	{ "result", FIELD_STRING, R, .doc = "ok, or the kind of the error." },
	{ "secret", FIELD_STRING, .doc = "Its name." },
	{ "leaseId", FIELD_STRING, .doc = "Of the lease." },
	{ "provider", FIELD_STRING, .doc = "Where the secret comes from." },
	{ "loopId", FIELD_STRING, .doc = "For which loop." },
	{ "sandbox", FIELD_STRING, .doc = "For which sandbox, by name." },
	{ "execId", FIELD_STRING, .doc = "For which command." },
	{ "stage", FIELD_STRING, .doc = "In which stage." },
	{ "key", FIELD_STRING, .doc = "begin: under which key the file is." },
	{ "prev", FIELD_STRING, .doc = "begin: the hash that it goes on from." },
	{ "mac", FIELD_STRING, R, .doc = "HMAC of the entry before and of this one: its hash." },
	END
};
static const struct schema schema_audit_entry = { "AuditEntry", audit_entry_fields, "Who did what with which secret." };

static const struct field audit_list_fields[] = {
	{ "entries", FIELD_REFS, R, .schema = &schema_audit_entry, .doc = "By seq." },
	END
};
const struct schema schema_audit_list = { "AuditList", audit_list_fields, "Entries of the audit log, as they are there: only audit.verify checks them." };

static const char *const audit_reasons[] = { "missing", "damaged", "changed", "key", "unreadable", NULL };
static const char *const audit_againsts[] = { "head", "noted", NULL };
static const struct field audit_head_fields[] = {
	{ "count", FIELD_INT64, R, .doc = "The last entry." },
	{ "hash", FIELD_STRING, R, .doc = "Its mac." },
	END
};
static const struct field audit_problem_fields[] = {
	{ "entry", FIELD_INT64, R, .doc = "The first that is not as it was." },
	{ "file", FIELD_STRING, R, .doc = "Where it is or should be, in audit/ of the state directory." },
	{ "reason", FIELD_ENUM, R, .values = audit_reasons, .doc = "What is wrong; changed: with it or what is before it; key: it was written under another." },
	{ "against", FIELD_ENUM, R, .values = audit_againsts, .doc = "What it contradicts." },
	END
};
static const struct field audit_report_fields[] = {
	{ "ok", FIELD_BOOL, R, .doc = "All of it is as it was written." },
	{ "first", FIELD_INT64, R, .doc = "The oldest entry that is kept." },
	{ "checked", FIELD_INT64, R, .doc = "How many entries are as they were written, from there on." },
	{ "head", FIELD_OBJECT, R, .fields = audit_head_fields, .doc = "What they have to lead to: the daemon keeps it beside the log." },
	{ "problem", FIELD_OBJECT, R | N, .fields = audit_problem_fields, .doc = "null: none." },
	END
};
const struct schema schema_audit_report = { "AuditReport", audit_report_fields, "What a check of the audit log found." };
static const char *const lease_holders[] = { "client", "exec", "sandbox", "loop", NULL };
static const struct field lease_holder_fields[] = {
	{ "kind", FIELD_ENUM, R, .values = lease_holders, .doc = "What it ends with." },
	{ "id", FIELD_STRING, R | N, .doc = "Its id; null: whoever asked, so nothing." },
	END
};
static const struct field lease_fields[] = {
	{ "leaseId", FIELD_STRING, R, .doc = "Its id." },
	{ "secret", FIELD_STRING, R, .doc = "Which secret." },
	{ "uid", FIELD_INT64, R, .doc = "Whose secret that is." },
	{ "holder", FIELD_OBJECT, R, .fields = lease_holder_fields, .doc = "Whom it is for." },
	{ "loopId", FIELD_STRING, .doc = "The loop that it is in." },
	{ "sandbox", FIELD_STRING, .doc = "The sandbox that it is in." },
	{ "stage", FIELD_STRING, .doc = "The stage of its command." },
	{ "file", FIELD_STRING, .doc = "The file that its command has it as." },
	{ "createdAt", FIELD_TIME, R, .doc = "When it was made." },
	{ "expiresAt", FIELD_TIME, R, .doc = "When it ends by itself, unless it is renewed." },
	{ "renew", FIELD_BOOL, R, .doc = "Whether it is renewed as long as its holder lives." },
	{ "value", FIELD_TEXT, .doc = "The secret itself, if that was asked." },
	END
};
const struct schema schema_lease = { "Lease", lease_fields, "Who has a secret until when." };
static const struct field lease_list_fields[] = {
	{ "leases", FIELD_REFS, R, .schema = &schema_lease, .doc = "In order of creation." },
	END
};
const struct schema schema_lease_list = { "LeaseList", lease_list_fields, "Leases that have not ended." };
static const struct field revoked_fields[] = {
	{ "revoked", FIELD_INT64, R, .doc = "How many." },
	{ "running", FIELD_INT64, R, .doc = "Those of commands that go on with what they have: only their end takes it back." },
	END
};
const struct schema schema_revoked = { "Revoked", revoked_fields, "Leases that have ended." };

static const struct field pool_fields[] = {
	{ "template", FIELD_STRING, R, .doc = "What its spares start from." },
	{ "owner", FIELD_INT64, R, .doc = "Uid of the user for whom they are." },
	{ "min", FIELD_INT64, R, .doc = "Always so many." },
	{ "max", FIELD_INT64, R, .doc = "Never more." },
	{ "maxAgeMs", FIELD_INT64, R | N, .doc = "A spare that waited so long is replaced; null: never." },
	{ "source", FIELD_ENUM, R, .values = pool_sources, .doc = "Where these three come from." },
	{ "target", FIELD_INT64, R, .doc = "How many there should be now." },
	{ "ready", FIELD_INT64, R, .doc = "Spares that wait." },
	{ "starting", FIELD_INT64, R, .doc = "Spares that are being made." },
	{ "warm", FIELD_INT64, R, .doc = "Creates that got one, since the daemon started." },
	{ "cold", FIELD_INT64, R, .doc = "Creates that one would have fitted and that found none." },
	{ "hitRate", FIELD_NUMBER, R | N, .doc = "warm in both, 0 to 1; null: none yet." },
	{ "stale", FIELD_INT64, R, .doc = "Spares that were given up because their template changed." },
	{ "expired", FIELD_INT64, R, .doc = "Spares that were replaced because of their age." },
	{ "failures", FIELD_INT64, R, .doc = "Spares that could not be made, or died waiting." },
	{ "failuresInRow", FIELD_INT64, R, .doc = "Of those, since the last one that was ready." },
	{ "retryAt", FIELD_TIME, R | N, .doc = "After failures: when the next one is tried." },
	{ "reason", FIELD_STRING, R | N, .doc = "Why it makes no spares now, or who does not get them." },
	END
};
const struct schema schema_pool = { "Pool", pool_fields, "Sandboxes without identity that wait for a create." };

static const struct field pool_list_fields[] = {
	{ "pools", FIELD_REFS, R, .schema = &schema_pool, .doc = "By template, then owner." },
	END
};
const struct schema schema_pool_list = { "PoolList", pool_list_fields, "Pools." };

static const struct field secret_fields[] = {
	{ "secret", FIELD_STRING, R, .doc = "Its name." },
	{ "provider", FIELD_STRING, R, .doc = "Where its value comes from; store: secret.set." },
	{ "available", FIELD_BOOL, R, .doc = "Whether a lease would probably be given." },
	{ "problem", FIELD_STRING, N, .doc = "Why it cannot be leased now, and what mends it." },
	{ "sizeBytes", FIELD_INT64, N, .doc = "Of a value in the store." },
	{ "createdAt", FIELD_TIME, N, .doc = "When it was put into the store first." },
	{ "updatedAt", FIELD_TIME, N, .doc = "When its value was put into the store." },
	{ "maxTtlMs", FIELD_INT64, R, .doc = "No lease of it is longer." },
	END
};
const struct schema schema_secret = { "Secret", secret_fields, "What there is to lease; never its value." };

static const struct field tool_ready_fields[] = {
	{ "tool", FIELD_STRING, R, .doc = "Its name." },
	{ "ready", FIELD_BOOL, R, .doc = "Whether its agent would find a secret now." },
	{ "secret", FIELD_STRING, R, .doc = "Which one; of one that is not ready, the first that would do." },
	{ "detail", FIELD_STRING, R, .doc = "What there is, or is not, in words." },
	{ "hint", FIELD_STRING, N, .doc = "The commands that mend it; null: it is ready." },
	{ "stored", FIELD_BOOL, R, .doc = "Whether secret.set mends it." },
	END
};
const struct schema schema_tool_ready = { "ToolReady", tool_ready_fields, "Whether a tool has its secrets." };

static const struct field secret_list_fields[] = {
	{ "secrets", FIELD_REFS, R, .schema = &schema_secret, .doc = "By name." },
	{ "tools", FIELD_REFS, R, .schema = &schema_tool_ready, .doc = "Each tool whose profile names a secret." },
	END
};
const struct schema schema_secret_list = { "SecretList", secret_list_fields, "Secrets." };

static const struct field loop_fields[] = {
	{ "loopId", FIELD_STRING, R, .doc = "Unique among its owner's." },
	{ "state", FIELD_ENUM, R, .values = loop_states, .doc = "Where it is in its life." },
	{ "workDir", FIELD_TEXT, R, .doc = "The worktree, the same inside and outside." },
	{ "tools", FIELD_STRINGS, R, .doc = "As given at create." },
	{ "sandboxes", FIELD_STRINGS, R, .doc = "Names of its sandboxes." },
	{ "runtime", FIELD_STRING, N, .doc = "What sets its sandboxes up." },
	{ "isolated", FIELD_BOOL, .doc = "False: that is no boundary; absent: it has no sandbox." },
	{ "execs", FIELD_INT64, R, .doc = "Commands that are running or can still be asked for." },
	{ "alive", FIELD_BOOL, R, .doc = "Whether one of them is running." },
	{ "aliveSince", FIELD_TIME, R | N, .doc = "When the first of those that are running began." },
	{ "lastOutputAt", FIELD_TIME, R | N, .doc = "When one of them wrote something last." },
	{ "cpuMs", FIELD_INT64, R, .doc = "Processor time of those that have ended, and of the others; loop.get looks, a list has it of the last look." },
	{ "cpuMilli", FIELD_INT64, R | N, .doc = "What they use now, thousandths of a processor: since the look before. Null: nobody has looked, or it cannot be seen." },
	{ "idleMs", FIELD_INT64, R | N, .doc = "For how long none of those that are running wrote, computed, read or wrote files, as far as was seen; null as above." },
	{ "createdAt", FIELD_TIME, R, .doc = "When it was made." },
	{ "labels", FIELD_LABELS, R, .doc = "As given at create." },
	{ "endedAt", FIELD_TIME, N, .doc = "When it was cancelled or destroyed." },
	{ "reason", FIELD_STRING, N, .doc = "Why it was cancelled." },
	END
};
const struct schema schema_loop = { "Loop", loop_fields, "One run of an orchestrator over one worktree." };

static const struct field loop_list_fields[] = {
	{ "loops", FIELD_REFS, R, .schema = &schema_loop, .doc = "In order of creation." },
	END
};
const struct schema schema_loop_list = { "LoopList", loop_list_fields, "Loops." };

static const struct field receipt_artifacts_fields[] = {
	{ "headSha", FIELD_STRING, R | N, .doc = "HEAD of the worktree; null: no commit, or no repository." },
	{ "baseSha", FIELD_STRING, N, .doc = "HEAD when the loop was made: changes are counted from there." },
	{ "touchedFiles", FIELD_TEXTS, R, .doc = "Files that differ from baseSha, committed or not, below workDir." },
	{ "touchedFilesTruncated", FIELD_BOOL, .doc = "There are more." },
	{ "patch", FIELD_TEXT, N, .doc = "What makes the same change elsewhere, from baseSha." },
	{ "emptyBecause", FIELD_STRING, N, .doc = "Why there is no patch: a keyword, a colon, a sentence." },
	{ "uncommitted", FIELD_BOOL, .doc = "HEAD did not have it all." },
	{ "unreachableCommits", FIELD_BOOL, .doc = "HEAD had commits that no branch, tag or remote has." },
	{ "gitsInside", FIELD_TEXTS, R, .doc = "Each .git below workDir, but its own, that was made or changed since: what git on the host would obey there." },
	{ "logs", FIELD_OBJECT, R, .fields = logs_fields, .doc = "Of its last commands; invalid UTF-8 is replaced." },
	END
};
static const struct field receipt_fields[] = {
	{ "loopId", FIELD_STRING, R, .doc = "The loop that is gone." },
	{ "outcome", FIELD_ENUM, R, .values = receipt_outcomes, .doc = "As given to loop.destroy; cancelled: swept some time after loop.cancel; expired: by its ttlMs." },
	{ "at", FIELD_TIME, R, .doc = "When all of it was gone." },
	{ "workDir", FIELD_TEXT, R, .doc = "Which stays." },
	{ "sandboxes", FIELD_STRINGS, R, .doc = "Those that were removed, with every file that they had outside of workDir." },
	{ "execs", FIELD_INT64, R, .doc = "Commands that were forgotten." },
	{ "cpuMs", FIELD_INT64, R, .doc = "Processor time of those." },
	{ "processesKilled", FIELD_INT64, R, .doc = "Processes that outlived their command or had to be ended." },
	{ "outputBytes", FIELD_INT64, R, .doc = "Kept output that was deleted." },
	{ "worktreeUnlocked", FIELD_BOOL, R | N, .doc = "Whether `git worktree remove` is free again; null: workDir is no worktree." },
	{ "headSha", FIELD_STRING, R | N, .doc = "HEAD of the worktree in the end, or after the last loop.run that looked." },
	{ "refsChanged", FIELD_TEXTS, R | N, .doc = "Branches, tags and other refs that are not what they were when the loop was made, whoever changed them, but for the branch that it began on; at most 1000. null: that could not be told." },
	{ "artifacts", FIELD_OBJECT, R | N, .fields = receipt_artifacts_fields, .doc = "What is kept of its work; null: no longer." },
	END
};
const struct schema schema_receipt = { "Receipt", receipt_fields, "What became of a loop." };

static const struct field subscription_fields[] = {
	{ "subscription", FIELD_STRING, R, .doc = "Its name in notifications and for events.unsubscribe." },
	{ "cursor", FIELD_STRING, R, .doc = "Behind which events are sent." },
	END
};
const struct schema schema_subscription = { "Subscription", subscription_fields, "Events that are being sent." };

static const struct field openrpc_fields[] = {
	{ "openrpc", FIELD_STRING, R, .doc = "Version of the OpenRPC specification." },
	{ "info", FIELD_ANY, R, .doc = "Title and version of this protocol." },
	{ "methods", FIELD_ANY, R, .doc = "Methods, their params, results and errors." },
	{ "components", FIELD_ANY, R, .doc = "The named types." },
	{ "x-notifications", FIELD_ANY, R, .doc = "What the daemon sends without being asked." },
	{ "x-unavailable", FIELD_STRINGS, .doc = "Methods of the contract that this version does not have yet." },
	END
};
const struct schema schema_openrpc = { "OpenRPC", openrpc_fields, "An OpenRPC document." };

const struct schema *const schemas[] = {
	&schema_openrpc,
	&schema_system_info,
	&schema_doctor,
	&schema_sandbox,
	&schema_sandbox_list,
	&schema_stats,
	&schema_disk,
	&schema_exec,
	&schema_exec_list,
	&schema_exec_result,
	&schema_exec_chunk,
	&schema_template,
	&schema_template_list,
	&schema_audit_entry,
	&schema_audit_list,
	&schema_audit_report,
	&schema_lease,
	&schema_lease_list,
	&schema_revoked,
	&schema_pool,
	&schema_pool_list,
	&schema_secret,
	&schema_secret_list,
	&schema_tool_ready,
	&schema_loop,
	&schema_loop_list,
	&schema_receipt,
	&schema_loop_run_result,
	&schema_subscription,
};

/* clang-format on */

const size_t schemas_count = ARRAY_SIZE(schemas);
