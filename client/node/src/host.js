// SPDX-License-Identifier: Apache-2.0
// A command on the host, without any isolation: for who asked for it by name.

import { spawn } from "node:child_process";
import { onAbort } from "./abort.js";
import { NOT_RUNNING, SandboxdError } from "./errors.js";
import { signalNumber } from "./signals.js";

const GRACE_MS = 5000;
const OUTPUT_BYTES = 1024 * 1024; // the last of it, as the daemon keeps

/** The last bytes of what is added. */
class Tail {
  #pieces = [];
  #size = 0;
  truncated = false;

  add(data) {
    this.#pieces.push(data);
    this.#size += data.length;
    while (this.#size - this.#pieces[0].length >= OUTPUT_BYTES) {
      this.#size -= this.#pieces.shift().length;
      this.truncated = true;
    }
  }

  text() {
    const all = Buffer.concat(this.#pieces);
    if (all.length > OUTPUT_BYTES) this.truncated = true;
    return all.subarray(-OUTPUT_BYTES).toString("utf8");
  }
}

// The whole process group: what the command started must not go on working.
function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it has ended
  }
}

/** Like execInSandbox, on the host. */
export function runOnHost(command, { env, workDir, timeout, signal, stdin, secrets } = {}) {
  if (signal?.aborted) return Promise.reject(SandboxdError.aborted(signal.reason));
  if (secrets?.length) {
    const message = "nobody lends secrets without a daemon";
    return Promise.reject(new SandboxdError(message, { kind: NOT_RUNNING, hint: "start sandboxd, or give them in env" }));
  }
  return new Promise((resolve, reject) => {
    const startedAt = Date.now();
    const output = new Tail();
    const timers = [];
    let cause = null;
    const child = spawn(command[0], command.slice(1), {
      cwd: workDir,
      env: { ...process.env, ...env },
      stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      detached: true,
    });
    const end = (why) => {
      if (cause) return;
      cause = why;
      killGroup(child, "SIGTERM");
      timers.push(setTimeout(() => killGroup(child, "SIGKILL"), GRACE_MS));
    };
    const ignoreSignal = onAbort(signal, () => end("cancelled"));
    const done = (exitCode, why) => {
      for (const timer of timers) clearTimeout(timer);
      ignoreSignal();
      const text = output.text();
      const { truncated } = output;
      if (why === "cancelled") reject(SandboxdError.aborted(signal.reason));
      else resolve({ exitCode, output: text, cause: why, truncated, durationMs: Date.now() - startedAt });
    };
    if (timeout !== undefined) timers.push(setTimeout(() => end("timeout"), timeout));
    child.stdout.on("data", (data) => output.add(data));
    child.stderr.on("data", (data) => output.add(data));
    child.stdin?.on("error", () => {}); // a command need not read what it gets
    child.stdin?.end(stdin);
    child.on("error", (error) => {
      output.add(Buffer.from(`${error.message}\n`));
      done(error.code === "ENOENT" ? 127 : 126, "never_started");
    });
    child.on("exit", () => {
      // what it left behind would keep the pipes open
      killGroup(child, "SIGKILL");
    });
    child.on("close", (code, name) => {
      if (cause === "timeout") done(124, cause);
      else if (cause) done(125, cause);
      else done(code ?? 128 + signalNumber(name), code === null ? "signaled" : "exited");
    });
  });
}
