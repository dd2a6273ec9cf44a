// SPDX-License-Identifier: Apache-2.0
// One connection: lines out, lines in, replies to their requests. It ends once and is never used
// again; who wants another one opens it. It keeps the process alive only while a reply is awaited.

import { onAbort } from "./abort.js";
import { CONNECTION_LOST, SandboxdError } from "./errors.js";
import { openSocket } from "./socket.js";
import { encodeParams } from "./values.js";

const LINE_BYTES = 16 * 1024 * 1024; // what the daemon accepts (limits.lineBytes of system.info)
const NEWLINE = 0x0a;

function ignore() {}

export class Connection {
  #socket;
  #pieces = []; // of a line whose end has not come yet
  #pending = new Map(); // id -> {method, resolve, reject, onProgress, onStarted}
  #lastId = 0;
  #error = null;
  #onEnd;
  #onNotification;

  /**
   * @param {string | undefined} path
   * @param {{onEnd?: (error: Error) => void, onNotification?: (method: string, params: object) => void}} hooks
   */
  static async open(path, hooks = {}) {
    return new Connection(await openSocket(path), hooks);
  }

  constructor(socket, { onEnd = ignore, onNotification = ignore }) {
    this.#socket = socket;
    this.#onEnd = onEnd;
    this.#onNotification = onNotification;
    socket.unref();
    socket.on("data", (data) => this.#receive(data));
    socket.on("error", (error) => this.#end(error));
    socket.on("end", () => this.#end());
    socket.on("close", () => this.#end());
  }

  get ended() {
    return this.#error !== null;
  }

  /**
   * Sends a request. Its promise rejects with a SandboxdError; when SIGNAL fires, the daemon is
   * asked to give up, and the reply says that it did.
   */
  request(method, params, { signal, onProgress, onStarted } = {}) {
    if (signal?.aborted) return Promise.reject(SandboxdError.aborted(signal.reason, method));
    if (this.#error) return Promise.reject(this.#lost(method));
    const id = ++this.#lastId;
    let line;
    try {
      line = this.#line({ jsonrpc: "2.0", id, method, params: encodeParams(params) });
    } catch (error) {
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const ignoreSignal = onAbort(signal, () => this.notify("rpc.cancel", { id }));
      const done = (settle) => (value) => {
        ignoreSignal();
        settle(value);
      };
      const failed = (error) =>
        reject(
          signal?.aborted && error.kind === "cancelled" ? SandboxdError.aborted(signal.reason, method) : error,
        );
      this.#pending.set(id, { method, resolve: done(resolve), reject: done(failed), onProgress, onStarted });
      this.#socket.ref();
      this.#socket.write(line);
    });
  }

  notify(method, params) {
    if (!this.#error) this.#socket.write(this.#line({ jsonrpc: "2.0", method, params }));
  }

  /** Back-pressure: nothing more is read, and in the end the command waits. */
  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  /** Keeps the process alive until the connection ends. */
  ref() {
    this.#socket.ref();
  }

  /** Ends it; what is in flight rejects with ERROR. */
  close(error) {
    this.#end(error);
  }

  #line(message) {
    const line = JSON.stringify(message) + "\n";
    // a string is at most three bytes a unit: the exact length is asked for near the limit only
    if (line.length * 3 > LINE_BYTES && Buffer.byteLength(line) > LINE_BYTES) {
      throw new SandboxdError(`the request is over ${LINE_BYTES} bytes`, {
        code: -32600,
        kind: "invalid_request",
        hint: "a workspace, or stdin \"stream\" and exec.write, for much data",
        method: message.method,
      });
    }
    return line;
  }

  #lost(method) {
    if (this.#error instanceof SandboxdError) return this.#error;
    return new SandboxdError(`the connection to sandboxd ended during ${method}`, {
      kind: CONNECTION_LOST,
      hint: "look at what became of it before you try again; sandboxctl daemon status",
      method,
      cause: this.#error,
    });
  }

  #end(error) {
    if (this.#error) return;
    this.#error = error ?? new Error("end of file");
    this.#socket.destroy();
    this.#pieces = [];
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const entry of pending) entry.reject(this.#lost(entry.method));
    this.#onEnd(this.#error);
  }

  #receive(data) {
    let start = 0;
    for (;;) {
      const end = data.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#pieces.push(data.subarray(start, end));
      const line = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
      this.#pieces = [];
      start = end + 1;
      this.#message(line);
      if (this.#error) return;
    }
    if (start < data.length) this.#pieces.push(data.subarray(start));
  }

  #message(line) {
    let message;
    try {
      message = JSON.parse(line.toString("utf8"));
    } catch (error) {
      this.#end(error);
      return;
    }
    if (message.method !== undefined) {
      this.#notification(message.method, message.params ?? {});
      return;
    }
    const entry = this.#pending.get(message.id);
    if (!entry) {
      // an error without an id is about a line that we sent: whose it was cannot be known
      if (message.error && message.id === null) this.#end(SandboxdError.fromReply(message.error));
      return;
    }
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#socket.unref();
    if (message.error) entry.reject(SandboxdError.fromReply(message.error, entry.method));
    else entry.resolve(message.result);
  }

  #notification(method, params) {
    const entry = this.#pending.get(params.requestId);
    if (method === "progress") entry?.onProgress?.(params);
    else if (method === "exec.started") entry?.onStarted?.(params);
    this.#onNotification(method, params);
  }
}
