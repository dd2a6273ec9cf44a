// SPDX-License-Identifier: Apache-2.0
// The type of an orchestrator that hands results of a loop's stages on, as it has it itself; nothing of
// ours. loop-types.test.mjs compiles real results of loop.run against it.

export interface SandboxExecutionResult {
  requestId: string;
  state: "pending" | "running" | "completed" | "failed" | "cancelled";
  startedAt: string;
  completedAt?: string;
  durationMs?: number;
  artifacts?: {
    headSha: string;
    touchedFiles: string[];
    patch?: string;
    verification?: { commands: string[]; success: boolean; output: string };
    logs?: { executionLog?: string; stdout?: string; stderr?: string };
  };
  error?: string;
  output?: string;
}

/** Takes a literal with all its types, and more members than an orchestrator knows. */
export function accept<T extends SandboxExecutionResult>(result: T): SandboxExecutionResult {
  return result;
}
