// SPDX-License-Identifier: Apache-2.0
// What an orchestrator of a coding loop calls: a few functions that keep no state but a connection.

import { SandboxdClient } from "./client.js";
import { runOnHost } from "./host.js";
import { SandboxdError } from "./errors.js";
import { signalNumber } from "./signals.js";

const MINUTE_MS = 60_000;
const TOOL_TIMEOUT_MS = { codex: 15 * MINUTE_MS, claude: 20 * MINUTE_MS, pi: 20 * MINUTE_MS };
const NOT_EXECUTABLE = new Set(["not_executable", "bad_user", "bad_workdir", "too_big", "bad_file"]);

const clients = new Map(); // socket -> client

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
    return checks.every((check) => check.ok || check.severity !== "required");
  } catch {
    return false;
  }
}

export async function execInSandbox(name, command, options = {}) {
  const { env, workDir, timeout, signal, stdin, socket } = options;
  const params = { sandbox: name, command, env, workDir, timeoutMs: timeout, capture: "merged" };
  if (stdin !== undefined) params.stdin = typeof stdin === "string" ? { text: stdin } : stdin;
  const result = await clientFor(socket).exec.run(params, { signal });
  const { cause, truncated, durationMs, startError } = result;
  const output = startError ? `${command[0]}: ${startError.message}` : (result.output ?? "");
  return { exitCode: exitCode(result), output, cause, truncated, durationMs };
}

/** The name of a tool's sandbox in a loop. */
export function sandboxName(loopId, tool) {
  return `loop-${loopId}-${tool}`;
}

async function exists(name, socket) {
  try {
    await clientFor(socket).call("sandbox.get", { sandbox: name });
    return true;
  } catch (error) {
    if (error.kind === "not_found" || error.kind === "not_running") return false;
    throw error;
  }
}

export async function spawnTool(loopId, tool, args = [], options = {}) {
  const { auth, host, socket, ...rest } = options;
  const name = sandboxName(loopId, tool);
  const inSandbox = await exists(name, socket);
  if (!inSandbox && !host) {
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
  if (inSandbox) return { ...(await execInSandbox(name, [tool, ...args], { ...run, socket })), host: false };
  return { ...(await runOnHost([tool, ...args], run)), host: true };
}
