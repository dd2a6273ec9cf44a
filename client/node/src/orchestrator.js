// SPDX-License-Identifier: Apache-2.0
// What an orchestrator of a coding loop calls: a few functions that keep no state but a connection, and
// the names of sandboxes that are none, because the host was asked for and there is no daemon.

import { SandboxdClient } from "./client.js";
import { runOnHost } from "./host.js";
import { SandboxdError } from "./errors.js";
import { signalNumber } from "./signals.js";

const MINUTE_MS = 60_000;
const TOOL_TIMEOUT_MS = { codex: 15 * MINUTE_MS, claude: 20 * MINUTE_MS, pi: 20 * MINUTE_MS };
const NOT_EXECUTABLE = new Set(["not_executable", "bad_user", "bad_workdir", "too_big", "bad_file"]);

const clients = new Map(); // socket -> client
const onHost = new Map(); // name -> {loopId, workDir, env}

function clientFor(socket) {
  const key = socket ?? process.env.SANDBOXD_SOCKET ?? "";
  if (!clients.has(key)) clients.set(key, new SandboxdClient({ socket: key || undefined }));
  return clients.get(key);
}

/** As a shell and sandboxctl say it. */
function exitCode(result) {
  if (result.cause === "timeout") return 124;
  if (result.exitCode !== null) return result.exitCode;
  if (result.startError?.kind === "not_found") return 127;
  if (NOT_EXECUTABLE.has(result.startError?.kind)) return 126;
  if (result.signal !== null) return 128 + signalNumber(result.signal);
  return 125;
}

export async function isSandboxAvailable({ socket } = {}) {
  try {
    const { checks } = await clientFor(socket).call("system.doctor");
    return checks.every((check) => check.ok !== false || check.severity !== "required");
  } catch {
    return false;
  }
}

/** The name of a tool's sandbox in a loop. */
function sandboxName(loopId, tool) {
  return `loop-${loopId}-${tool.replace(/@.*/, "")}`;
}

export async function createLoopSandbox(loopId, tool, workDir, options = {}) {
  const { socket, signal, onProgress, host = process.env.AGENT_LOOP_HOST === "1", ...rest } = options;
  const name = sandboxName(loopId, tool);
  if (host) Object.assign(rest, { runtime: "host", network: rest.network ?? "host" }); // it has no other
  try {
    await clientFor(socket).call("loop.create", { loopId, tools: [tool], workDir, ...rest }, { signal, onProgress });
  } catch (error) {
    // a daemon that refuses the host is obeyed
    if (!host || error.kind !== "not_running") throw error;
    onHost.set(name, { loopId, workDir, env: rest.env });
  }
  return name;
}

export async function destroyLoopSandbox(loopId, { socket, outcome, force = true } = {}) {
  let wasOnHost = false;
  for (const [name, place] of onHost) {
    if (place.loopId === loopId) wasOnHost = onHost.delete(name);
  }
  try {
    return await clientFor(socket).call("loop.destroy", { loopId, outcome, force });
  } catch (error) {
    if (error.kind === "not_found" || (wasOnHost && error.kind === "not_running")) return null;
    throw error;
  }
}

export async function execInSandbox(name, command, options = {}) {
  const { env, workDir, timeout, signal, stdin, secrets, socket } = options;
  const place = onHost.get(name);
  if (place) return runOnHost(command, { ...options, workDir: workDir ?? place.workDir, env: { ...place.env, ...env } });
  const params = { sandbox: name, command, env, workDir, secrets, timeoutMs: timeout, capture: "merged" };
  if (stdin !== undefined) params.stdin = typeof stdin === "string" ? { text: stdin } : stdin;
  const result = await clientFor(socket).exec.run(params, { signal });
  const { cause, truncated, durationMs, startError } = result;
  const output = startError ? `${command[0]}: ${startError.message}` : (result.output ?? "");
  return { exitCode: exitCode(result), output, cause, truncated, durationMs };
}

/** Its runtime, null if there is none. */
async function runtimeOf(name, socket) {
  if (onHost.has(name)) return "host";
  try {
    return (await clientFor(socket).call("sandbox.get", { sandbox: name })).runtime;
  } catch (error) {
    if (error.kind === "not_found" || error.kind === "not_running") return null;
    throw error;
  }
}

export async function spawnTool(loopId, tool, args = [], options = {}) {
  const { auth, host, socket, ...rest } = options;
  const name = sandboxName(loopId, tool);
  const runtime = await runtimeOf(name, socket);
  if (runtime === null && !host) {
    throw new SandboxdError(`there is no sandbox ${name}, and nobody asked for the host`, {
      kind: "not_found",
      hint: "createLoopSandbox(), or the option host",
      resource: `sandbox ${name}`,
    });
  }
  const secrets = typeof auth === "function" ? await auth() : auth;
  const run = {
    timeout: TOOL_TIMEOUT_MS[tool],
    ...rest,
    env: { ...rest.env, ...secrets },
  };
  if (runtime !== null) {
    const outcome = await execInSandbox(name, [tool, ...args], { ...run, socket });
    return { ...outcome, host: runtime === "host" };
  }
  return { ...(await runOnHost([tool, ...args], run)), host: true };
}
