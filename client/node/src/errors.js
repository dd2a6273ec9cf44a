// SPDX-License-Identifier: Apache-2.0

// Kinds that the client itself makes; their code is 0. All others come from the daemon.
export const NOT_RUNNING = "not_running"; // no daemon answers at any of the places
export const CONNECTION_LOST = "connection_lost"; // the call may or may not have had its effect
export const CLOSED = "closed"; // close() was called
export const OUTPUT_LOST = "output_lost"; // the spool forgot bytes while the client was away

export class SandboxdError extends Error {
  /**
   * @param {string} message
   * @param {{code?: number, kind: string, field?: string, hint?: string, resource?: string,
   *          data?: object, method?: string, cause?: unknown}} facts
   */
  constructor(message, facts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = "SandboxdError";
    this.code = facts.code ?? 0;
    this.kind = facts.kind;
    this.field = facts.field;
    this.hint = facts.hint;
    this.resource = facts.resource;
    this.data = facts.data;
    this.method = facts.method;
  }

  /** From the error object of a reply. */
  static fromReply(error, method) {
    const data = error.data ?? {};
    return new SandboxdError(error.message ?? "the daemon gave no message", {
      code: error.code,
      kind: data.kind ?? "internal_error",
      field: data.field ?? undefined,
      hint: data.hint ?? undefined,
      resource: data.resource ?? undefined,
      data,
      method,
    });
  }

  /** What an AbortSignal ended: named as every other API names it. */
  static aborted(reason, method) {
    const error = new SandboxdError("the call was cancelled", {
      code: -32009,
      kind: "cancelled",
      method,
      cause: reason,
    });
    error.name = "AbortError";
    return error;
  }
}

export function isLost(error) {
  return error instanceof SandboxdError && error.kind === CONNECTION_LOST;
}
