/* SPDX-License-Identifier: Apache-2.0 */
/* Rows only. An option that the daemon has not built yet is here all the same: the daemon refuses
 * it by name, which is more use than "unknown option". */

#include "verbs.h"

#include <stdint.h>
#include <string.h>

#include "macro.h"

/* clang-format off */

#define END { .name = NULL }
#define FLAG .kind = OPTION_KIND_FLAG
#define STRING(arg) .kind = OPTION_KIND_STRING, .argument = (arg)
#define SIZE .kind = OPTION_KIND_SIZE, .argument = "SIZE"
#define DURATION .kind = OPTION_KIND_DURATION, .argument = "DUR"
#define MANY SIZE_MAX
#define OWN_FAILURE 125 /* of verbs whose exit status is a command's */

const struct option_row global_options[] = {
	{ "socket", OPTION_SOCKET, 0, STRING("PATH"), .help = "the daemon's socket; else $SANDBOXD_SOCKET, else the usual places" },
	{ "output", OPTION_OUTPUT, 'o', STRING("FORMAT"), .help = "table, or json: exactly the RPC's result" },
	{ "no-autostart", OPTION_NO_AUTOSTART, 0, FLAG, .help = "start no daemon where none runs" },
	{ "help", OPTION_HELP, 'h', FLAG, .help = "show this" },
	{ "version", OPTION_VERSION, 'V', FLAG, .help = "show the version" },
	END
};
const struct option_row common_options[] = {
	{ "socket", OPTION_SOCKET, 0, STRING("PATH"), .help = "the daemon's socket" },
	{ "output", OPTION_OUTPUT, 'o', STRING("FORMAT"), .help = "table or json" },
	{ "no-autostart", OPTION_NO_AUTOSTART, 0, FLAG, .help = "start no daemon where none runs" },
	{ "help", OPTION_HELP, 'h', FLAG, .help = "show this" },
	END
};
static const struct option_row no_options[] = { END };

#define OPTIONS_OF_ANY_CREATE \
	{ "network", OPTION_NETWORK, 0, STRING("MODE"), .help = "none (default), gateway or host (no boundary)", .of = "network" }, \
	{ "policy", OPTION_POLICY, 0, STRING("allow|deny"), .help = "what happens to hosts not listed", .of = "network.policy" }, \
	{ "allow-host", OPTION_ALLOW_HOST, 0, STRING("HOST"), .help = "can be reached; may be repeated", .of = "network.allow" }, \
	{ "memory", OPTION_NONE, 0, SIZE, "limits.memoryBytes", "memory of all its processes: 512M, 4G" }, \
	{ "cpus", OPTION_NONE, 0, .kind = OPTION_KIND_CPUS, .argument = "N", "limits.cpuMilli", "processors: 1.5" }, \
	{ "pids", OPTION_NONE, 0, .kind = OPTION_KIND_COUNT, .argument = "N", "limits.pids", "processes and threads" }, \
	{ "disk", OPTION_NONE, 0, SIZE, "limits.diskBytes", "what it may write outside its workspaces: 2G" }, \
	{ "env", OPTION_NONE, 'e', .kind = OPTION_KIND_ENV, .argument = "K=V", "env", "of every command in it; K alone: our own value; may be repeated" }, \
	{ "runtime", OPTION_RUNTIME, 0, STRING("RUNTIME"), "runtime", "what sets it up" }, \
	{ "ttl", OPTION_NONE, 0, DURATION, "ttlMs", "removed after this time" }, \
	{ "label", OPTION_NONE, 0, .kind = OPTION_KIND_PAIR, .argument = "K=V", "labels", "free text to find it by; may be repeated" }

#define OPTIONS_OF_CREATE \
	{ "name", OPTION_NAME, 0, STRING("NAME"), "name", "made up if absent" }, \
	OPTIONS_OF_ANY_CREATE, \
	{ "idle-timeout", OPTION_NONE, 0, DURATION, "idleTimeoutMs", "stopped after this time without a command" }

static const struct option_row create_options[] = {
	OPTIONS_OF_CREATE,
	{ "template", OPTION_TEMPLATE, 't', STRING("TEMPLATE"), "template", "what to start from; default: the tool's" },
	{ "rm", OPTION_NONE, 0, FLAG, .param = "rm", .help = "removed when it stops" },
	{ "quiet", OPTION_QUIET, 'q', FLAG, .help = "no progress on stderr" },
	END
};

#define RESULT_FILE { "result-file", OPTION_RESULT_FILE, 0, STRING("FILE"), .help = "write the ExecResult there" }

#define SECRETS \
	{ "secret", OPTION_SECRET, 0, STRING("SECRET[=ENV]"), .help = "lend it a secret, in a variable; may be repeated", .of = "secrets" }, \
	{ "secret-file", OPTION_SECRET_FILE, 0, .kind = OPTION_KIND_PAIR, .argument = "SECRET=PATH", .help = "lend it a secret, as a file of the agent's home; may be repeated", .of = "secrets" }

static const struct option_row run_options[] = {
	OPTIONS_OF_CREATE,
	{ "template", OPTION_TEMPLATE, 0, STRING("TEMPLATE"), "template", "what to start from; default: the tool's" },
	{ "quiet", OPTION_QUIET, 'q', FLAG, .help = "no progress on stderr" },
	{ "timeout", OPTION_TIMEOUT, 0, DURATION, .help = "end the agent after this time, with status 124", .of = "timeoutMs" },
	SECRETS,
	RESULT_FILE,
	END
};

static const struct option_row exec_options[] = {
	{ "env", OPTION_NONE, 'e', .kind = OPTION_KIND_ENV, .argument = "K=V", "env", "K alone: our own value; may be repeated" },
	{ "env-file", OPTION_ENV_FILE, 0, STRING("FILE"), .help = "K=V lines; may be repeated" },
	{ "workdir", OPTION_NONE, 'w', STRING("DIR"), "workDir", "default: the first workspace" },
	{ "user", OPTION_NONE, 'u', STRING("USER"), "user", "agent (default), root, or UID[:GID]" },
	{ "interactive", OPTION_INTERACTIVE, 'i', FLAG, .help = "the command reads our stdin; else it has none" },
	{ "tty", OPTION_TTY, 't', FLAG, .help = "run it on a terminal" },
	{ "detach", OPTION_DETACH, 'd', FLAG, .param = "detach", .help = "print its id and leave it running" },
	{ "timeout", OPTION_NONE, 0, DURATION, "timeoutMs", "end it after this time, with status 124" },
	{ "grace", OPTION_NONE, 0, DURATION, "graceMs", "between TERM and KILL" },
	SECRETS,
	{ "secret-stdin", OPTION_SECRET_STDIN, 0, STRING("SECRET"), .help = "lend it a secret as what it reads", .of = "secrets" },
	{ "key", OPTION_NONE, 0, STRING("KEY"), "idempotencyKey", "the same call again never runs it twice" },
	{ "stage", OPTION_NONE, 0, STRING("STAGE"), "stage", "what it may write: planner, reviewer, test-writer, …" },
	{ "story", OPTION_NONE, 0, STRING("ID"), "storyId", "of the loop, kept with it" },
	{ "keep-leftovers", OPTION_KEEP_LEFTOVERS, 0, FLAG, .help = "leave processes that outlive it alone" },
	RESULT_FILE,
	END
};

static const struct option_row loop_create_options[] = {
	{ "workdir", OPTION_WORKDIR, 'w', STRING("DIR"), .help = "the worktree that it works on", .of = "workDir" },
	{ "tool", OPTION_TOOL, 0, STRING("TOOL"), .help = "a sandbox for it; may be repeated, and added later", .of = "tools" },
	OPTIONS_OF_ANY_CREATE,
	{ "template", OPTION_TEMPLATE, 't', STRING("TEMPLATE"), "template", "what to start from; default: the tool's" },
	{ "quiet", OPTION_QUIET, 'q', FLAG, .help = "no progress on stderr" },
	END
};
static const struct option_row loop_run_options[] = {
	{ "env", OPTION_NONE, 'e', .kind = OPTION_KIND_ENV, .argument = "K=V", "env", "K alone: our own value; may be repeated" },
	{ "env-file", OPTION_ENV_FILE, 0, STRING("FILE"), .help = "K=V lines; may be repeated" },
	{ "model", OPTION_NONE, 0, STRING("MODEL"), "model", "default: the tool's own choice" },
	{ "workdir", OPTION_NONE, 'w', STRING("DIR"), "workDir", "default: the loop's" },
	{ "stage", OPTION_NONE, 0, STRING("STAGE"), "stage", "under whose profile it runs" },
	{ "story", OPTION_NONE, 0, STRING("ID"), "storyId", "kept with it" },
	{ "request-id", OPTION_NONE, 0, STRING("ID"), "requestId", "comes back in the result" },
	{ "timeout", OPTION_NONE, 0, DURATION, "timeoutMs", "end it after this time, with status 124; default: the tool's" },
	{ "grace", OPTION_NONE, 0, DURATION, "graceMs", "between TERM and KILL" },
	{ "verify", OPTION_VERIFY, 0, STRING("COMMAND"), .help = "a line for sh that must succeed afterwards; may be repeated", .of = "verificationCommands" },
	{ "artifacts", OPTION_NONE, 0, STRING("none|summary|patch"), "artifacts", "what to say of its changes; default: summary" },
	{ "base", OPTION_NONE, 0, STRING("SHA"), "baseSha", "count changes from this commit; default: HEAD now" },
	SECRETS,
	{ "key", OPTION_NONE, 0, STRING("KEY"), "idempotencyKey", "the same call again never runs it twice" },
	{ "detach", OPTION_DETACH, 'd', FLAG, .param = "detach", .help = "print the exec's id and leave it running" },
	{ "result-file", OPTION_RESULT_FILE, 0, STRING("FILE"), .help = "write the LoopRunResult there" },
	END
};
static const struct option_row loop_cancel_options[] = {
	{ "reason", OPTION_NONE, 0, STRING("TEXT"), "reason", "kept with it" },
	END
};
static const struct option_row loop_rm_options[] = {
	{ "force", OPTION_NONE, 'f', FLAG, .param = "force", .help = "even if commands run in it or its worktree has work that is in no branch" },
	{ "outcome", OPTION_NONE, 0, STRING("completed|failed"), "outcome", "default: completed; the receipt of a failed one is kept longer" },
	END
};

static const struct option_row stop_options[] = {
	{ "force", OPTION_NONE, 'f', FLAG, .param = "force", .help = "without a grace for its commands" },
	{ "timeout", OPTION_NONE, 0, DURATION, "timeoutMs", "between TERM and KILL of its commands" },
	END
};
static const struct option_row force_options[] = {
	{ "force", OPTION_NONE, 'f', FLAG, .param = "force", .help = "even if commands are running in it" },
	{ "timeout", OPTION_NONE, 0, DURATION, "timeoutMs", "with -f: between TERM and KILL of them" },
	END
};
static const struct option_row timeout_options[] = {
	{ "timeout", OPTION_NONE, 0, DURATION, "timeoutMs", "how long the runtime may take" },
	END
};
static const struct option_row stats_options[] = {
	{ "disk", OPTION_NONE, 0, FLAG, .param = "disk", .help = "measure what it wrote outside its workspaces, too" },
	{ "watch", OPTION_WATCH, 0, FLAG, .help = "every second, until a signal" },
	END
};
static const struct option_row prune_options[] = {
	{ "dry-run", OPTION_DRY_RUN, 0, FLAG, .help = "show what would be removed, remove nothing" },
	{ "force", OPTION_FORCE, 'f', FLAG, .help = "do not ask" },
	END
};
static const struct option_row logs_options[] = {
	{ "follow", OPTION_FOLLOW, 'f', FLAG, .help = "go on until the command ends" },
	{ "from", OPTION_FROM, 0, .kind = OPTION_KIND_COUNT, .argument = "N", .help = "skip so many bytes of each stream" },
	END
};
static const struct option_row events_options[] = {
	{ "from", OPTION_NONE, 0, STRING("CURSOR"), "cursor", "go on behind this one; oldest: all that are kept; default: what comes" },
	{ "sandbox", OPTION_NONE, 0, STRING("SANDBOX"), "filter.sandbox", "of this sandbox" },
	{ "loop", OPTION_NONE, 0, STRING("LOOP"), "filter.loopId", "of this loop" },
	{ "tool", OPTION_NONE, 0, STRING("TOOL"), "filter.tool", "of this tool's sandboxes" },
	{ "state", OPTION_NONE, 0, STRING("STATE"), "filter.state", "that led to this state" },
	{ "label", OPTION_NONE, 0, .kind = OPTION_KIND_PAIR, .argument = "K=V", "filter.labels", "of sandboxes with it; may be repeated" },
	{ "type", OPTION_TYPE, 0, STRING("TYPE"), .help = "exec.ended, or exec for all of its kind; may be repeated", .of = "types" },
	END
};
static const struct option_row attach_options[] = {
	{ "interactive", OPTION_INTERACTIVE, 'i', FLAG, .help = "send our stdin to it" },
	RESULT_FILE,
	END
};
static const struct option_row kill_options[] = {
	{ "signal", OPTION_SIGNAL, 's', STRING("SIG"), .help = "name or number; default: TERM", .of = "signal" },
	END
};
static const struct option_row wait_options[] = {
	{ "timeout", OPTION_NONE, 0, DURATION, "timeoutMs", "how long to wait" },
	RESULT_FILE,
	END
};
static const struct option_row build_options[] = {
	{ "force", OPTION_NONE, 'f', FLAG, .param = "force", .help = "even if it is there already" },
	{ "quiet", OPTION_QUIET, 'q', FLAG, .help = "no progress on stderr" },
	END
};
static const struct option_row pool_set_options[] = {
	{ "min", OPTION_NONE, 0, .kind = OPTION_KIND_COUNT, .argument = "N", "min", "always keep so many" },
	{ "max", OPTION_NONE, 0, .kind = OPTION_KIND_COUNT, .argument = "N", "max", "never more; 0: none" },
	{ "max-age", OPTION_NONE, 0, DURATION, "maxAgeMs", "replace one that has waited so long; 0: never" },
	{ "owner", OPTION_NONE, 0, .kind = OPTION_KIND_COUNT, .argument = "UID", "owner", "whose pool; another's only for root" },
	{ "reset", OPTION_NONE, 0, FLAG, .param = "reset", .help = "as sandboxd.conf has it again" },
	END
};
static const struct option_row audit_options[] = {
	{ "tail", OPTION_NONE, 0, .kind = OPTION_KIND_COUNT, .argument = "N", "limit", "the newest so many, 1000 at most" },
	END
};
static const struct option_row audit_verify_options[] = {
	{ "noted", OPTION_NOTED, 0, STRING("COUNT:HASH"), .help = "a head that was noted earlier; the log must lead through it", .of = "noted" },
	END
};
#define OPTIONS_OF_LEASE_HOLDER(what) \
	{ "exec", OPTION_HOLDER, 0, STRING("EXEC"), "execId", what " this command" }, \
	{ "sandbox", OPTION_HOLDER, 0, STRING("SANDBOX"), "sandbox", what " this sandbox" }, \
	{ "loop", OPTION_HOLDER, 0, STRING("LOOP"), "loopId", what " this loop" }
static const struct option_row secret_lease_options[] = {
	{ "ttl", OPTION_TTL, 0, DURATION, "ttlMs", "for how long: 1h" },
	OPTIONS_OF_LEASE_HOLDER("it ends with"),
	{ "renew", OPTION_NONE, 0, FLAG, .param = "renew", .help = "again and again until that ends" },
	{ "raw", OPTION_RAW, 0, FLAG, .param = "reveal", .help = "print the value, and nothing else" },
	END
};
static const struct option_row secret_revoke_options[] = {
	{ "all", OPTION_ALL, 0, FLAG, .help = "every lease of yours" },
	OPTIONS_OF_LEASE_HOLDER("those of"),
	{ "kill", OPTION_NONE, 0, FLAG, .param = "kill", .help = "also end the commands that have it" },
	END
};
static const struct option_row secret_leases_options[] = { OPTIONS_OF_LEASE_HOLDER("those of"), END };
static const struct option_row template_rm_options[] = {
	{ "force", OPTION_NONE, 'f', FLAG, .param = "force", .help = "even if it is in use" },
	END
};

static const struct option_row secret_set_options[] = {
	{ "file", OPTION_FILE, 0, STRING("FILE"), .help = "the value is what is in it; else stdin, or asked for on a terminal" },
	END
};

#define STATE_DIR { "state-dir", OPTION_STATE_DIR, 0, STRING("DIR"), .help = "where it keeps its state" }
static const struct option_row daemon_start_options[] = {
	{ "config", OPTION_CONFIG, 0, STRING("FILE"), .help = "its configuration" },
	STATE_DIR,
	{ "runtime-dir", OPTION_RUNTIME_DIR, 0, STRING("DIR"), .help = "where its socket will be" },
	END
};
static const struct option_row daemon_logs_options[] = {
	{ "follow", OPTION_FOLLOW, 'f', FLAG, .help = "go on showing what comes" },
	STATE_DIR,
	END
};

static const struct column sandbox_columns[] = {
	{ "NAME", "name", COLUMN_TEXT },
	{ "TOOL", "tool", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "RUNTIME", "runtime", COLUMN_TEXT },
	{ "NETWORK", "network.mode", COLUMN_TEXT },
	{ "LAUNCH", "launchType", COLUMN_TEXT },
	{ "AGE", "createdAt", COLUMN_AGE },
	{ "WORKSPACE", "workspaces", COLUMN_WORKSPACES },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column stats_columns[] = {
	{ "SANDBOX", "sandbox", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "EXECS", "execs", COLUMN_TEXT },
	{ "CPU", "cpuMs", COLUMN_MILLIS },
	{ "MEMORY", "memoryBytes", COLUMN_SIZE },
	{ "PEAK", "peakMemoryBytes", COLUMN_SIZE },
	{ "PIDS", "pids", COLUMN_TEXT },
	{ "OOM", "oomKills", COLUMN_TEXT },
	{ "DISK", "diskBytes", COLUMN_SIZE },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column df_columns[] = {
	{ "WHAT", "what", COLUMN_TEXT },
	{ "COUNT", "count", COLUMN_TEXT },
	{ "SIZE", "bytes", COLUMN_SIZE },
	{ "PRUNE FREES", "prune", COLUMN_SIZE },
	{ "LIMIT", "limit", COLUMN_SIZE },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column prune_columns[] = {
	{ "KIND", "kind", COLUMN_TEXT },
	{ "NAME", "name", COLUMN_TEXT },
	{ "SIZE", "bytes", COLUMN_SIZE },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column exec_columns[] = {
	{ "EXEC", "execId", COLUMN_TEXT },
	{ "SANDBOX", "sandbox", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "CAUSE", "result.cause", COLUMN_TEXT },
	{ "STATUS", "result.exitCode", COLUMN_TEXT },
	{ "AGE", "startedAt", COLUMN_AGE },
	{ "COMMAND", "command", COLUMN_COMMAND },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column loop_columns[] = {
	{ "LOOP", "loopId", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "ALIVE", "alive", COLUMN_TEXT },
	{ "RUNTIME", "runtime", COLUMN_TEXT },
	{ "TOOLS", "tools", COLUMN_COMMAND },
	{ "EXECS", "execs", COLUMN_TEXT },
	{ "AGE", "createdAt", COLUMN_AGE },
	{ "WORKDIR", "workDir", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column template_columns[] = {
	{ "NAME", "name", COLUMN_TEXT },
	{ "TOOL", "tool", COLUMN_TEXT },
	{ "VERSION", "version", COLUMN_TEXT },
	{ "BASE", "base", COLUMN_TEXT },
	{ "STATE", "state", COLUMN_TEXT },
	{ "SIZE", "sizeBytes", COLUMN_SIZE },
	{ "AGE", "createdAt", COLUMN_AGE },
	{ NULL, NULL, COLUMN_TEXT },
};

static const struct column pool_columns[] = {
	{ "TEMPLATE", "template", COLUMN_TEXT },
	{ "OWNER", "owner", COLUMN_TEXT },
	{ "MIN", "min", COLUMN_TEXT },
	{ "MAX", "max", COLUMN_TEXT },
	{ "TARGET", "target", COLUMN_TEXT },
	{ "READY", "ready", COLUMN_TEXT },
	{ "STARTING", "starting", COLUMN_TEXT },
	{ "WARM", "warm", COLUMN_TEXT },
	{ "COLD", "cold", COLUMN_TEXT },
	{ "HITS", "hitRate", COLUMN_PERCENT },
	{ "FAILED", "failures", COLUMN_TEXT },
	{ "REASON", "reason", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};

static const struct column audit_columns[] = {
	{ "SEQ", "seq", COLUMN_TEXT },
	{ "AT", "at", COLUMN_TEXT },
	{ "UID", "uid", COLUMN_TEXT },
	{ "PID", "pid", COLUMN_TEXT },
	{ "ACTION", "action", COLUMN_TEXT },
	{ "RESULT", "result", COLUMN_TEXT },
	{ "SECRET", "secret", COLUMN_TEXT },
	{ "SANDBOX", "sandbox", COLUMN_TEXT },
	{ "EXEC", "execId", COLUMN_TEXT },
	{ "PROGRAM", "exe", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};
static const struct column secret_columns[] = {
	{ "SECRET", "secret", COLUMN_TEXT },
	{ "PROVIDER", "provider", COLUMN_TEXT },
	{ "AVAILABLE", "available", COLUMN_TEXT },
	{ "SIZE", "sizeBytes", COLUMN_SIZE },
	{ "UPDATED", "updatedAt", COLUMN_AGE },
	{ "MAX TTL", "maxTtlMs", COLUMN_SPAN },
	{ "PROBLEM", "problem", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};

static const struct column lease_columns[] = {
	{ "LEASE", "leaseId", COLUMN_TEXT },
	{ "SECRET", "secret", COLUMN_TEXT },
	{ "HOLDER", "holder.kind", COLUMN_TEXT },
	{ "ID", "holder.id", COLUMN_TEXT },
	{ "SANDBOX", "sandbox", COLUMN_TEXT },
	{ "AGE", "createdAt", COLUMN_AGE },
	{ "UNTIL", "expiresAt", COLUMN_TEXT },
	{ "RENEWED", "renew", COLUMN_TEXT },
	{ NULL, NULL, COLUMN_TEXT },
};

#define CALL(m, p) .run = verb_call, .method = (m), .operand_param = (p)
#define COMMON .style = OPERANDS_ANYWHERE, .failure = 1

const struct verb verbs[] = {
	{ "create", "TOOL WORKSPACE[:ro] [EXTRA[:ro]]...", "make a sandbox for a tool", create_options, 2, MANY, COMMON, .run = verb_create },
	{ "run", "TOOL [WORKSPACE] [-- ARGS...]", "run a tool's agent on this terminal", run_options, 1, MANY, OPERANDS_ANYWHERE, OWN_FAILURE, .run = verb_run },
	{ "exec", "SANDBOX COMMAND [ARG]...", "run a command in a sandbox", exec_options, 2, MANY, OPERANDS_END_OPTIONS, OWN_FAILURE, .run = verb_exec },
	{ "ls", "", "list sandboxes", no_options, 0, 0, COMMON, verb_list, "sandbox.list", NULL, "sandboxes", sandbox_columns },
	{ "inspect", "SANDBOX...", "show all about sandboxes", no_options, 1, MANY, COMMON, verb_inspect, "sandbox.get", "sandbox", NULL, NULL },
	{ "stop", "SANDBOX...", "end a sandbox's processes, keep its files", stop_options, 1, MANY, COMMON, CALL("sandbox.stop", "sandbox") },
	{ "start", "SANDBOX...", "bring a stopped sandbox back", timeout_options, 1, MANY, COMMON, CALL("sandbox.start", "sandbox") },
	{ "pause", "SANDBOX...", "freeze a sandbox's processes", no_options, 1, MANY, COMMON, CALL("sandbox.pause", "sandbox") },
	{ "resume", "SANDBOX...", "let a paused sandbox go on", no_options, 1, MANY, COMMON, CALL("sandbox.resume", "sandbox") },
	{ "stats", "[SANDBOX]...", "show what sandboxes use", stats_options, 0, MANY, COMMON, .run = verb_stats, .columns = stats_columns },
	{ "rm", "SANDBOX...", "remove sandboxes; workspaces stay", force_options, 1, MANY, COMMON, CALL("sandbox.remove", "sandbox") },
	{ "save", "SANDBOX NAME[:TAG]", "make a template of what changed in a sandbox", no_options, 2, 2, COMMON, .run = verb_save },
	{ "ps", "[SANDBOX]", "list commands", no_options, 0, 1, COMMON, verb_list, "exec.list", "filter.sandbox", "execs", exec_columns },
	{ "logs", "EXEC", "show what a command wrote", logs_options, 1, 1, COMMON, .run = verb_logs },
	{ "attach", "EXEC", "follow a command to its end", attach_options, 1, 1, OPERANDS_ANYWHERE, OWN_FAILURE, .run = verb_attach },
	{ "kill", "EXEC...", "send a signal to a command", kill_options, 1, MANY, COMMON, .run = verb_kill },
	{ "cancel", "EXEC...", "end a command: TERM, then KILL", no_options, 1, MANY, COMMON, CALL("exec.cancel", "execId") },
	{ "wait", "EXEC", "wait for a command's end", wait_options, 1, 1, OPERANDS_ANYWHERE, OWN_FAILURE, .run = verb_wait },
	{ "loop create", "LOOP -w DIR --tool TOOL...", "make a loop's sandboxes, or add tools to it", loop_create_options, 1, 1, COMMON, .run = verb_loop_create },
	{ "loop run", "LOOP TOOL PROMPT|- [-- ARGS...]", "run a tool's agent on a prompt in a loop", loop_run_options, 3, MANY, OPERANDS_ANYWHERE, OWN_FAILURE, .run = verb_loop_run },
	{ "loop ls", "", "list loops", no_options, 0, 0, COMMON, verb_list, "loop.list", NULL, "loops", loop_columns },
	{ "loop show", "LOOP...", "show all about loops", no_options, 1, MANY, COMMON, verb_inspect, "loop.get", "loopId", NULL, NULL },
	{ "loop cancel", "LOOP...", "end a loop's commands, keep its files for a while", loop_cancel_options, 1, MANY, COMMON, CALL("loop.cancel", "loopId") },
	{ "loop rm", "LOOP...", "destroy loops and show their receipts", loop_rm_options, 1, MANY, COMMON, .run = verb_loop_rm },
	{ "template ls", "", "list templates", no_options, 0, 0, COMMON, verb_list, "template.list", NULL, "templates", template_columns },
	{ "template build", "TOOL|debian", "build a tool's layer, or debian", build_options, 1, 1, COMMON, .run = verb_template_build },
	{ "template rm", "TEMPLATE...", "delete templates", template_rm_options, 1, MANY, COMMON, CALL("template.remove", "template") },
	{ "template inspect", "TEMPLATE...", "show all about templates", no_options, 1, MANY, COMMON, verb_inspect, "template.get", "template", NULL, NULL },
	{ "pool ls", "", "list pools of spares, and how often one was there", no_options, 0, 0, COMMON, verb_list, "pool.list", NULL, "pools", pool_columns },
	{ "pool set", "TEMPLATE", "say how many spares of a template to keep", pool_set_options, 1, 1, COMMON, verb_pool_set, "pool.set", "template", NULL, pool_columns },
	{ "audit", "", "show who did what with which secret", audit_options, 0, 0, COMMON, verb_audit, "audit.list", NULL, "entries", audit_columns },
	{ "audit verify", "", "check that the audit log is as it was written", audit_verify_options, 0, 0, COMMON, verb_audit_verify, "audit.verify", NULL, NULL, NULL },
	{ "secret set", "SECRET", "put a secret into the store", secret_set_options, 1, 1, COMMON, verb_secret_set, "secret.set", "secret", NULL, NULL },
	{ "secret ls", "", "list secrets, never their values", no_options, 0, 0, COMMON, verb_secret_list, "secret.list", NULL, "secrets", secret_columns },
	{ "secret rm", "SECRET...", "take secrets out of the store", no_options, 1, MANY, COMMON, CALL("secret.remove", "secret") },
	{ "secret lease", "SECRET --ttl DUR", "lend a secret; prints the lease", secret_lease_options, 1, 1, COMMON, verb_secret_lease, "secret.lease", "secret", NULL, NULL },
	{ "secret leases", "[SECRET]", "list who has which secret until when", secret_leases_options, 0, 1, COMMON, verb_list, "secret.leases", "secret", "leases", lease_columns },
	{ "secret revoke", "[LEASE]...", "end leases of secrets", secret_revoke_options, 0, MANY, COMMON, verb_secret_revoke, "secret.revoke", "leaseId", NULL, NULL },
	{ "events", "", "show what happens, until a signal", events_options, 0, 0, COMMON, .run = verb_events },
	{ "df", "", "show what takes disk space", no_options, 0, 0, COMMON, .run = verb_df, .columns = df_columns },
	{ "prune", "", "remove stopped sandboxes and old layers of tools", prune_options, 0, 0, COMMON, .run = verb_prune, .columns = prune_columns },
	{ "info", "", "show the daemon and what it can do", no_options, 0, 0, COMMON, .run = verb_info },
	{ "doctor", "", "what is missing, and what mends it; also without a daemon", no_options, 0, 0, COMMON, .run = verb_doctor },
	{ "daemon start", "", "start the daemon in the background", daemon_start_options, 0, 0, COMMON, .run = verb_daemon_start },
	{ "daemon stop", "", "stop the daemon; sandboxes run on for the next one", no_options, 0, 0, COMMON, .run = verb_daemon_stop },
	{ "daemon status", "", "say whether the daemon runs; status 3 if not", no_options, 0, 0, COMMON, .run = verb_daemon_status },
	{ "daemon logs", "", "show what the daemon logged", daemon_logs_options, 0, 0, COMMON, .run = verb_daemon_logs },
	{ "completion", "bash|zsh", "print a script that completes command lines", no_options, 1, 2, COMMON, .run = verb_completion },
	{ "version", "", "show versions", no_options, 0, 0, COMMON, .run = verb_version },
	{ "rpc", "METHOD [PARAMS-JSON|-]", "call a method", no_options, 1, 2, COMMON, .run = verb_rpc },
};

/* clang-format on */

const size_t verbs_count = ARRAY_SIZE(verbs);

/* "daemon start" against "daemon" "start". */
static int matching_words(const char *name, int argc, char **argv)
{
	size_t n;

	for (int words = 0; words < argc; words++) {
		n = strcspn(name, " ");
		if (strlen(argv[words]) != n || memcmp(name, argv[words], n) != 0)
			return 0;
		if (name[n] == '\0')
			return words + 1;
		name += n + 1;
	}
	return 0;
}

const struct verb *verb_find(int argc, char **argv, int *ret_words)
{
	const struct verb *found = NULL;

	*ret_words = 0;
	for (size_t i = 0; i < verbs_count; i++) {
		int words = matching_words(verbs[i].name, argc, argv);

		if (words <= *ret_words)
			continue; /* "audit verify" counts more than "audit" */
		*ret_words = words;
		found = &verbs[i];
	}
	return found;
}
