// SPDX-License-Identifier: Apache-2.0
// Made from rpc.discover by docs/generate-types.py; do not edit. Protocol 1.0.

/** Text that may not be UTF-8: then its bytes in base64. */
export type Text = string | { base64: string };
/** The same in params, where bytes are taken as they are. */
export type TextParam = Text | Uint8Array;

/** An OpenRPC document. */
export interface OpenRPC {
  /** Version of the OpenRPC specification. */
  openrpc: string;
  /** Title and version of this protocol. */
  info: unknown;
  /** Methods, their params, results and errors. */
  methods: unknown;
  /** The named types. */
  components: unknown;
  /** What the daemon sends without being asked. */
  "x-notifications": unknown;
  /** Methods of the contract that this version does not have yet. */
  "x-unavailable"?: Array<string>;
}

/** The daemon and what it can do. */
export interface SystemInfo {
  /** Version of the daemon. */
  version: string;
  /** Version of this protocol; info.version of rpc.discover. */
  protocol: string;
  /** What can be relied on beyond the protocol's version. */
  features: Array<string>;
  /** Part of every name that this daemon makes on the host. */
  instanceId: string;
  /** Since the daemon started. */
  uptimeMs: number;
  /** The configured runtimes. */
  runtimes: Array<{
    /** As in runtime of sandbox.create. */
    name: string;
    /** What kind of program it is; host: none. */
    type: "crun" | "runc" | "runsc" | "host";
    /** The program that was found. */
    path?: string | null;
    /** Installed, or host and allowed. */
    available: boolean;
  }>;
  /** The tools that sandboxes can be made for. */
  tools: Array<{
    /** What sandbox.create takes as tool. */
    name: string;
    /** What its layer holds unless NAME@VERSION is asked for; absent: it has none. */
    version?: string;
    /** Command of its agent on a terminal. */
    run: Array<string>;
    /** True when it has headless runs. */
    prompt: boolean;
    /** Timeout of a headless run whose caller does not say. */
    timeoutMs: number;
    /** True when it is of no use without a network. */
    needsHosts: boolean;
  }>;
  /** How limits are enforced. */
  cgroup: unknown;
  /** True when the daemon is not root. */
  rootless: boolean;
  /** The transport's limits. */
  limits: {
    /** Bytes in one request line. */
    lineBytes: number;
    /** Calls in one batch. */
    batch: number;
    /** Requests of one connection without an answer. */
    inFlight: number;
    /** File descriptors waiting on one connection. */
    fds: number;
    /** Depth of the JSON. */
    nesting: number;
  };
  /** What a sandbox gets whose maker does not say. */
  defaults: {
    /** What sets a sandbox up. */
    runtime: string;
    /** What can be reached. */
    network: "none" | "gateway" | "host";
  };
  /** How many objects there are. */
  counts: { [key: string]: number };
}

/** The state of the host. */
export interface Doctor {
  /** One entry for each thing checked. */
  checks: Array<{
    /** What was looked at. */
    name: string;
    /** Whether it is as it should be; null: it could not be looked at. */
    ok: boolean | null;
    /** Whether sandboxes work without it. */
    severity: "required" | "optional";
    /** What was found. */
    detail: string;
    /** What would be right. */
    hint: string | null;
    /** The command that mends it. */
    fix?: Array<string> | null;
  }>;
}

/** An isolated place in which a tool works. */
export interface Sandbox {
  /** Unique among its owner's. */
  name: string;
  /** Never used again. */
  id: string;
  /** The loop it belongs to. */
  loopId?: string | null;
  /** The tool it was made for. */
  tool?: string | null;
  /** The file system it started from. */
  template: string;
  /** What set it up. */
  runtime: string;
  /** False: the runtime is of the type host, which is no boundary. */
  isolated: boolean;
  /** Where it is in its life. */
  state: "creating" | "running" | "paused" | "stopped" | "failed" | "removed";
  /** Why it stopped or failed. */
  cause?: string | null;
  /** Host folders mounted at their own path. */
  workspaces: Array<{
    /** The same inside and outside. */
    path: Text;
    /** Whether the sandbox can only read it. */
    readOnly: boolean;
    /** "writable" when git's configuration may be changed inside. */
    gitConfig?: string;
  }>;
  /** Who commands run as unless they say otherwise. */
  user: string | null;
  /** What can be reached. */
  network: {
    /** What can be reached. */
    mode: "none" | "gateway" | "host";
    /** What happens to hosts not listed. */
    policy?: string | null;
    /** Hosts that can be reached. */
    allow?: Array<string> | null;
    /** Hosts that cannot be reached. */
    block?: Array<string> | null;
  };
  /** What it may use. */
  limits: {
    /** Memory of all its processes. */
    memoryBytes?: number | null;
    /** Thousandths of a processor. */
    cpuMilli?: number | null;
    /** Processes and threads. */
    pids?: number | null;
    /** Size of /dev/shm. */
    shmBytes?: number | null;
    /** Size of what it may write outside its workspaces. */
    diskBytes?: number | null;
  };
  /** As given at create. */
  labels: { [key: string]: string };
  /** When it was made. */
  createdAt: string;
  /** When its ttl ends it. */
  expiresAt?: string | null;
  /** Stopped after this time without a running command. */
  idleTimeoutMs?: number | null;
  /** Whether it is removed when it stops. */
  rm?: boolean;
  /** From a spare, or from nothing. */
  launchType: "warm" | "cold" | null;
  /** Its init as the host sees it. */
  pid: number | null;
}

/** Sandboxes. */
export interface SandboxList {
  /** In order of creation. */
  sandboxes: Array<Sandbox>;
}

/** What a sandbox uses; null is what cannot be known. */
export interface Stats {
  /** Its name. */
  sandbox: string;
  /** Its id. */
  id: string;
  /** Where it is in its life. */
  state: "creating" | "running" | "paused" | "stopped" | "failed" | "removed";
  /** When this was found. */
  at: string;
  /** Processor time of this run so far. */
  cpuMs: number | null;
  /** Memory now. */
  memoryBytes: number | null;
  /** The most so far. */
  peakMemoryBytes: number | null;
  /** Processes and threads now. */
  pids: number | null;
  /** Processes that the kernel killed for want of memory. */
  oomKills: number | null;
  /** Commands that run. */
  execs: number;
  /** What it wrote outside its workspaces, if that was asked. */
  diskBytes: number | null;
}

/** Disk space, but that of templates. */
export interface DiskUsage {
  /** What sandboxes wrote outside their workspaces. */
  sandboxBytes: number;
  /** What commands wrote and can still be read. */
  spoolBytes: number;
  /** How much of that is kept, of all users together; null: all. */
  spoolMaxBytes: number | null;
  /** What is being deleted. */
  trashBytes: number;
  /** What is left where all that lies. */
  freeBytes: number | null;
  /** Below so much of it nothing new is made. */
  minFreeBytes: number | null;
}

/** One command in a sandbox. */
export interface Exec {
  /** Its id. */
  execId: string;
  /** Where it runs. */
  sandbox: string;
  /** The loop it belongs to. */
  loopId?: string | null;
  /** As given. */
  stage?: string | null;
  /** As given. */
  storyId?: string | null;
  /** Its argument vector. */
  command: Array<string>;
  /** Where it is in its life. */
  state: "starting" | "running" | "ended";
  /** As the sandbox sees it. */
  pid?: number | null;
  /** When it started. */
  startedAt: string | null;
  /** When it has ended. */
  result?: ExecResult | null;
}

/** Commands. */
export interface ExecList {
  /** In order of start. */
  execs: Array<Exec>;
}

/** How a command ended. */
export interface ExecResult {
  /** Its id. */
  execId: string;
  /** null unless it exited. */
  exitCode: number | null;
  /** null unless a signal ended it. */
  signal: string | number | null;
  /** Why it ended. */
  cause: "exited" | "signaled" | "timeout" | "cancelled" | "oom" | "lease_revoked" | "disk_full" | "sandbox_lost" | "never_started";
  /** Why it could not be started. */
  startError?: {
    /** What was wrong. */
    kind: "not_found" | "not_executable" | "bad_workdir" | "bad_user" | "too_big" | "bad_file" | "bad_stage" | "internal";
    /** As the kernel said. */
    errno: number;
    /** For a person. */
    message: string;
  } | null;
  /** The last 1 MiB; null when it went to the caller's descriptor. */
  stdout?: Text | null;
  /** The last 1 MiB; null when it went to the caller's descriptor. */
  stderr?: Text | null;
  /** Both in their exact order, with capture merged; the last 1 MiB. */
  output?: Text | null;
  /** Whether there was more than is here. */
  truncated: boolean;
  /** When it started. */
  startedAt: string | null;
  /** When it had ended. */
  completedAt: string;
  /** Between the two, by a clock that is never set. */
  durationMs: number;
  /** Processor time. */
  cpuMs: number;
  /** The most memory that it used. */
  peakMemoryBytes: number;
  /** Processes that outlived it and were killed. */
  leftovers: number;
  /** Processes that the kernel killed for want of memory meanwhile. */
  oomKills: number;
  /** Whose those were. */
  oomScope: "exec" | "sandbox" | null;
}

/** A piece of what a command wrote. */
export interface ExecChunk {
  /** Never ends inside a character unless the stream ends there. */
  data: Text;
  /** Where to go on reading. */
  nextOffset: number;
  /** Whether nothing will come after this. */
  eof: boolean;
}

/** A read-only file system that sandboxes start from. */
export interface Template {
  /** With its version, if it has one. */
  name: string;
  /** Of its contents. */
  digest: string | null;
  /** The template below it. */
  base?: string | null;
  /** The tool that it carries. */
  tool?: string | null;
  /** Of the tool. */
  version?: string | null;
  /** Without its base. */
  sizeBytes: number;
  /** When it was built. */
  createdAt: string | null;
  /** Whether it can be used. */
  state: "ready" | "building" | "failed";
}

/** Templates. */
export interface TemplateList {
  /** By name. */
  templates: Array<Template>;
}

/** Who did what with which secret. */
export interface AuditEntry {
  /** Its number, from 1. */
  seq: number;
  /** When. */
  at: string;
  /** Whose doing it was. */
  uid: number;
  /** The client's process; 0: the daemon itself. */
  pid: number;
  /** What ran as that pid. */
  exe?: string;
  /** set, remove, lease, renew, release, expire, revoke, refresh; begin: a new file. */
  action: string;
  /** ok, or the kind of the error. */
  result: string;
  /** Its name. */
  secret?: string;
  /** Of the lease. */
  leaseId?: string;
  /** Where the secret comes from. */
  provider?: string;
  /** For which loop. */
  loopId?: string;
  /** For which sandbox, by name. */
  sandbox?: string;
  /** For which command. */
  execId?: string;
  /** In which stage. */
  stage?: string;
  /** begin: under which key the file is. */
  key?: string;
  /** begin: the hash that it goes on from. */
  prev?: string;
  /** HMAC of the entry before and of this one: its hash. */
  mac: string;
}

/** Entries of the audit log, as they are there: only audit.verify checks them. */
export interface AuditList {
  /** By seq. */
  entries: Array<AuditEntry>;
}

/** What a check of the audit log found. */
export interface AuditReport {
  /** All of it is as it was written. */
  ok: boolean;
  /** The oldest entry that is kept. */
  first: number;
  /** How many entries are as they were written, from there on. */
  checked: number;
  /** What they have to lead to: the daemon keeps it beside the log. */
  head: {
    /** The last entry. */
    count: number;
    /** Its mac. */
    hash: string;
  };
  /** null: none. */
  problem: {
    /** The first that is not as it was. */
    entry: number;
    /** Where it is or should be, in audit/ of the state directory. */
    file: string;
    /** What is wrong; changed: with it or what is before it; key: it was written under another. */
    reason: "missing" | "damaged" | "changed" | "key" | "unreadable";
    /** What it contradicts. */
    against: "head" | "noted";
  } | null;
}

/** Who has a secret until when. */
export interface Lease {
  /** Its id. */
  leaseId: string;
  /** Which secret. */
  secret: string;
  /** Whose secret that is. */
  uid: number;
  /** Whom it is for. */
  holder: {
    /** What it ends with. */
    kind: "client" | "exec" | "sandbox" | "loop";
    /** Its id; null: whoever asked, so nothing. */
    id: string | null;
  };
  /** The loop that it is in. */
  loopId?: string;
  /** The sandbox that it is in. */
  sandbox?: string;
  /** The stage of its command. */
  stage?: string;
  /** The file that its command has it as. */
  file?: string;
  /** When it was made. */
  createdAt: string;
  /** When it ends by itself, unless it is renewed. */
  expiresAt: string;
  /** Whether it is renewed as long as its holder lives. */
  renew: boolean;
  /** The secret itself, if that was asked. */
  value?: Text;
}

/** Leases that have not ended. */
export interface LeaseList {
  /** In order of creation. */
  leases: Array<Lease>;
}

/** Leases that have ended. */
export interface Revoked {
  /** How many. */
  revoked: number;
  /** Those of commands that go on with what they have: only their end takes it back. */
  running: number;
}

/** Sandboxes without identity that wait for a create. */
export interface Pool {
  /** What its spares start from. */
  template: string;
  /** Uid of the user for whom they are. */
  owner: number;
  /** Always so many. */
  min: number;
  /** Never more. */
  max: number;
  /** A spare that waited so long is replaced; null: never. */
  maxAgeMs: number | null;
  /** Where these three come from. */
  source: "default" | "configuration" | "pool.set";
  /** How many there should be now. */
  target: number;
  /** Spares that wait. */
  ready: number;
  /** Spares that are being made. */
  starting: number;
  /** Creates that got one, since the daemon started. */
  warm: number;
  /** Creates that one would have fitted and that found none. */
  cold: number;
  /** warm in both, 0 to 1; null: none yet. */
  hitRate: number | null;
  /** Spares that were given up because their template changed. */
  stale: number;
  /** Spares that were replaced because of their age. */
  expired: number;
  /** Spares that could not be made, or died waiting. */
  failures: number;
  /** Of those, since the last one that was ready. */
  failuresInRow: number;
  /** After failures: when the next one is tried. */
  retryAt: string | null;
  /** Why it makes no spares now, or who does not get them. */
  reason: string | null;
}

/** Pools. */
export interface PoolList {
  /** By template, then owner. */
  pools: Array<Pool>;
}

/** What there is to lease; never its value. */
export interface Secret {
  /** Its name. */
  secret: string;
  /** Where its value comes from; store: secret.set. */
  provider: string;
  /** Whether a lease would probably be given. */
  available: boolean;
  /** Why it cannot be leased now, and what mends it. */
  problem?: string | null;
  /** Of a value in the store. */
  sizeBytes?: number | null;
  /** When it was put into the store first. */
  createdAt?: string | null;
  /** When its value was put into the store. */
  updatedAt?: string | null;
  /** No lease of it is longer. */
  maxTtlMs: number;
}

/** Secrets. */
export interface SecretList {
  /** By name. */
  secrets: Array<Secret>;
  /** Each tool whose profile names a secret. */
  tools: Array<ToolReady>;
}

/** Whether a tool has its secrets. */
export interface ToolReady {
  /** Its name. */
  tool: string;
  /** Whether its agent would find a secret now. */
  ready: boolean;
  /** Which one; of one that is not ready, the first that would do. */
  secret: string;
  /** What there is, or is not, in words. */
  detail: string;
  /** The commands that mend it; null: it is ready. */
  hint?: string | null;
  /** Whether secret.set mends it. */
  stored: boolean;
}

/** One run of an orchestrator over one worktree. */
export interface Loop {
  /** Unique among its owner's. */
  loopId: string;
  /** Where it is in its life. */
  state: "active" | "cancelled" | "destroyed";
  /** The worktree, the same inside and outside. */
  workDir: Text;
  /** As given at create. */
  tools: Array<string>;
  /** Names of its sandboxes. */
  sandboxes: Array<string>;
  /** What sets its sandboxes up. */
  runtime?: string | null;
  /** False: that is no boundary; absent: it has no sandbox. */
  isolated?: boolean;
  /** Commands that are running or can still be asked for. */
  execs: number;
  /** Whether one of them is running. */
  alive: boolean;
  /** When the first of those that are running began. */
  aliveSince: string | null;
  /** When one of them wrote something last. */
  lastOutputAt: string | null;
  /** Processor time of those that have ended, and of the others; loop.get looks, a list has it of the last look. */
  cpuMs: number;
  /** What they use now, thousandths of a processor: since the look before. Null: nobody has looked, or it cannot be seen. */
  cpuMilli: number | null;
  /** For how long none of those that are running wrote, computed, read or wrote files, as far as was seen; null as above. */
  idleMs: number | null;
  /** When it was made. */
  createdAt: string;
  /** As given at create. */
  labels: { [key: string]: string };
  /** When it was cancelled or destroyed. */
  endedAt?: string | null;
  /** Why it was cancelled. */
  reason?: string | null;
}

/** Loops. */
export interface LoopList {
  /** In order of creation. */
  loops: Array<Loop>;
}

/** What became of a loop. */
export interface Receipt {
  /** The loop that is gone. */
  loopId: string;
  /** As given to loop.destroy; cancelled: swept some time after loop.cancel; expired: by its ttlMs. */
  outcome: "completed" | "failed" | "cancelled" | "expired";
  /** When all of it was gone. */
  at: string;
  /** Which stays. */
  workDir: Text;
  /** Those that were removed, with every file that they had outside of workDir. */
  sandboxes: Array<string>;
  /** Commands that were forgotten. */
  execs: number;
  /** Processor time of those. */
  cpuMs: number;
  /** Processes that outlived their command or had to be ended. */
  processesKilled: number;
  /** Kept output that was deleted. */
  outputBytes: number;
  /** Whether `git worktree remove` is free again; null: workDir is no worktree. */
  worktreeUnlocked: boolean | null;
  /** HEAD of the worktree in the end, or after the last loop.run that looked. */
  headSha: string | null;
  /** Branches, tags and other refs that are not what they were when the loop was made, whoever changed them, but for the branch that it began on; at most 1000. null: that could not be told. */
  refsChanged: Array<Text> | null;
  /** What is kept of its work; null: no longer. */
  artifacts: {
    /** HEAD of the worktree; null: no commit, or no repository. */
    headSha: string | null;
    /** HEAD when the loop was made: changes are counted from there. */
    baseSha?: string | null;
    /** Files that differ from baseSha, committed or not, below workDir. */
    touchedFiles: Array<Text>;
    /** There are more. */
    touchedFilesTruncated?: boolean;
    /** What makes the same change elsewhere, from baseSha. */
    patch?: Text | null;
    /** Why there is no patch: a keyword, a colon, a sentence. */
    emptyBecause?: string | null;
    /** HEAD did not have it all. */
    uncommitted?: boolean;
    /** HEAD had commits that no branch, tag or remote has. */
    unreachableCommits?: boolean;
    /** Each .git below workDir, but its own, that was made or changed since: what git on the host would obey there. */
    gitsInside: Array<Text>;
    /** Of its last commands; invalid UTF-8 is replaced. */
    logs: {
      /** What was run when, and how it ended: a line for each. */
      executionLog: string;
      /** The end of it. */
      stdout: string;
      /** The end of it. */
      stderr: string;
    };
  } | null;
}

/** What an agent did. */
export interface LoopRunResult {
  /** As given, or the execId. */
  requestId: string;
  /** completed: exited 0 and verified; cancelled: cancelled; failed: all else. */
  state: "completed" | "failed" | "cancelled";
  /** When it started. */
  startedAt: string;
  /** When all of it, verification too, had ended. */
  completedAt: string;
  /** Between the two, by a clock that is never set. */
  durationMs: number;
  /** Where it ran. */
  backend: "local";
  /** What it left. */
  artifacts: {
    /** HEAD of the worktree; null: no commit, no repository, or artifacts none. */
    headSha: string | null;
    /** The commit from which changes are counted. */
    baseSha?: string | null;
    /** Files that differ from baseSha, committed or not, below workDir. */
    touchedFiles: Array<Text>;
    /** There are more. */
    touchedFilesTruncated?: boolean;
    /** With artifacts patch: what makes the same change elsewhere. */
    patch?: Text | null;
    /** Why there is no patch: a keyword, a colon, a sentence. */
    emptyBecause?: string | null;
    /** HEAD does not have it all. */
    uncommitted?: boolean;
    /** HEAD has commits that no branch, tag or remote has. */
    unreachableCommits?: boolean;
    /** With verificationCommands. */
    verification?: {
      /** As given. */
      commands: Array<string>;
      /** Whether each exited 0. */
      success: boolean;
      /** What they wrote, each behind a line with its command. */
      output: string;
    } | null;
    /** Invalid UTF-8 is replaced; exec.read has the bytes. */
    logs: {
      /** What was run when, and how it ended: a line for each. */
      executionLog: string;
      /** The end of it. */
      stdout: string;
      /** The end of it. */
      stderr: string;
    };
  };
  /** Why it is not completed: a sentence. */
  error?: string | null;
  /** The end of its stdout; of its stderr when that is empty. Invalid UTF-8 is replaced. */
  output: string;
  /** How the tool's command ended, without its texts. */
  exec: ExecResult;
}

/** Events that are being sent. */
export interface Subscription {
  /** Its name in notifications and for events.unsubscribe. */
  subscription: string;
  /** Behind which events are sent. */
  cursor: string;
}

/** Every method: what it takes and what it gives. */
export interface Methods {
  /** This description. */
  "rpc.discover": {
    params: {};
    result: OpenRPC;
  };
  /** Says that the daemon is there. */
  "system.ping": {
    params: {};
    result: { [key: string]: unknown };
  };
  /** The daemon and what it can do. */
  "system.info": {
    params: {};
    result: SystemInfo;
  };
  /** What is missing on this host, and what mends it. */
  "system.doctor": {
    params: {};
    result: Doctor;
  };
  /** The disk space that the caller's sandboxes take together. */
  "system.df": {
    params: {};
    result: DiskUsage;
  };
  /** Makes a loop and its sandboxes; the same again gives the same, with more tools they are added. */
  "loop.create": {
    params: {
      /** Unique among the caller's, those destroyed a while ago included. */
      loopId: string;
      /** The worktree, mounted at its own path in every sandbox of the loop. */
      workDir: string;
      /** A sandbox loop-{loopId}-{tool} for each, with @VERSION for another than the pinned one. */
      tools: Array<string>;
      /** What its sandboxes start from; absent: their tool's. */
      template?: string;
      /** What can be reached; absent: none. */
      network?: "none" | "host" | {
        /** What can be reached. */
        mode: "none" | "host";
      };
      /** What each sandbox may use. */
      limits?: {
        /** Memory of all its processes. */
        memoryBytes?: number;
        /** Thousandths of a processor. */
        cpuMilli?: number;
        /** Processes and threads. */
        pids?: number;
        /** Size of /dev/shm. */
        shmBytes?: number;
        /** Size of what it may write outside its workspaces. */
        diskBytes?: number;
      };
      /** Environment of every command, in the sandboxes that this call makes. */
      env?: { [key: string]: string };
      /** Profiles of its stages, beside the configured ones; then a run with any other stage is refused. */
      stages?: Array<{
        /** What a run gives as its stage. What is left out here is as configured for that name. */
        name: string;
        /** ro: its commands cannot change the workspaces. */
        workspace?: "rw" | "ro";
        /** Directories of the workspace that stay writable, relative, made if absent; the rest is ro. */
        writable?: Array<string>;
        /** In whose sandboxes it may run; absent: in any. */
        tools?: Array<string>;
        /** Of a run that says none. */
        timeoutMs?: number;
        /** none takes the sandbox's network away. */
        network?: "none" | "host";
      }>;
      /** Destroyed so long after its creation. */
      ttlMs?: number;
      /** Free text to find its sandboxes by. */
      labels?: { [key: string]: string };
      /** What sets its sandboxes up; absent: the configured one. */
      runtime?: string;
    };
    result: Loop;
  };
  /** Runs a tool's agent on a prompt until it ends, verifies, looks at what it changed; with detach the result is an Exec at once. */
  "loop.run": {
    params: {
      /** The loop. */
      loopId: string;
      /** One of the loop's. */
      tool: string;
      /** What it gets on stdin; for shell, its script. */
      prompt: TextParam;
      /** Absent: the tool's own choice. */
      model?: string;
      /** Added to the tool's command line. */
      args?: Array<string>;
      /** Stage of the loop, kept with it. */
      stage?: string;
      /** Story of the loop, kept with it. */
      storyId?: string;
      /** Comes back in the result; absent: the execId. */
      requestId?: string;
      /** Commit from which artifacts are counted; absent: HEAD at the start. */
      baseSha?: string;
      /** On top of the sandbox's. */
      env?: { [key: string]: string };
      /** Secrets to lend it, leased before it starts. */
      secrets?: Array<string | {
        /** Which one. */
        name: string;
        /** The variable that it becomes; with no form: as the tool says, else its name in capitals. */
        env?: string;
        /** The file that it becomes, in the agent's home. */
        file?: string;
        /** It is what the command reads. */
        stdin?: boolean;
        /** How long it is lent; absent: as configured, and renewed while the command runs. */
        ttlMs?: number;
      }>;
      /** Written before it starts. */
      files?: Array<{
        /** Relative from workDir. */
        path: string;
        /** What it holds. */
        data: TextParam;
        /** Permissions, octal. */
        mode?: string;
      }>;
      /** Absent: the loop's. */
      workDir?: string;
      /** TERM after this time, KILL after the grace; also of each verification command. Absent: the tool's own. */
      timeoutMs?: number;
      /** Between TERM and KILL. Default: 5000. */
      graceMs?: number;
      /** Lines for /bin/sh in the same sandbox, when the tool exited 0. */
      verificationCommands?: Array<string>;
      /** What to find out about its changes. */
      artifacts?: "none" | "summary" | "patch";
      /** The last so many characters are in the result. Default: 50000. */
      outputLimitChars?: number;
      /** The same call again never runs it twice. */
      idempotencyKey?: string;
      /** Send exec.data while it runs. */
      stream?: boolean;
      /** Answer with an Exec as soon as it started; nothing is verified or looked at then. */
      detach?: boolean;
      /** What happens to it when the client is gone; absent: keep. */
      onDisconnect?: "cancel" | "keep";
    };
    result: LoopRunResult | Exec;
  };
  /** One loop. */
  "loop.get": {
    params: {
      /** The loop. */
      loopId: string;
    };
    result: Loop;
  };
  /** The caller's loops. */
  "loop.list": {
    params: {
      /** Absent: all of the caller's. */
      filter?: {
        /** Those of this loop. */
        loopId?: string;
        /** Those of this sandbox. */
        sandbox?: string;
        /** Those of this tool. */
        tool?: string;
        /** Those in this state. */
        state?: string;
        /** Those with all of these labels. */
        labels?: { [key: string]: string };
      };
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this one. */
      after?: string;
    };
    result: LoopList;
  };
  /** Ends a loop's commands and stops its sandboxes; files stay for a while. */
  "loop.cancel": {
    params: {
      /** The loop. */
      loopId: string;
      /** Kept with it. */
      reason?: string;
    };
    result: Loop;
  };
  /** Removes all that a loop owned, unless work would be lost; again, for a while, it gives the same receipt. */
  "loop.destroy": {
    params: {
      /** The loop. */
      loopId: string;
      /** How it went; absent: completed, or cancelled if it was. A failed one is remembered longer. */
      outcome?: "completed" | "failed";
      /** Even if commands are running in it, or its worktree has work that is in no branch: that is kept as a patch. */
      force?: boolean;
    };
    result: Receipt;
  };
  /** Makes and starts a sandbox. */
  "sandbox.create": {
    params: {
      /** Unique among the caller's; made up if absent. */
      name?: string;
      /** The tool that will work in it, with @VERSION for another than the pinned one. */
      tool?: string;
      /** What to start from; absent: the tool's. */
      template?: string;
      /** Host folder mounted at its own path. */
      workspace?: string | {
        /** Absolute; the same inside and outside. */
        path: string;
        /** Whether the sandbox can only read it. */
        readOnly?: boolean;
        /** Lets the sandbox change git's configuration and hooks. */
        gitConfig?: "writable";
      };
      /** More of them. */
      extraWorkspaces?: Array<string | {
        /** Absolute; the same inside and outside. */
        path: string;
        /** Whether the sandbox can only read it. */
        readOnly?: boolean;
        /** Lets the sandbox change git's configuration and hooks. */
        gitConfig?: "writable";
      }>;
      /** What can be reached; absent: none. */
      network?: "none" | "host" | {
        /** What can be reached. */
        mode: "none" | "host";
      };
      /** What it may use. */
      limits?: {
        /** Memory of all its processes. */
        memoryBytes?: number;
        /** Thousandths of a processor. */
        cpuMilli?: number;
        /** Processes and threads. */
        pids?: number;
        /** Size of /dev/shm. */
        shmBytes?: number;
        /** Size of what it may write outside its workspaces. */
        diskBytes?: number;
      };
      /** Environment of every command in it. */
      env?: { [key: string]: string };
      /** What sets it up; absent: the configured one. */
      runtime?: string;
      /** Removed with its files after this time, whatever it does. */
      ttlMs?: number;
      /** Stopped after this time without a running command. */
      idleTimeoutMs?: number;
      /** Removed when it stops. */
      rm?: boolean;
      /** Free text to find it by. */
      labels?: { [key: string]: string };
      /** The same call again gives the same sandbox. */
      idempotencyKey?: string;
    };
    result: Sandbox;
  };
  /** One sandbox. */
  "sandbox.get": {
    params: {
      /** Name or id. */
      sandbox: string;
    };
    result: Sandbox;
  };
  /** The caller's sandboxes. */
  "sandbox.list": {
    params: {
      /** Absent: all of the caller's. */
      filter?: {
        /** Those of this loop. */
        loopId?: string;
        /** Those of this sandbox. */
        sandbox?: string;
        /** Those of this tool. */
        tool?: string;
        /** Those in this state. */
        state?: string;
        /** Those with all of these labels. */
        labels?: { [key: string]: string };
      };
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this one. */
      after?: string;
    };
    result: SandboxList;
  };
  /** Ends its processes and keeps its files. */
  "sandbox.stop": {
    params: {
      /** Name or id. */
      sandbox: string;
      /** Time that its commands get between TERM and KILL. */
      timeoutMs?: number;
      /** Without a grace for its commands. */
      force?: boolean;
    };
    result: Sandbox;
  };
  /** Brings a stopped sandbox back. */
  "sandbox.start": {
    params: {
      /** Name or id. */
      sandbox: string;
      /** How long the runtime may take; absent: as configured. */
      timeoutMs?: number;
    };
    result: Sandbox;
  };
  /** Freezes its processes and the clocks of its commands. */
  "sandbox.pause": {
    params: {
      /** Name or id. */
      sandbox: string;
    };
    result: Sandbox;
  };
  /** Lets frozen processes go on. */
  "sandbox.resume": {
    params: {
      /** Name or id. */
      sandbox: string;
    };
    result: Sandbox;
  };
  /** Ends it and deletes its files; workspaces stay. */
  "sandbox.remove": {
    params: {
      /** Name or id. */
      sandbox: string;
      /** Time that its commands get between TERM and KILL. */
      timeoutMs?: number;
      /** Even if commands are running in it. */
      force?: boolean;
    };
    result: Sandbox;
  };
  /** What a sandbox uses. */
  "sandbox.stats": {
    params: {
      /** Name or id. */
      sandbox: string;
      /** Also measure its files, which takes longer. */
      disk?: boolean;
    };
    result: Stats;
  };
  /** Makes a template of what changed in a sandbox; if it runs, it is held still for the moment of the copy. */
  "sandbox.save": {
    params: {
      /** Its name or id. */
      sandbox: string;
      /** The template's name: NAME or NAME:TAG, not taken yet. */
      template: string;
    };
    result: Template;
  };
  /** Runs a command in a sandbox until its leader ends; with detach the result is an Exec at once. */
  "exec.run": {
    params: {
      /** Name or id. */
      sandbox: string;
      /** Argument vector; no shell. */
      command: Array<string>;
      /** Its id; made up if absent. */
      execId?: string;
      /** On top of the sandbox's. */
      env?: { [key: string]: string };
      /** Absent: the first workspace. */
      workDir?: string;
      /** agent (default), root, or UID[:GID]. */
      user?: string;
      /** Run it on a terminal of this size. */
      tty?: {
        /** Height. */
        rows: number;
        /** Width. */
        cols: number;
      };
      /** "null" (default), "stream", {text}, {base64} or {fd}. */
      stdin?: "null" | "stream" | {
        text: string;
      } | { base64: string } | Uint8Array;
      /** What to keep of what it writes. */
      capture?: "separate" | "merged" | "none";
      /** Written before it starts. */
      files?: Array<{
        /** Relative from workDir. */
        path: string;
        /** What it holds. */
        data: TextParam;
        /** Permissions, octal. */
        mode?: string;
      }>;
      /** Secrets to lend it, leased before it starts. */
      secrets?: Array<string | {
        /** Which one. */
        name: string;
        /** The variable that it becomes; with no form: as the tool says, else its name in capitals. */
        env?: string;
        /** The file that it becomes, in the agent's home. */
        file?: string;
        /** It is what the command reads. */
        stdin?: boolean;
        /** How long it is lent; absent: as configured, and renewed while the command runs. */
        ttlMs?: number;
      }>;
      /** TERM after this time, KILL after the grace. */
      timeoutMs?: number;
      /** Between TERM and KILL. Default: 5000. */
      graceMs?: number;
      /** What happens to processes that outlive it. */
      leftovers?: "kill" | "keep";
      /** What happens to it when the client is gone. */
      onDisconnect?: "cancel" | "keep";
      /** The same call again never runs it twice. */
      idempotencyKey?: string;
      /** Stage of the loop: what it may write and reach (docs/stages.md). */
      stage?: string;
      /** Story of the loop, kept with it. */
      storyId?: string;
      /** Send exec.data while it runs. */
      stream?: boolean;
      /** Answer with an Exec as soon as it started. */
      detach?: boolean;
      /** How much of each stream is kept. Default: 67108864. */
      maxOutputBytes?: number;
    };
    result: ExecResult | Exec;
  };
  /** Replays what a command wrote, then follows it to its end. */
  "exec.attach": {
    params: {
      /** Its id. */
      execId: string;
      /** Offsets, or "end"; absent: everything kept. */
      from?: "end" | {
        /** First byte of stdout to send. */
        stdout?: number;
        /** First byte of stderr to send. */
        stderr?: number;
        /** First byte of output to send. */
        output?: number;
      };
    };
    result: ExecResult;
  };
  /** Waits for a command's end. */
  "exec.wait": {
    params: {
      /** Its id. */
      execId: string;
      /** How long to wait; then -32008. */
      timeoutMs?: number;
    };
    result: ExecResult;
  };
  /** One command. */
  "exec.get": {
    params: {
      /** Its id. */
      execId: string;
    };
    result: Exec;
  };
  /** The caller's commands. */
  "exec.list": {
    params: {
      /** Absent: all of the caller's. */
      filter?: {
        /** Those of this loop. */
        loopId?: string;
        /** Those of this sandbox. */
        sandbox?: string;
        /** Those of this tool. */
        tool?: string;
        /** Those in this state. */
        state?: string;
        /** Those with all of these labels. */
        labels?: { [key: string]: string };
      };
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this one. */
      after?: string;
    };
    result: ExecList;
  };
  /** A piece of what a command wrote. */
  "exec.read": {
    params: {
      /** Its id. */
      execId: string;
      /** Which of its streams. */
      stream: "stdout" | "stderr" | "output";
      /** First byte. Default: 0. */
      from?: number;
      /** At most so many. Default: 1048576. */
      limitBytes?: number;
    };
    result: ExecChunk;
  };
  /** Bytes for a command's stdin. */
  "exec.write": {
    params: {
      /** Its id. */
      execId: string;
      /** For its stdin. */
      data: TextParam;
    };
    result: { [key: string]: unknown };
  };
  /** End of file on a command's stdin. */
  "exec.closeStdin": {
    params: {
      /** Its id. */
      execId: string;
    };
    result: { [key: string]: unknown };
  };
  /** A new size of a command's terminal. */
  "exec.resize": {
    params: {
      /** Its id. */
      execId: string;
      /** Height. */
      rows: number;
      /** Width. */
      cols: number;
    };
    result: { [key: string]: unknown };
  };
  /** A signal for a command's process group. */
  "exec.signal": {
    params: {
      /** Its id. */
      execId: string;
      /** Name or number. */
      signal: string | number;
    };
    result: { [key: string]: unknown };
  };
  /** TERM, then KILL to all of a command. */
  "exec.cancel": {
    params: {
      /** Its id. */
      execId?: string;
      /** Instead of the id: the key of its call. */
      idempotencyKey?: string;
    };
    result: { [key: string]: unknown };
  };
  /** Puts a secret into the caller's store, or another value in its place; answered when it is on disk. */
  "secret.set": {
    params: {
      /** Its name: letters, digits, _, . and -, no dot in front. */
      secret: string;
      /** 1 byte to 1 MiB: {text}, {base64}, or {fd}, a pipe that is read to its end. */
      value: {
        text: string;
      } | { base64: string } | Uint8Array;
    };
    result: Secret;
  };
  /** The secrets that the caller can lease, without their values. */
  "secret.list": {
    params: {
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this name. */
      after?: string;
    };
    result: SecretList;
  };
  /** Takes a secret out of the caller's store; leases of it go on. */
  "secret.remove": {
    params: {
      /** Its name: letters, digits, _, . and -, no dot in front. */
      secret: string;
    };
    result: { [key: string]: unknown };
  };
  /** Lends a secret for a time. */
  "secret.lease": {
    params: {
      /** Its name. */
      secret: string;
      /** For how long; max_ttl of the configuration at most. */
      ttlMs: number;
      /** Ends with this command. */
      execId?: string;
      /** Ends when this sandbox does not run any more. */
      sandbox?: string;
      /** Ends when this loop is cancelled or destroyed. */
      loopId?: string;
      /** Renewed again and again until what it is for ends. */
      renew?: boolean;
      /** With its value in the answer. */
      reveal?: boolean;
    };
    result: Lease;
  };
  /** Makes a lease last longer, from now. */
  "secret.renew": {
    params: {
      /** Its id. */
      leaseId: string;
      /** For how long from now; max_ttl of the configuration at most. */
      ttlMs: number;
    };
    result: Lease;
  };
  /** Ends a lease, or all of a command, a sandbox or a loop. */
  "secret.revoke": {
    params: {
      /** This one. */
      leaseId?: string;
      /** Those of this command. */
      execId?: string;
      /** Those of this sandbox and of its commands. */
      sandbox?: string;
      /** Those of this loop, its sandboxes and their commands. */
      loopId?: string;
      /** Also ends the commands that have it, cause lease_revoked. */
      kill?: boolean;
    };
    result: Revoked;
  };
  /** Ends every lease of the caller's; of everybody's for root. */
  "secret.revokeAll": {
    params: {
      /** Also ends the commands that have it, cause lease_revoked. */
      kill?: boolean;
    };
    result: Revoked;
  };
  /** Who has which secret until when: the caller's leases, everybody's for root; never a value. */
  "secret.leases": {
    params: {
      /** Those of this secret. */
      secret?: string;
      /** Those of this command. */
      execId?: string;
      /** Those of this sandbox and of its commands. */
      sandbox?: string;
      /** Those of this loop, its sandboxes and their commands. */
      loopId?: string;
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this lease. */
      after?: string;
    };
    result: LeaseList;
  };
  /** What was done with the caller's secrets; root: with everybody's. */
  "audit.list": {
    params: {
      /** At most so many. Default: 200. */
      limit?: number;
      /** Those behind the entry of this seq, 0: from the first; absent: the newest. */
      after?: number;
    };
    result: AuditList;
  };
  /** Whether the audit log is as it was written. */
  "audit.verify": {
    params: {
      /** A head of earlier, from the journal or an AuditReport: the log must lead through it. */
      noted?: {
        /** Its entry. */
        count: number;
        /** Its hash. */
        hash: string;
      };
    };
    result: AuditReport;
  };
  /** The templates there are. */
  "template.list": {
    params: {
      /** Absent: all of the caller's. */
      filter?: {
        /** Those of this loop. */
        loopId?: string;
        /** Those of this sandbox. */
        sandbox?: string;
        /** Those of this tool. */
        tool?: string;
        /** Those in this state. */
        state?: string;
        /** Those with all of these labels. */
        labels?: { [key: string]: string };
      };
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this one. */
      after?: string;
    };
    result: TemplateList;
  };
  /** One template. */
  "template.get": {
    params: {
      /** Its name. */
      template: string;
    };
    result: Template;
  };
  /** Builds a tool's layer, or debian. */
  "template.build": {
    params: {
      /** The tool, with @VERSION for another than the pinned one; this or template. */
      tool?: string;
      /** A template that is no tool's: debian. */
      template?: string;
      /** Even if it is there already. */
      force?: boolean;
    };
    result: Template;
  };
  /** Deletes a template. */
  "template.remove": {
    params: {
      /** Its name. */
      template: string;
      /** Even if it is in use. */
      force?: boolean;
    };
    result: { [key: string]: unknown };
  };
  /** The caller's pools of spares; root: everyone's. */
  "pool.list": {
    params: {
      /** At most so many. Default: 200. */
      limit?: number;
      /** Go on behind this template. */
      after?: string;
    };
    result: PoolList;
  };
  /** How many spares to keep of a template; kept over a restart. */
  "pool.set": {
    params: {
      /** Whose spares; a tool's name alone is its template at the pinned version. */
      template: string;
      /** Always so many, used or not; absent: as it is. */
      min?: number;
      /** Never more, 0: none at all; absent: as it is. */
      max?: number;
      /** A spare that waited so long is replaced, 0: never; absent: as it is. */
      maxAgeMs?: number;
      /** Uid of the user whose pool it is; absent: the caller. Another's only for root. */
      owner?: number;
      /** Forget what was set: as configured again. */
      reset?: boolean;
    };
    result: Pool;
  };
  /** Sends events from a cursor on, as events.event, until the connection ends. */
  "events.subscribe": {
    params: {
      /** Where to go on, from an earlier event or subscription, or "oldest"; absent: only what happens from now on. */
      cursor?: string;
      /** Absent: all of the caller's. */
      filter?: {
        /** Those of this loop. */
        loopId?: string;
        /** Those of this sandbox. */
        sandbox?: string;
        /** Those of this tool. */
        tool?: string;
        /** Those in this state. */
        state?: string;
        /** Those with all of these labels. */
        labels?: { [key: string]: string };
      };
      /** Only of these types; "exec" is every type that begins with exec. */
      types?: Array<string>;
    };
    result: Subscription;
  };
  /** Ends a subscription. */
  "events.unsubscribe": {
    params: {
      /** Of this connection. */
      subscription: string;
    };
    result: { [key: string]: unknown };
  };
}

/** What the daemon sends without being asked. */
export interface Notifications {
  /** Always first for exec.run, loop.run and exec.attach. */
  "exec.started": {
    /** Its id. */
    execId: string;
    /** Of the request that it belongs to. */
    requestId: string | number | null;
    /** Where it runs. */
    sandbox: string;
    /** As the sandbox sees it. */
    pid: number | null;
    /** When it started. */
    startedAt: string | null;
  };
  /** What a command wrote; never dropped. */
  "exec.data": {
    /** Its id. */
    execId: string;
    /** Which of its streams. */
    stream: "stdout" | "stderr" | "output";
    /** Of the first byte. */
    offset: number;
    /** What it wrote. */
    data: Text;
  };
  /** How far a long call is. */
  "progress": {
    /** Of the request that it belongs to. */
    requestId: string | number | null;
    /** What is being done. */
    message: string;
    /** How much is done. */
    current?: number;
    /** Of how much. */
    total?: number;
  };
  /** Something happened. */
  "events.event": {
    /** Which one. */
    subscription: string;
    /** Where to go on. */
    cursor: string;
    /** When it happened. */
    at: string;
    /** What happened. */
    type: string;
    /** To which loop. */
    loopId?: string | null;
    /** To which sandbox. */
    sandbox?: string | null;
    /** To which command. */
    execId?: string | null;
    /** More about it. */
    data: unknown;
  };
  /** Events that this subscriber will never see. */
  "events.gap": {
    /** Which one. */
    subscription: string;
    /** Cursor of the first of them. */
    from: string;
    /** Cursor of the last of them. */
    to: string;
  };
}

/** Kinds of the daemon's errors. */
export type ErrorKind = "parse_error" | "invalid_request" | "method_not_found" | "invalid_params" | "internal_error" | "not_found" | "already_exists" | "conflict" | "invalid_state" | "unavailable" | "denied" | "limit_reached" | "timeout" | "cancelled" | "runtime_failed";
