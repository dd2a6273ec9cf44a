// SPDX-License-Identifier: Apache-2.0
import type { ErrorKind, Exec, ExecResult, LoopRunResult, Methods, Notifications, Receipt, Text } from "./rpc.js";

export type * from "./rpc.js";

/** Kinds that the client makes itself, with code 0; all others are the daemon's. */
export type ClientErrorKind = "not_running" | "connection_lost" | "closed" | "output_lost";

export class SandboxdError extends Error {
  /** JSON-RPC code: -32001; 0 when it is the client's own. */
  readonly code: number;
  readonly kind: ErrorKind | ClientErrorKind | (string & {});
  /** The parameter that is wrong: "limits.memoryBytes". */
  readonly field?: string;
  /** What would be right, or the command that mends it. */
  readonly hint?: string;
  readonly resource?: string;
  /** The error's data as the daemon sent it. */
  readonly data?: { [key: string]: unknown };
  /** The method that was called. */
  readonly method?: string;
}

export interface ClientOptions {
  /** The daemon's socket; else SANDBOXD_SOCKET, else the usual places. */
  socket?: string;
  /** How long a call in flight waits for a daemon that went away. Default: 60000. */
  reconnectMs?: number;
  /** Every notification of the shared connection. */
  onNotification?: <N extends keyof Notifications>(method: N, params: Notifications[N]) => void;
}

export interface CallOptions {
  /** Cancels the call; it rejects, with name AbortError, when the daemon has given up. */
  signal?: AbortSignal;
  /** How far a long call is. */
  onProgress?: (progress: Notifications["progress"]) => void;
}

export interface RunOptions<E extends Encoding = "utf8"> {
  /** Cancels the command, and rejects when it is dead. For attach: ends the attach only. */
  signal?: AbortSignal;
  /** What output is given as. Default: "utf8", where bytes that are no UTF-8 become U+FFFD. */
  encoding?: E;
}

export type Encoding = "utf8" | "bytes";
export type Output<E extends Encoding> = E extends "bytes" ? Uint8Array : string;

/** ExecResult with its output decoded. */
export type RunResult<E extends Encoding = "utf8"> = Omit<ExecResult, "stdout" | "stderr" | "output"> & {
  stdout?: Output<E> | null;
  stderr?: Output<E> | null;
  output?: Output<E> | null;
};

export interface Chunk<E extends Encoding = "utf8"> {
  stream: "stdout" | "stderr" | "output";
  /** Of its first byte in the stream. */
  offset: number;
  /** In bytes. */
  size: number;
  data: Output<E>;
}

/**
 * A command that runs. Awaiting it gives its result; with stream (and after attach) iterating it gives
 * its output, which is held back at the reader's pace: read it to the end, or leave it by break,
 * before you await the result.
 */
export class ExecRun<E extends Encoding = "utf8", R = RunResult<E>> implements PromiseLike<R>, AsyncIterable<Chunk<E>> {
  private constructor();
  /** Of a loop.run: once it has started. */
  readonly execId: string;
  readonly started: Promise<Pick<Notifications["exec.started"], "execId" | "sandbox" | "pid" | "startedAt">>;
  readonly result: Promise<R>;
  then: Promise<R>["then"];
  catch: Promise<R>["catch"];
  finally: Promise<R>["finally"];
  [Symbol.asyncIterator](): AsyncIterator<Chunk<E>, undefined>;
  /** Bytes for its stdin, which must be "stream"; resolves when there is room for more. */
  write(data: string | Uint8Array): Promise<void>;
  closeStdin(): Promise<void>;
  resize(rows: number, cols: number): Promise<void>;
  signal(signal: string | number): Promise<void>;
  /** TERM, grace, KILL; resolves when all of it is dead. The result's cause is then cancelled. */
  cancel(): Promise<void>;
}

type Method = keyof Methods;
type Params<M extends Method> = Methods[M]["params"];
/** Params may be left out where none is required. */
type Arguments<P, O> = {} extends P ? [params?: P, options?: O] : [params: P, options?: O];
type GroupName = Method extends `${infer G}.${string}` ? G : never;
type Group<G extends string> = {
  readonly [M in Method as M extends `${G}.${infer N}` ? N : never]: (
    ...args: Arguments<Params<M>, CallOptions>
  ) => Promise<Methods[M]["result"]>;
};

export interface ExecGroup extends Omit<Group<"exec">, "run" | "attach"> {
  run(params: Params<"exec.run"> & { detach: true }, options?: CallOptions): Promise<Exec>;
  run<E extends Encoding = "utf8">(
    params: Params<"exec.run"> & { detach?: false },
    options?: RunOptions<E>,
  ): ExecRun<E>;
  attach<E extends Encoding = "utf8">(params: Params<"exec.attach">, options?: RunOptions<E>): ExecRun<E>;
}

/** A tool's agent on a prompt. It always has an idempotency key, by which it is found after a lost connection. */
export type LoopRun<E extends Encoding = "utf8"> = ExecRun<E, LoopRunResult>;

export interface LoopGroup extends Omit<Group<"loop">, "run"> {
  run(params: Params<"loop.run"> & { detach: true }, options?: CallOptions): Promise<Exec>;
  run<E extends Encoding = "utf8">(
    params: Params<"loop.run"> & { detach?: false },
    options?: RunOptions<E>,
  ): LoopRun<E>;
}

/** An event, or in its place those that are not kept any more: list what there is, and go on. */
export type WatchedEvent =
  | Notifications["events.event"]
  | (Notifications["events.gap"] & { type: "events.gap"; cursor: string });

export interface EventsGroup extends Group<"events"> {
  /**
   * What happens, on a connection of its own, until it is left by break or SIGNAL fires (it throws an
   * AbortError). When the connection is lost it goes on behind the last event, without loss or
   * repetition. Who reads slowly holds back nobody.
   */
  watch(
    params?: Params<"events.subscribe">,
    options?: { signal?: AbortSignal },
  ): AsyncGenerator<WatchedEvent, void, undefined>;
}

type Groups = { readonly [G in Exclude<GroupName, "exec" | "loop" | "events">]: Group<G> };

export interface SandboxdClient extends Groups {
  readonly loop: LoopGroup;
  readonly exec: ExecGroup;
  readonly events: EventsGroup;
}

export class SandboxdClient {
  /** Connects at the first call. */
  constructor(options?: ClientOptions);
  /** Connects now, and rejects with kind not_running if no daemon answers. */
  static connect(options?: ClientOptions): Promise<SandboxdClient>;
  /**
   * One call, params and result as on the wire. A read-only one is repeated when the connection is
   * lost; any other rejects with kind connection_lost, and the next call connects again.
   */
  call<M extends Method>(method: M, ...args: Arguments<Params<M>, CallOptions>): Promise<Methods[M]["result"]>;
  /** Ends all connections. The process ends by itself without it when nothing is in flight. */
  close(): void;
}

/** Where a daemon's socket is looked for, in this order. */
export function socketCandidates(given?: string): string[];
/** Bytes of a text of the protocol. */
export function toBytes(text: Text): Uint8Array;
/** The text as a string; what is no UTF-8 becomes U+FFFD. */
export function toText(text: Text): string;

// ---- what an orchestrator calls ----

export interface ExecOptions {
  env?: { [name: string]: string };
  /** Default: the sandbox's workspace. */
  workDir?: string;
  /** In milliseconds; then TERM, 5 s, KILL, and exitCode 124. Default: none. */
  timeout?: number;
  /** Cancels the command; rejects, with name AbortError, when it is dead. */
  signal?: AbortSignal;
  /** What it reads; default: nothing, a closed stdin. */
  stdin?: string | Uint8Array;
  /** Lent to this command alone, by a daemon: without one it rejects. */
  secrets?: Params<"exec.run">["secrets"];
  /** The daemon's socket; else as SandboxdClient looks for it. */
  socket?: string;
}

export interface ExecOutcome {
  /** The command's own; 124 timed out, 125 lost, 126 and 127 not started, 128 + n ended by signal n. */
  exitCode: number;
  /** stdout and stderr in their order, the last 1 MiB. */
  output: string;
  /** Why it ended: exited, signaled, timeout, oom, sandbox_lost, ... */
  cause: ExecResult["cause"];
  truncated: boolean;
  durationMs: number;
}

/** Whether a daemon answers that can make sandboxes. Never rejects. */
export function isSandboxAvailable(options?: { socket?: string }): Promise<boolean>;

type LoopOptions = Omit<Methods["loop.create"]["params"], "loopId" | "tools" | "workDir" | "runtime">;

export interface CreateOptions extends LoopOptions, CallOptions {
  runtime?: string;
  /**
   * No isolation: runtime "host", and without a daemon this process runs the commands itself. Default:
   * whether AGENT_LOOP_HOST is 1.
   */
  host?: boolean;
  socket?: string;
}

/**
 * Makes a tool's sandbox in a loop, and the loop with it; again it gives the same. Returns its name,
 * `loop-{loopId}-{tool}`.
 */
export function createLoopSandbox(
  loopId: string,
  tool: string,
  workDir: string,
  options?: CreateOptions,
): Promise<string>;

/**
 * Ends what runs in a loop and removes its sandboxes; the worktree stays. Again, for a while, it gives
 * the same receipt; null if there is no such loop.
 */
export function destroyLoopSandbox(
  loopId: string,
  options?: { outcome?: "completed" | "failed"; force?: boolean; socket?: string },
): Promise<Receipt | null>;

/** Runs a command in a sandbox. One that fails is an outcome, an error means that nothing is known to have run. */
export function execInSandbox(name: string, command: string[], options?: ExecOptions): Promise<ExecOutcome>;

export interface SpawnOptions extends ExecOptions {
  /** Environment with the tool's credentials, or a function that leases them; asked once for each run. */
  auth?: { [name: string]: string } | (() => Promise<{ [name: string]: string }> | { [name: string]: string });
  /** Without a sandbox run it on the host, with no isolation. Default: false, it rejects. */
  host?: boolean;
}

/**
 * Runs a tool's command line for a loop, in its sandbox `loop-{loopId}-{tool}` if there is one. Default
 * timeout: claude and pi 20 min, codex 15 min.
 */
export function spawnTool(
  loopId: string,
  tool: string,
  args?: string[],
  options?: SpawnOptions,
): Promise<ExecOutcome & { host: boolean }>;
