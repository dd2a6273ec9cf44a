// SPDX-License-Identifier: Apache-2.0
// A command that runs: its result, and with stream its output as it comes. When the connection is
// lost, the run finds its command again by its id and goes on at the byte where it was; whether the
// command outlived that is the daemon's to say (onDisconnect), and then in the result's cause. A
// loop.run has a result of its own, which only its idempotency key finds again: it always has one.

import { randomUUID } from "node:crypto";
import { onAbort } from "./abort.js";
import { OUTPUT_LOST, SandboxdError, isLost } from "./errors.js";
import { decode, toBytes } from "./values.js";

const QUEUE_HIGH = 1024 * 1024; // then the socket is not read until the reader has caught up
const QUEUE_LOW = QUEUE_HIGH / 4;
const CHUNK_COST = 256; // what a chunk weighs beside its bytes

function ignore() {}

function deferred() {
  const d = {};
  d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
  d.promise.catch(ignore); // nobody has to wait for it
  return d;
}

/** Chunks between the socket and one reader. */
class Queue {
  #chunks = [];
  #weight = 0;
  #waiting = []; // of next()
  #ended = false;
  #error = null;
  #discarding = false;
  #full = false;
  #onFull;
  #onRoom;

  constructor(onFull, onRoom) {
    this.#onFull = onFull;
    this.#onRoom = onRoom;
  }

  get full() {
    return this.#full;
  }

  push(chunk) {
    if (this.#discarding || this.#ended) return;
    const waiter = this.#waiting.shift();
    if (waiter) {
      waiter.resolve({ value: chunk, done: false });
      return;
    }
    this.#chunks.push(chunk);
    this.#weight += chunk.size + CHUNK_COST;
    if (!this.#full && this.#weight > QUEUE_HIGH) {
      this.#full = true;
      this.#onFull();
    }
  }

  end(error = null) {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    for (const waiter of this.#waiting.splice(0)) this.#settle(waiter);
  }

  next() {
    const chunk = this.#chunks.shift();
    if (chunk) {
      this.#weight -= chunk.size + CHUNK_COST;
      if (this.#full && this.#weight < QUEUE_LOW) this.#room();
      return Promise.resolve({ value: chunk, done: false });
    }
    const waiter = deferred();
    if (this.#ended) this.#settle(waiter);
    else this.#waiting.push(waiter);
    return waiter.promise;
  }

  /** The reader is gone: the rest is dropped, so that the result still comes. */
  discard() {
    this.#discarding = true;
    this.#chunks = [];
    this.#weight = 0;
    this.#error = null;
    if (this.#full) this.#room();
    for (const waiter of this.#waiting.splice(0)) waiter.resolve({ value: undefined, done: true });
  }

  #room() {
    this.#full = false;
    this.#onRoom();
  }

  // an error is told once; then the iteration is over
  #settle(waiter) {
    const error = this.#error;
    this.#error = null;
    if (error) waiter.reject(error);
    else waiter.resolve({ value: undefined, done: true });
  }
}

export class ExecRun {
  #client;
  #method; // exec.run, loop.run or exec.attach
  #params; // of a run, null for an attach
  #attach; // of exec.attach, null for a run
  #signal;
  #encoding;
  #streaming;
  #connection = null; // the one that carries it now
  #queue;
  #offsets = {}; // stream -> next byte
  #started = deferred();
  #wasStarted = false;
  #result = deferred();
  #sentAt = 0;

  constructor(client, { method = "exec.run", params = null, attach = null }, { signal, encoding = "utf8" } = {}) {
    this.#client = client;
    this.#signal = signal;
    this.#encoding = encoding;
    this.#attach = attach;
    this.#method = attach ? "exec.attach" : method;
    this.#params = params;
    if (this.#method === "exec.run") this.#params = { ...params, execId: params.execId ?? randomUUID() };
    if (this.#method === "loop.run") this.#params = { ...params, idempotencyKey: params.idempotencyKey ?? randomUUID() };
    this.#streaming = attach !== null || params.stream === true;
    this.execId = (this.#params ?? attach).execId;
    this.#queue = new Queue(
      () => this.#connection?.pause(),
      () => this.#connection?.resume(),
    );
    this.#drive();
  }

  /** {execId, sandbox, pid, startedAt}, once it runs; a loop.run has its execId only then. */
  get started() {
    return this.#started.promise;
  }

  /** The ExecResult, output decoded by the option encoding. A stream is read to its end or left by break first. */
  get result() {
    return this.#result.promise;
  }

  then(onFulfilled, onRejected) {
    return this.result.then(onFulfilled, onRejected);
  }

  catch(onRejected) {
    return this.result.catch(onRejected);
  }

  finally(onFinally) {
    return this.result.finally(onFinally);
  }

  [Symbol.asyncIterator]() {
    return {
      next: () => this.#queue.next(),
      return: async () => {
        this.#queue.discard();
        return { value: undefined, done: true };
      },
    };
  }

  /** Bytes for its stdin ("stream"); resolves when there is room for more. */
  async write(data) {
    await this.started;
    await this.#client.call("exec.write", { execId: this.execId, data });
  }

  async closeStdin() {
    await this.started;
    await this.#client.call("exec.closeStdin", { execId: this.execId });
  }

  async resize(rows, cols) {
    await this.started;
    await this.#client.call("exec.resize", { execId: this.execId, rows, cols });
  }

  async signal(signal) {
    await this.started;
    await this.#client.call("exec.signal", { execId: this.execId, signal });
  }

  /** TERM, grace, KILL; resolves when all of it is dead. The result says cancelled. */
  async cancel() {
    await this.started;
    await this.#client.call("exec.cancel", { execId: this.execId });
  }

  // ---- inside ----

  async #drive() {
    try {
      const result = await this.#follow();
      if (this.#method !== "loop.run") this.#decode(result);
      const { execId } = result.exec ?? result;
      this.#onStarted({ execId, sandbox: this.#params?.sandbox, pid: null, startedAt: result.startedAt });
      this.#result.resolve(result);
      this.#queue.end();
    } catch (error) {
      this.#started.reject(error);
      this.#result.reject(error);
      this.#queue.end(error);
    } finally {
      if (this.#streaming) this.#connection?.close();
    }
  }

  #decode(result) {
    if (this.#signal?.aborted && result.cause === "cancelled")
      throw SandboxdError.aborted(this.#signal.reason, this.#method);
    for (const name of ["stdout", "stderr", "output"])
      if (name in result) result[name] = decode(result[name], this.#encoding);
  }

  async #follow() {
    try {
      return await this.#begin(() => this.#open());
    } catch (error) {
      if (!isLost(error)) throw error;
    }
    return this.#resume();
  }

  async #resume() {
    for (;;) {
      const deadline = Date.now() + this.#client.reconnectMs;
      const connection = await this.#client.reconnect(deadline, undefined, () => this.#open());
      try {
        return await this.#again(connection);
      } catch (error) {
        if (!isLost(error)) throw error;
      }
    }
  }

  async #open() {
    if (!this.#streaming) return this.#client.connection();
    const connection = await this.#client.newConnection({
      onNotification: (method, params) => this.#onNotification(method, params),
    });
    this.#connection = connection;
    if (this.#queue.full) connection.pause();
    return connection;
  }

  async #begin(open) {
    const connection = await open();
    const options = { signal: this.#signal, onStarted: (params) => this.#onStarted(params) };
    this.#sentAt = Date.now();
    return connection.request(this.#method, this.#attach ?? this.#params, options);
  }

  /** Goes on over another connection. */
  async #again(connection) {
    if (this.#method === "loop.run") return this.#runAgain(connection);
    const cancel = () => connection.request("exec.cancel", { execId: this.execId }).catch(ignore);
    const isRun = this.#attach === null;
    const ignoreSignal = onAbort(isRun ? this.#signal : undefined, cancel);
    if (isRun && this.#signal?.aborted) cancel();
    try {
      const options = {
        signal: isRun ? undefined : this.#signal,
        onStarted: (params) => this.#onStarted(params),
      };
      if (!this.#streaming) return await connection.request("exec.wait", { execId: this.execId }, options);
      return await connection.request("exec.attach", { execId: this.execId, from: this.#from() }, options);
    } catch (error) {
      if (error.kind === "not_found" && isRun && (this.#params.idempotencyKey || (await this.#neverArrived(connection))))
        return await this.#repeat(connection);
      throw error;
    } finally {
      ignoreSignal();
    }
  }

  async #runAgain(connection) {
    if (this.#signal?.aborted) {
      const { idempotencyKey } = this.#params;
      await connection.request("exec.cancel", { idempotencyKey }).catch(ignore); // it may have ended
      throw SandboxdError.aborted(this.#signal.reason, this.#method);
    }
    return this.#begin(async () => connection);
  }

  /** Whether the daemon that does not know our command was up when we sent it: then it never got it. */
  async #neverArrived(connection) {
    if (this.#wasStarted || this.#signal?.aborted) return false;
    const info = await connection.request("system.info", {});
    return info.uptimeMs > Date.now() - this.#sentAt;
  }

  async #repeat(connection) {
    try {
      return await this.#begin(async () => connection);
    } catch (error) {
      // it was on its way after all; the id saw to it that it runs once
      if (error.kind !== "already_exists" || error.field !== "execId") throw error;
      return this.#again(connection);
    }
  }

  #from() {
    const first = this.#attach?.from;
    if (first === "end") return Object.keys(this.#offsets).length > 0 ? this.#offsets : "end";
    return { ...first, ...this.#offsets };
  }

  #onStarted(params) {
    this.#wasStarted = true;
    this.execId ??= params.execId;
    this.#started.resolve(params);
  }

  #onNotification(method, params) {
    if (method !== "exec.data" || params.execId !== this.execId) return;
    const { stream } = params;
    let { data, offset } = params;
    let bytes = null;
    if (this.#encoding === "bytes" || typeof data !== "string") bytes = data = toBytes(data);
    const size = bytes ? bytes.length : Buffer.byteLength(data);
    const expected = this.#offsets[stream] ?? (this.#attach ? offset : 0);
    const end = offset + size;
    if (offset > expected) this.#queue.end(this.#gap(stream, expected, offset));
    if (offset < expected) {
      // a repeated loop.run tells all of it again
      if (end <= expected) return;
      bytes = toBytes(data).subarray(expected - offset);
      data = typeof data === "string" ? bytes.toString("utf8") : bytes;
      offset = expected;
    }
    this.#offsets[stream] = end;
    if (end > offset) this.#queue.push({ stream, offset, size: end - offset, data: decode(data, this.#encoding) });
  }

  #gap(stream, expected, offset) {
    return new SandboxdError(`bytes ${expected} to ${offset} of ${stream} are gone`, {
      kind: OUTPUT_LOST,
      field: "maxOutputBytes",
      hint: "the spool keeps the last maxOutputBytes; make it larger",
      method: "exec.attach",
    });
  }
}
