// SPDX-License-Identifier: Apache-2.0
import { constants } from "node:os";

/** The number of a signal that is given by number, as "TERM" or as "SIGTERM"; 0 if there is none. */
export function signalNumber(signal) {
  if (typeof signal === "number") return signal;
  return constants.signals[signal] ?? constants.signals[`SIG${signal}`] ?? 0;
}
