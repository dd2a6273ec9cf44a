// SPDX-License-Identifier: Apache-2.0
// A client is a socket path and at most one shared connection, which is made when it is needed and
// made again when it was lost. Runs that stream have a connection each (exec.js): a slow reader
// holds back its own command and nothing else.

import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "./connection.js";
import { CLOSED, NOT_RUNNING, SandboxdError, isLost } from "./errors.js";
import { ExecRun } from "./exec.js";
import { watch } from "./watch.js";

const RECONNECT_MS = 60_000; // so long the daemon keeps commands for clients that are away
const RECONNECT_STEP_MS = 50;

// Asking again changes nothing, so a lost connection is no reason to fail.
const REPEATABLE = new Set([
  "rpc.discover", "system.ping", "system.info", "system.doctor", "loop.get", "loop.list",
  "sandbox.get", "sandbox.list", "sandbox.stats", "exec.wait", "exec.get", "exec.list", "exec.read",
  "secret.list", "secret.leases", "audit.list", "audit.verify", "network.get", "network.log", "template.list",
  "template.get", "pool.list",
]);

function group(client, name, own = {}) {
  return new Proxy(own, {
    get(target, key) {
      // "then": a group must not look like a promise
      if (typeof key !== "string" || key === "then") return undefined;
      target[key] ??= (params, options) => client.call(`${name}.${key}`, params, options);
      return target[key];
    },
  });
}

export class SandboxdClient {
  #path;
  #options;
  #shared = null; // promise of a Connection
  #open = new Set(); // every connection, the shared one and those of streams
  #closed = false;

  /** Connects, and rejects with kind not_running if no daemon answers. */
  static async connect(options = {}) {
    const client = new SandboxdClient(options);
    await client.connection();
    return client;
  }

  /** The same without connecting yet: the first call does. */
  constructor(options = {}) {
    this.#path = options.socket;
    this.#options = options;
    for (const name of ["rpc", "system", "sandbox", "secret", "audit", "network", "template", "pool"])
      this[name] = group(this, name);
    this.events = group(this, "events", { watch: (params, opts) => watch(this, params, opts) });
    const run = (method) => (params, opts) =>
      params?.detach ? this.call(method, params, opts) : new ExecRun(this, { method, params }, opts);
    this.loop = group(this, "loop", { run: run("loop.run") });
    this.exec = group(this, "exec", {
      run: run("exec.run"),
      attach: (params, opts) => new ExecRun(this, { attach: params }, opts),
    });
  }

  /**
   * One call, params and result as on the wire. A read-only one is repeated when the connection is
   * lost; any other rejects with kind connection_lost, and the next call connects again.
   */
  async call(method, params = {}, options = {}) {
    const deadline = Date.now() + this.reconnectMs;
    for (let attempt = 0; ; attempt++) {
      const connection = attempt === 0 ? await this.connection() : await this.reconnect(deadline, options.signal);
      try {
        return await connection.request(method, params, options);
      } catch (error) {
        if (!isLost(error) || !REPEATABLE.has(method) || this.#closed || Date.now() >= deadline) throw error;
      }
    }
  }

  /** Ends all connections; what is in flight rejects with kind closed. Commands of ours are cancelled by the daemon. */
  close() {
    this.#closed = true;
    const error = this.#closedError();
    for (const connection of this.#open) connection.close(error);
  }

  // ---- for exec.js ----

  get closed() {
    return this.#closed;
  }

  get reconnectMs() {
    return this.#options.reconnectMs ?? RECONNECT_MS;
  }

  /** The shared connection. */
  connection() {
    if (!this.#shared) {
      const opening = this.newConnection({ onEnd: () => this.#forget(opening) });
      this.#shared = opening;
      opening.catch(() => this.#forget(opening));
    }
    return this.#shared;
  }

  /** One of its own, for a stream. */
  async newConnection(hooks = {}) {
    if (this.#closed) throw this.#closedError();
    const { onNotification } = this.#options;
    const connection = await Connection.open(this.#path, {
      onNotification: hooks.onNotification ?? onNotification,
      onEnd: (error) => {
        this.#open.delete(connection);
        hooks.onEnd?.(error);
      },
    });
    if (this.#closed) {
      connection.close(this.#closedError());
      throw this.#closedError();
    }
    this.#open.add(connection);
    return connection;
  }

  /** OPEN (default: the shared connection), tried until DEADLINE: a daemon that restarts is back soon. */
  async reconnect(deadline, signal, open = () => this.connection()) {
    for (;;) {
      try {
        return await open();
      } catch (error) {
        if (error.kind !== NOT_RUNNING || Date.now() >= deadline) throw error;
      }
      await sleep(RECONNECT_STEP_MS);
      if (signal?.aborted) throw SandboxdError.aborted(signal.reason);
    }
  }

  #forget(opening) {
    if (this.#shared === opening) this.#shared = null;
  }

  #closedError() {
    return new SandboxdError("the client was closed", { kind: CLOSED });
  }
}
