// SPDX-License-Identifier: Apache-2.0
// Events as an async generator, on a connection of its own. When that ends it is made again, and the
// last cursor is where it goes on.

import { onAbort } from "./abort.js";
import { CLOSED, SandboxdError, isLost } from "./errors.js";

const QUEUE_MAX = 256; // beyond, nothing more is read until the reader has come down to half of it

/** What a connection sends, in order, for one reader. */
class Queue {
  #items = [];
  #wake = null;
  #paused = false;
  connection = null;
  error = null;

  push(item) {
    this.#items.push(item);
    if (this.#items.length >= QUEUE_MAX && !this.#paused) {
      this.#paused = true;
      this.connection?.pause();
    }
    this.#wake?.();
  }

  end(error) {
    this.error ??= error;
    this.#wake?.();
  }

  /** The next one; undefined when there is none and none will come. */
  async next() {
    while (this.#items.length === 0 && !this.error) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    const item = this.#items.shift();
    if (this.#paused && this.#items.length < QUEUE_MAX / 2) {
      this.#paused = false;
      this.connection?.resume();
    }
    return item;
  }
}

function take(queue, method, params) {
  if (method === "events.event") queue.push(params);
  else if (method === "events.gap") queue.push({ ...params, type: method, cursor: params.to });
}

async function open(client, params, queue) {
  const connection = await client.newConnection({
    onNotification: (method, p) => take(queue, method, p),
    onEnd: (error) => queue.end(error),
  });
  queue.connection = connection;
  const { cursor } = await connection.request("events.subscribe", params);
  connection.ref(); // a reader that waits keeps the process alive
  return cursor;
}

/** client.events.watch(): see index.d.ts. */
export async function* watch(client, params = {}, { signal } = {}) {
  let cursor = params.cursor;
  let deadline = 0; // of coming back; the first time there is none
  let queue = null;
  const aborted = () => SandboxdError.aborted(signal.reason, "events.subscribe");
  const ignoreSignal = onAbort(signal, () => queue?.end(aborted()));

  try {
    for (;;) {
      if (signal?.aborted) throw aborted();
      queue = new Queue();
      try {
        const given = cursor === undefined ? params : { ...params, cursor };
        const subscribe = () => open(client, given, queue);
        const begun = await (deadline ? client.reconnect(deadline, signal, subscribe) : subscribe());
        cursor ??= begun;
      } catch (error) {
        if (!isLost(error) || (deadline && Date.now() >= deadline)) throw error;
        deadline ||= Date.now() + client.reconnectMs;
        continue; // it ended while it was asked
      }
      for (let event = await queue.next(); event; event = await queue.next()) {
        cursor = event.cursor;
        yield event;
      }
      if (signal?.aborted) throw aborted();
      if (queue.error?.kind === CLOSED) return;
      deadline = Date.now() + client.reconnectMs;
    }
  } finally {
    ignoreSignal();
    queue?.connection?.close(new Error("nobody watches any more"));
  }
}
