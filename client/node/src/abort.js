// SPDX-License-Identifier: Apache-2.0
// One listener for a signal, however many calls it may cancel: from the eleventh on Node warns of a leak.

const watched = new WeakMap(); // signal -> Set of callbacks

/** Calls CALLBACK when SIGNAL (may be undefined) fires. Returns what takes it back. */
export function onAbort(signal, callback) {
  if (!signal) return () => {};
  let callbacks = watched.get(signal);
  if (!callbacks) {
    callbacks = new Set();
    watched.set(signal, callbacks);
    signal.addEventListener("abort", () => [...callbacks].forEach((call) => call()), { once: true });
  }
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}
