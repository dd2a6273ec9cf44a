// SPDX-License-Identifier: Apache-2.0
export { SandboxdClient } from "./client.js";
export { SandboxdError } from "./errors.js";
export { ExecRun } from "./exec.js";
export { socketCandidates } from "./socket.js";
export { toBytes, toText } from "./values.js";
export {
  createLoopSandbox,
  destroyLoopSandbox,
  execInSandbox,
  isSandboxAvailable,
  spawnTool,
} from "./orchestrator.js";
